import type { ByteString } from "../base/bytes.ts";
import type { HeaderList } from "./header-list.ts";
import { withoutControls } from "./tokens.ts";
import { escapeTarget } from "./uri.ts";

/**
 * Writes heads in their canonical form: one space, CR LF, no folding, names as they stand in the list. What a
 * {@link HeaderList} holds cannot break out of its line, nor can the target or the reason here; so nothing that a client,
 * an upstream or a variable put in makes a second header or a second message.
 */

/** The whole head of a request, its empty line included, for one write. `target` may hold any bytes. */
export function writeRequestHead(
  method: ByteString,
  target: ByteString,
  versionMinor: 0 | 1,
  headers: HeaderList,
): ByteString {
  return `${method} ${escapeTarget(target)} HTTP/1.${versionMinor}\r\n${headers.toLines()}\r\n`;
}

/** The whole head of a response. It is always HTTP/1.1, whatever the request's version (RFC 9110 section 6.2). */
export function writeResponseHead(status: number, reason: ByteString, headers: HeaderList): ByteString {
  return `HTTP/1.1 ${status} ${withoutControls(reason)}\r\n${headers.toLines()}\r\n`;
}
