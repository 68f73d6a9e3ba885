/** The page that opens the WebSocket: its scheme, and what its Content-Security-Policy lets it connect to. */
import type { ConnectionOptions } from "node:tls";
import { exchange, header } from "./exchange.ts";
import { isLoopback, type Target } from "./url.ts";
import { serverName } from "./wire.ts";

export interface PageStep {
  readonly url: string;
  /** A page over https that would open a WebSocket without TLS, to a host for which browsers make no exception. */
  readonly isMixedContent: boolean;
  /** The policies that came with the page; empty where there are none, or it was not to be had. */
  readonly policies: readonly string[];
  /** The directive that forbids the WebSocket, as it stands in the policy; null where none does. */
  readonly forbidding: string | null;
}

export async function probePage(
  pageUrl: URL,
  target: Target,
  tls: ConnectionOptions,
  timeoutMs: number,
): Promise<PageStep> {
  const policies = await fetchPolicies(pageUrl, tls, timeoutMs);
  const forbidding = policies.map((policy) => forbiddingDirective(policy, pageUrl, target));
  return {
    url: pageUrl.href,
    isMixedContent: pageUrl.protocol === "https:" && target.scheme === "ws" && !isLoopback(target.host),
    policies,
    forbidding: forbidding.find((directive) => directive !== null) ?? null,
  };
}

async function fetchPolicies(
  page: URL,
  tls: ConnectionOptions,
  timeoutMs: number,
): Promise<readonly string[]> {
  const isTls = page.protocol === "https:";
  const host = page.hostname.replace(/^\[|\]$/g, "");
  const port = page.port === "" ? (isTls ? 443 : 80) : Number(page.port);
  const route = { address: host, port, tls: isTls ? { ...tls, servername: serverName(host) } : null };
  const head = `GET ${page.pathname}${page.search} HTTP/1.1\r\nHost: ${page.host}\r\nAccept: text/html\r\n`;
  const { outcome } = await exchange(route, `${head}Connection: close\r\n\r\n`, timeoutMs);
  if (outcome.kind !== "answer") return [];
  const inHead = header(outcome.answer, "content-security-policy");
  const inBody = [
    ...outcome.body.matchAll(
      /<meta[^>]+http-equiv=["']?content-security-policy["']?[^>]+content="([^"]*)"/gi,
    ),
  ].map(([, policy = ""]) => policy);
  return [...(inHead === undefined ? [] : inHead.split(",")), ...inBody].map((policy) => policy.trim());
}

/** The directive that forbids the target: connect-src, or default-src in its stead, must list it (CSP level 3, section 6.7). */
export function forbiddingDirective(policy: string, page: URL, target: Target): string | null {
  const directives = policy.split(";").map((text) => text.trim());
  const find = (name: string): string | undefined =>
    directives.find((text) => text.toLowerCase().split(/\s+/)[0] === name);
  const directive = find("connect-src") ?? find("default-src");
  if (directive === undefined) return null;
  const sources = directive.split(/\s+/).slice(1);
  return sources.some((source) => matchesSource(source.toLowerCase(), page, target)) ? null : directive;
}

function matchesSource(source: string, page: URL, target: Target): boolean {
  if (source === "'self'") {
    const isSecureEnough = page.protocol === "http:" || target.scheme === "wss";
    return isSecureEnough && page.host === target.authority;
  }
  if (source === "*") return true;
  if (/^[a-z][a-z0-9+.-]*:$/.test(source)) return source === `${target.scheme}:` || source === "ws:";
  const parts = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\[[^\]]+\]|[^:/]+)(?::(\d+|\*))?/.exec(source);
  if (parts === null || source.startsWith("'")) return false;
  const [, scheme, host = "", port] = parts;
  if (scheme !== undefined && scheme !== target.scheme && !(scheme === "ws" && target.scheme === "wss"))
    return false;
  if (scheme === undefined && page.protocol === "https:" && target.scheme === "ws") return false;
  const defaultPort = target.scheme === "wss" ? 443 : 80;
  const isPort = port === "*" || Number(port ?? defaultPort) === target.port;
  const bare = host.replace(/^\[|\]$/g, "");
  return isPort && (bare.startsWith("*.") ? target.host.endsWith(bare.slice(1)) : bare === target.host);
}
