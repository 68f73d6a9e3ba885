import type { Request } from "../compile/request.ts";

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
    `request: "${requestLine(request)}"${upstream}${hostPart}${referrerPart}`
  );
}

/** `$request`: the request line as the client sent it. */
export function requestLine(request: Request): string {
  const { method, target, versionMinor } = request.head;
  return method === "" ? "" : `${method} ${printable(target)} HTTP/1.${versionMinor}`;
}

/** A client must not be able to make log lines of its own, nor to speak to a terminal. */
function printable(text: string): string {
  return text.replace(
    /[\x00-\x1f\x7f"\\]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`,
  );
}
