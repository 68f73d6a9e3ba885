/** Who wrote an answer: the product in front, and whether the page is that product's own or the application's. */
import { type Answer, header } from "../probe/exchange.ts";
import type { Product } from "./illness.ts";

export type Maker = Extract<
  Product,
  "nginx" | "haproxy" | "caddy" | "apache" | "traefik" | "ingress-nginx" | "aws-alb" | "cloudflare"
>;

interface Mark {
  readonly maker: Maker;
  /** In `Server` or `Via`. */
  readonly server?: RegExp;
  /** In the body of a page that the product has written itself. */
  readonly ownBody?: RegExp;
}

const MARKS: readonly Mark[] = [
  {
    maker: "cloudflare",
    server: /^cloudflare/i,
    ownBody: /cf-error-details|Attention Required! \| Cloudflare|Just a moment\.\.\./,
  },
  {
    maker: "aws-alb",
    server: /^awselb\//i,
    ownBody: /<center><h1>[^<]*<\/h1><\/center>\s*<\/body>\s*<\/html>\s*$/,
  },
  { maker: "ingress-nginx", ownBody: /^default backend - 404/ },
  {
    maker: "nginx",
    // wsgate, too: its configuration is nginx's, and so are the mends.
    server: /^(nginx|openresty|tengine|wsgate)/i,
    ownBody: /<hr><center>(nginx|openresty|tengine|wsgate)/i,
  },
  { maker: "caddy", server: /\bcaddy\b/i },
  {
    maker: "apache",
    server: /^apache/i,
    // Its built-in pages, with their signature or without.
    ownBody:
      /<address>Apache|<title>\d{3} [^<]*<\/title>[\s\S]*Apache|^<!DOCTYPE HTML PUBLIC "-\/\/(IETF\/\/DTD HTML 2\.0|W3C\/\/DTD HTML 4\.01)\/\/EN"[^>]*>\s*<html><head>\s*<title>\d{3} [^<]*<\/title>\s*<\/head><body>\s*<h1>/i,
  },
  {
    maker: "haproxy",
    ownBody:
      /^<html><body><h1>\d{3} [^<]*<\/h1>\n(No server is available|The server didn't|The server returned|Your browser sent|Request forbidden|Your browser didn't|An internal server error|Request too large)/,
  },
  {
    maker: "traefik",
    ownBody: /^404 page not found\n?$|^(Bad Gateway|Gateway Timeout|Service Unavailable)$/,
  },
];

/** The product that shows in an answer; null where none does. */
export function makerOf(answer: Answer | null, body: string): Maker | null {
  if (answer === null) return null;
  const servers = [header(answer, "server"), header(answer, "via")].filter((text) => text !== undefined);
  const mark = MARKS.find(
    ({ server, ownBody }) =>
      (server !== undefined && servers.some((text) => server.test(text))) || ownBody?.test(body) === true,
  );
  return mark?.maker ?? null;
}

/** What the page calls the program that has written it, where that is one of nginx's relatives. */
export function writerOf(body: string): string | null {
  return /<hr><center>(nginx|openresty|tengine|wsgate)/i.exec(body)?.[1] ?? null;
}

/** Whether the page was written by the product in front: the request has not come further. */
export function isOwnPage(answer: Answer | null, body: string): boolean {
  if (answer === null) return false;
  if (MARKS.some(({ ownBody }) => ownBody?.test(body) === true)) return true;
  // Caddy answers what no route takes, and what no backend takes, with an empty body.
  const server = header(answer, "server") ?? "";
  return /^caddy$/i.test(server) && body === "" && answer.status >= 400;
}

/** Words by which programs say that they got no upgrade. */
const UPGRADE_MISSED: readonly RegExp[] = [
  /can "upgrade" only to "websocket"/i,
  /"connection" must be "upgrade"/i,
  /token not found in 'connection' header/i,
  /(missing|invalid|no|without)[\s\w"'`-]{0,20}\b(upgrade|connection) header/i,
  /header (upgrade|connection)[\w\s]* (missing|invalid)/i,
  /not a (valid )?websocket (handshake|request|upgrade)/i,
  /upgrade required/i,
  /expected (a )?websocket/i,
  /websocket (upgrade|handshake|connection) (is )?(expected|required)/i,
  /this (service|endpoint) (requires|only accepts)[\w\s]* websocket/i,
  /"code":3,"message":"bad request"/i,
];

/** The words in a body that say that no upgrade has arrived. */
export function upgradeMissedIn(body: string): string | null {
  for (const pattern of UPGRADE_MISSED) {
    const match = pattern.exec(body);
    if (match !== null) return match[0];
  }
  return null;
}

/** The path that the application says it was asked for: `Cannot GET /chat` (Express), `"path":"/chat"` (Spring). */
export function pathSeenByApplication(body: string): string | null {
  const match = /Cannot GET (\/[^\s<"]*)/.exec(body) ?? /"path"\s*:\s*"(\/[^"]*)"/.exec(body);
  return match?.[1] ?? null;
}
