import { asciiLowerCase, type ByteString } from "../base/bytes.ts";

/**
 * The small grammar that all of HTTP's fields share (RFC 9110 section 5.6): byte classes as lookup tables, tokens, and
 * comma-separated lists.
 */

/** A table of 256 flags from the bytes of `members`. */
function byteClass(members: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < members.length; i++) table[members.charCodeAt(i)] = 1;
  return table;
}

export const DIGITS = "0123456789";
export const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** 1 for the bytes of a token: letters, digits and ``!#$%&'*+-.^_`|~`` (RFC 9110 section 5.6.2). */
export const TOKEN_BYTES: Uint8Array = byteClass(`${DIGITS}${LETTERS}!#$%&'*+-.^_\`|~`);

/** 1 for the bytes a field value may hold: HTAB, SP, visible ASCII and 0x80 to 0xff (RFC 9110 section 5.5). */
export const FIELD_VALUE_BYTES: Uint8Array = new Uint8Array(256).map((_, byte) =>
  byte === 0x09 || (byte >= 0x20 && byte !== 0x7f) ? 1 : 0,
);

/** The first position in `bytes[at, end)` of a byte that no field value may hold, or `end`. Looks at four at a time. */
export function skipFieldValue(bytes: Uint8Array, at: number, end: number): number {
  const allowed = FIELD_VALUE_BYTES;
  let i = at;
  for (const last = end - 4; i <= last; i += 4) {
    const first = (allowed[bytes[i] ?? 0] ?? 0) & (allowed[bytes[i + 1] ?? 0] ?? 0);
    if ((first & (allowed[bytes[i + 2] ?? 0] ?? 0) & (allowed[bytes[i + 3] ?? 0] ?? 0)) === 0) break;
  }
  while (i < end && allowed[bytes[i] ?? 0] === 1) i++;
  return i;
}

/** The value of a hexadecimal digit, or 255 for every other byte. */
export const HEX_VALUES: Uint8Array = new Uint8Array(256).map((_, byte) => {
  const value = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(value) ? 255 : value;
});

/** Whether `text` is a token: not empty, and of token bytes only. */
export function isToken(text: ByteString): boolean {
  for (let i = 0; i < text.length; i++) {
    if (TOKEN_BYTES[text.charCodeAt(i)] !== 1) return false;
  }
  return text.length > 0;
}

/**
 * The members of a comma-separated list, without surrounding whitespace; empty members are skipped, as RFC 9110 section
 * 5.6.1.2 asks of a recipient. Commas within quoted strings do not separate.
 */
export function parseList(value: ByteString): readonly ByteString[] {
  const members: ByteString[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= value.length; i++) {
    const code = i < value.length ? value.charCodeAt(i) : 0x2c;
    if (quoted && i < value.length) {
      if (code === 0x5c) i++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) {
      quoted = true;
    } else if (code === 0x2c) {
      const member = trimWhitespace(value.slice(start, i));
      if (member !== "") members.push(member);
      start = i + 1;
    }
  }
  return members;
}

/** The members of a comma-separated list of case-insensitive words, in lower case: `Connection`, `Upgrade`, `TE`. */
export function parseTokenList(value: ByteString): readonly ByteString[] {
  // Nearly every such field names one thing.
  if (!value.includes(",")) {
    const only = asciiLowerCase(trimWhitespace(value));
    return only === "" ? [] : [only];
  }
  return parseList(value).map(asciiLowerCase);
}

const NOT_IN_VALUES = /[^\t\x20-\x7e\x80-\xff]/g;

/** `text` with a space for everything that no field value and no reason may hold (RFC 9110 section 5.5). */
export function withoutControls(text: ByteString): ByteString {
  return text.replace(NOT_IN_VALUES, " ");
}

/** Removes the optional whitespace of RFC 9110 section 5.6.3, SP and HTAB, from both ends. */
export function trimWhitespace(text: ByteString): ByteString {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
