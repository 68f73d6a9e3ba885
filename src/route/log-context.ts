import type { Request } from "../compile/request.ts";
import { requestLine } from "../http/request-line.ts";

/**
 * Adds nginx's context to an error log message: `*7 message while …, client: …, server: …, request: …, upstream: …,
 * host: …`, so that one line tells which hop and which step is meant.
 */
export function withContext(request: Request, message: string): string {
  const { connection, head, server } = request;
  const doing = request.activity === null ? "" : ` while ${request.activity}`;
  const upstream = request.upstreamUrl === null ? "" : `, upstream: "${request.upstreamUrl}"`;
  const host = head.headers.get("host");
  const hostPart = host === undefined ? "" : `, host: "${printable(host)}"`;
  const referrer = head.headers.get("referer");
  const referrerPart = referrer === undefined ? "" : `, referrer: "${printable(referrer)}"`;
  return (
    `*${connection.serial} ${message}${doing}, client: ${connection.remoteAddress}, server: ${server.name}, ` +
    `request: "${printable(requestLine(head))}"${upstream}${hostPart}${referrerPart}`
  );
}

/** A client must not be able to make log lines of its own, nor to speak to a terminal. */
function printable(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f"\\]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
}
