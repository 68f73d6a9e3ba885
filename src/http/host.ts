import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import { DIGITS, LETTERS } from "./tokens.ts";

/** A host and perhaps a port, as in the `Host` field and in targets in absolute and authority form. */
export interface Authority {
  /** As nginx keeps it in `$host`: in lower case, without port and without a dot at its end; `[::1]` with its brackets. */
  readonly host: ByteString;
  /** From 0 to 65535; null if there was none. */
  readonly port: number | null;
}

/** The bytes of a reg-name (RFC 3986 section 3.2.2), and 0x80 to 0xff, which clients send that know no IDNA. */
const NAME_BYTES = new Uint8Array(256).fill(1, 0x80);
/** The bytes between the brackets of an IP literal. */
const LITERAL_BYTES = new Uint8Array(256);
for (const char of `${DIGITS}${LETTERS}-._~!$&'()*+,;=`) {
  NAME_BYTES[char.charCodeAt(0)] = 1;
  LITERAL_BYTES[char.charCodeAt(0)] = 1;
}
NAME_BYTES["%".charCodeAt(0)] = 1;
LITERAL_BYTES[":".charCodeAt(0)] = 1;

/**
 * Splits and checks `host[:port]`; null if it is malformed. As nginx's ngx_http_validate_host, an empty host and two dots
 * in a row are refused; beyond it, so are userinfo, whitespace, other delimiters, and a port that is not a number.
 */
export function parseAuthority(text: ByteString): Authority | null {
  const hostEnd = text.charCodeAt(0) === 0x5b ? literalEnd(text) : nameEnd(text);
  if (hostEnd <= 0) return null;
  const port = hostEnd === text.length ? null : parsePort(text, hostEnd);
  if (port === undefined) return null;
  const dotted = text.charCodeAt(hostEnd - 1) === 0x2e;
  const host = text.slice(0, dotted ? hostEnd - 1 : hostEnd);
  return host === "" ? null : { host: asciiLowerCase(host), port };
}

/** Where the name at the start of `text` ends, or -1 if it has two dots in a row. */
function nameEnd(text: ByteString): number {
  let previous = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (NAME_BYTES[code] !== 1) return i;
    if (code === 0x2e && previous === 0x2e) return -1;
    previous = code;
  }
  return text.length;
}

/** The position after the closing bracket, or -1. */
function literalEnd(text: ByteString): number {
  for (let i = 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5d) return i > 1 ? i + 1 : -1;
    if (LITERAL_BYTES[code] !== 1) return -1;
  }
  return -1;
}

/** The port after the colon at `colon`: null for none (`host:`), undefined for anything but a port. */
function parsePort(text: ByteString, colon: number): number | null | undefined {
  if (text.charCodeAt(colon) !== 0x3a) return undefined;
  if (colon + 1 === text.length) return null;
  let port = 0;
  for (let i = colon + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    port = port * 10 + digit;
    if (port > 65535) return undefined;
  }
  return port;
}
