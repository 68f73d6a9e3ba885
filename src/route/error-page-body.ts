import type { ByteString } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import { reasonPhrase } from "../http/status.ts";

/** What nginx adds to the title of its own statuses. */
const EXPLANATIONS: ReadonlyMap<number, string> = new Map([
  [494, "Request Header Or Cookie Too Large"],
  [495, "The SSL certificate error"],
  [496, "No required SSL certificate was sent"],
  [497, "The plain HTTP request was sent to HTTPS port"],
]);

/** Statuses that nginx has a page for; others are answered with an empty body. */
const HAVE_PAGE: readonly (readonly [first: number, last: number])[] = [
  [301, 303],
  [307, 308],
  [400, 406],
  [408, 416],
  [421, 421],
  [426, 426],
  [429, 429],
  [494, 497],
  [500, 507],
];

const bodies = new Map<string, ByteString>();

/** The page for a status that nobody else has a page for, in nginx's form; null for statuses without one. */
export function errorPageBody(status: number, server_tokens: "on" | "off" | "build"): ByteString | null {
  if (!HAVE_PAGE.some(([first, last]) => status >= first && status <= last)) return null;
  const product = server_tokens === "off" ? "wsgate" : `wsgate/${VERSION}`;
  const key = `${status} ${product}`;
  let body = bodies.get(key);
  if (body === undefined) bodies.set(key, (body = makeBody(status, product)));
  return body;
}

function makeBody(status: number, product: string): ByteString {
  const explanation = EXPLANATIONS.get(status);
  const shown = explanation === undefined ? status : 400;
  // nginx calls 302 "Moved Temporarily" in the status line and "Found" on its page.
  const reason = shown === 302 ? "Found" : reasonPhrase(shown);
  const title = explanation === undefined ? `${status} ${reason}` : `400 ${explanation}`;
  const heading = `${shown} ${reason}`;
  return [
    "<html>",
    `<head><title>${title}</title></head>`,
    "<body>",
    `<center><h1>${heading}</h1></center>`,
    ...(explanation === undefined ? [] : [`<center>${explanation}</center>`]),
    `<hr><center>${product}</center>`,
    "</body>",
    "</html>",
    "",
  ].join("\r\n");
}
