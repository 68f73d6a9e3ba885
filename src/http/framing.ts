import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import type { HeadRule } from "./head-error.ts";
import type { HeaderList } from "./header-list.ts";
import { CONTENT_LENGTH, TRANSFER_ENCODING } from "./header-names.ts";

/** How the end of a message's body is known (RFC 9112 section 6.3). */
export type Framing =
  | { readonly kind: "none" }
  /** `length` bytes, 0 among them: the message said `Content-Length: 0`, which `none` did not. */
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  /** Only responses: the body ends with the connection. */
  | { readonly kind: "until-close" };

export const NO_BODY: Framing = { kind: "none" };
export const CHUNKED: Framing = { kind: "chunked" };
export const UNTIL_CLOSE: Framing = { kind: "until-close" };

/**
 * What `Content-Length` and `Transfer-Encoding` say, before method and status have their say; null if they say nothing.
 * Both together, either of them twice, and a transfer coding besides `chunked` are refused: each is a way to make two
 * servers disagree about where the next message begins (RFC 9112 section 11.2).
 *
 * `seen` and `repeated` are the roles that occur, and that occur more than once (see header-names.ts).
 */
export function declaredFraming(
  headers: HeaderList,
  seen: number,
  repeated: number,
): Framing | HeadRule | null {
  if ((seen & (CONTENT_LENGTH | TRANSFER_ENCODING)) === 0) return null;
  if ((repeated & CONTENT_LENGTH) !== 0) return "duplicate-content-length";
  if ((repeated & TRANSFER_ENCODING) !== 0) return "duplicate-transfer-encoding";

  if ((seen & TRANSFER_ENCODING) !== 0) {
    const coding = asciiLowerCase(headers.get("transfer-encoding") ?? "");
    if (coding !== "chunked") return "unknown-transfer-encoding";
    return (seen & CONTENT_LENGTH) === 0 ? CHUNKED : "length-and-transfer-encoding";
  }

  const length = parseContentLength(headers.get("content-length") ?? "");
  return length === null ? "invalid-content-length" : { kind: "length", length };
}

/** Digits only, no sign, no list, at most 2^53 - 1; otherwise null. */
export function parseContentLength(value: ByteString): number | null {
  if (value.length === 0 || value.length > 16) return null;
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return null;
    length = length * 10 + digit;
  }
  return Number.isSafeInteger(length) ? length : null;
}

/**
 * The framing of a response (RFC 9112 section 6.3): none to HEAD, with 1xx, 204 and 304, or after a successful CONNECT,
 * whatever its fields say; otherwise as declared, and until the connection closes if nothing is.
 */
export function responseFraming(
  requestMethod: ByteString,
  status: number,
  declared: Framing | null,
): Framing {
  if (status < 200 || status === 204 || status === 304 || requestMethod === "HEAD") return NO_BODY;
  if (requestMethod === "CONNECT" && status < 300) return NO_BODY;
  return declared ?? UNTIL_CLOSE;
}
