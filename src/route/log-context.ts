import type { Request } from "../compile/request.ts";
import { requestLine } from "../http/request-line.ts";

/**
 * Adds nginx's context to an error log message: `*7 message while …, client: …, server: …, request: …, upstream: …,
 * host: …`, so that one line tells which hop and which step is meant.
 */
export function withContext(request: Request, message: string): string {
  const { connection, head, server } = request;
  const doing = request.activity === null ? "" : ` while ${request.activity}`;
  const upstream = request.upstreamUrl === null ? "" : `, upstream: "${quotable(request.upstreamUrl)}"`;
  const host = head.headers.get("host");
  const hostPart = host === undefined ? "" : `, host: "${quotable(host)}"`;
  const referrer = head.headers.get("referer");
  const referrerPart = referrer === undefined ? "" : `, referrer: "${quotable(referrer)}"`;
  return withoutControls(
    `*${connection.serial} ${message}${doing}, client: ${connection.remoteAddress}, server: ${server.name}, ` +
      `request: "${quotable(requestLine(head))}"${upstream}${hostPart}${referrerPart}`,
  );
}

/**
 * A client must not be able to make log lines of its own, nor to speak to a terminal: a decoded path, which messages and
 * targets may hold, can have any byte in it.
 */
function withoutControls(line: string): string {
  return line.replace(/[\x00-\x1f\x7f]/g, hexEscape);
}

/** Nor must what it has sent seem to end before its end. */
function quotable(text: string): string {
  return text.replace(/["\\]/g, hexEscape);
}

function hexEscape(byte: string): string {
  return `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase()}`;
}
