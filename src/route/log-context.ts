import type { Request } from "../compile/request.ts";
import { requestLine } from "../http/request-line.ts";
import { quoted, withoutControls } from "../observe/quoted.ts";

/**
 * Adds nginx's context to an error log message: `*7 message while …, client: …, server: …, request: …, upstream: …,
 * host: …`, so that one line tells which hop and which step is meant.
 */
export function withContext(request: Request, message: string): string {
  const { connection, head, server } = request;
  const doing = request.activity === null ? "" : ` while ${request.activity}`;
  const upstream = request.upstreamUrl === null ? "" : `, upstream: ${quoted(request.upstreamUrl)}`;
  const host = head.headers.get("host");
  const hostPart = host === undefined ? "" : `, host: ${quoted(host)}`;
  const referrer = head.headers.get("referer");
  const referrerPart = referrer === undefined ? "" : `, referrer: ${quoted(referrer)}`;
  // A message may hold a decoded path, and that any byte.
  return withoutControls(
    `*${connection.serial} ${message}${doing}, client: ${connection.remoteAddress}, server: ${server.name}, ` +
      `request: ${quoted(requestLine(head))}${upstream}${hostPart}${referrerPart}`,
  );
}
