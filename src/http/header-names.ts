import type { ByteString } from "../base/bytes.ts";
import { isToken } from "./tokens.ts";

/**
 * Names of header fields that traffic is made of. The parser recognizes them by a hash that falls out of its scan, so that
 * a usual head needs neither a new string nor a change of case for its names; every other name takes the plain way.
 */

/** The fields the codec itself reads, as bits: a head notes which it has, and which more than once. */
export const HOST = 1;
export const CONNECTION = 2;
export const CONTENT_LENGTH = 4;
export const TRANSFER_ENCODING = 8;
export const UPGRADE = 16;
export const EXPECT = 32;

/** Fields that a client may send once, beside those above: nginx answers a second one with 400. */
const SINGLE_FIELDS = [
  "authorization",
  "content-range",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
];
const FIRST_SINGLE_BIT = 64;

const ROLES: ReadonlyMap<ByteString, number> = new Map([
  ["host", HOST],
  ["connection", CONNECTION],
  ["content-length", CONTENT_LENGTH],
  ["transfer-encoding", TRANSFER_ENCODING],
  ["upgrade", UPGRADE],
  ["expect", EXPECT],
  ...SINGLE_FIELDS.map((name, i): [ByteString, number] => [name, FIRST_SINGLE_BIT << i]),
]);

/** The bits of all fields that a request may have only once and that have no rule of their own. */
export const SINGLE_IN_REQUESTS: number =
  EXPECT | SINGLE_FIELDS.reduce((bits, _, i) => bits | (FIRST_SINGLE_BIT << i), 0);

export interface KnownHeader {
  /** The usual spelling, as in `Content-Length`. */
  readonly name: ByteString;
  readonly lower: ByteString;
  /** The bit of a field that the codec reads or that may occur only once, otherwise 0. */
  readonly role: number;
}

const NAMES = `
  Host Connection Content-Length Transfer-Encoding Upgrade Expect Trailer TE Keep-Alive Proxy-Connection
  Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials
  Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin Access-Control-Expose-Headers
  Access-Control-Max-Age Access-Control-Request-Headers Access-Control-Request-Method Age Allow Alt-Svc Authorization
  Cache-Control CF-Connecting-IP CF-Ray Content-Disposition Content-Encoding Content-Language Content-Location
  Content-Range Content-Security-Policy Content-Type Cookie Date DNT ETag Expires Forwarded From If-Match
  If-Modified-Since If-None-Match If-Range If-Unmodified-Since Last-Modified Link Location Max-Forwards NEL Origin
  Permissions-Policy Pragma Priority Proxy-Authenticate Proxy-Authorization Range Referer Referrer-Policy Report-To
  Retry-After Sec-CH-UA Sec-CH-UA-Mobile Sec-CH-UA-Platform Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User
  Sec-GPC Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key Sec-WebSocket-Protocol Sec-WebSocket-Version
  Server Server-Timing Set-Cookie Strict-Transport-Security Traceparent Tracestate Upgrade-Insecure-Requests User-Agent
  Vary Via WWW-Authenticate X-Accel-Buffering X-Accel-Charset X-Accel-Expires X-Accel-Limit-Rate X-Accel-Redirect
  X-Content-Type-Options X-Forwarded-For X-Forwarded-Host X-Forwarded-Port X-Forwarded-Proto X-Forwarded-Server
  X-Frame-Options X-Powered-By X-Real-IP X-Request-ID X-Requested-With X-XSS-Protection
`;

/** All known headers; an index into this array is how the parser remembers one. */
export const KNOWN_HEADERS: readonly KnownHeader[] = NAMES.trim()
  .split(/\s+/)
  .map((name) => {
    const lower = name.toLowerCase();
    return { name, lower, role: ROLES.get(lower) ?? 0 };
  });

const lowerBySpelling: ReadonlyMap<ByteString, ByteString> = new Map(
  KNOWN_HEADERS.flatMap((known) => [[known.name, known.lower] as const, [known.lower, known.lower] as const]),
);

/** A header name in lower case. Tokens are ASCII, so that this changes A to Z and nothing else. */
export function lowerHeaderName(name: ByteString): ByteString {
  return lowerBySpelling.get(name) ?? name.toLowerCase();
}

/** Whether `name` may name a field: any token may. */
export function isHeaderName(name: ByteString): boolean {
  return lowerBySpelling.has(name) || isToken(name);
}

/** How a known name was spelled: in the usual way, in lower case, or otherwise. */
export const USUAL_SPELLING = 0;
export const LOWER_SPELLING = 1;
const OTHER_SPELLING = 2;
/** What {@link recognizeHeaderName} returns holds the spelling in its low bits, the index above them. */
const SPELLING_BITS = 2;
const SPELLING_MASK = 3;

// An open hash table over the lower-case names: a slot holds an index plus one, 0 is empty.
const SLOT_MASK = 1023;
const slots = new Int16Array(SLOT_MASK + 1);
const usualBytes: readonly Uint8Array[] = KNOWN_HEADERS.map((known) => Buffer.from(known.name, "latin1"));
const lowerBytes: readonly Uint8Array[] = KNOWN_HEADERS.map((known) => Buffer.from(known.lower, "latin1"));

/** Continues the hash of a name by its next byte, which must be in lower case. Starts at 0. */
export function nextNameHash(hash: number, lowerByte: number): number {
  return (Math.imul(hash, 31) + lowerByte) | 0;
}

for (const [index, bytes] of lowerBytes.entries()) {
  let slot = bytes.reduce(nextNameHash, 0) & SLOT_MASK;
  while (slots[slot] !== 0) slot = (slot + 1) & SLOT_MASK;
  slots[slot] = index + 1;
}

/**
 * Recognizes the name in `bytes[start, end)` whose {@link nextNameHash} is `hash`, in whatever spelling, for
 * {@link knownHeader} and {@link spellingOf} to read; -1 for another name.
 */
export function recognizeHeaderName(bytes: Uint8Array, start: number, end: number, hash: number): number {
  const length = end - start;
  for (let slot = hash & SLOT_MASK; ; slot = (slot + 1) & SLOT_MASK) {
    const index = (slots[slot] ?? 0) - 1;
    const usual = usualBytes[index];
    const lower = lowerBytes[index];
    if (usual === undefined || lower === undefined) return -1;
    if (lower.length !== length) continue;
    const recognized = index << SPELLING_BITS;
    if (equalBytes(bytes, start, usual)) return recognized | USUAL_SPELLING;
    if (equalBytes(bytes, start, lower)) return recognized | LOWER_SPELLING;
    if (equalLetters(bytes, start, lower)) return recognized | OTHER_SPELLING;
  }
}

/** The header that was recognized, if one was. */
export function knownHeader(recognized: number): KnownHeader | undefined {
  return KNOWN_HEADERS[recognized >> SPELLING_BITS];
}

export function spellingOf(recognized: number): number {
  return recognized & SPELLING_MASK;
}

function equalBytes(bytes: Uint8Array, start: number, expected: Uint8Array): boolean {
  for (let i = 0; i < expected.length; i++) {
    if (bytes[start + i] !== expected[i]) return false;
  }
  return true;
}

/** Compares with a name in lower case, which holds letters, digits and hyphens, without regard to case. */
function equalLetters(bytes: Uint8Array, start: number, lower: Uint8Array): boolean {
  for (let i = 0; i < lower.length; i++) {
    const byte = bytes[start + i] ?? 0;
    const folded = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (folded !== lower[i]) return false;
  }
  return true;
}
