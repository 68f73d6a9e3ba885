import type { ByteString } from "../base/bytes.ts";
import { HEX_VALUES } from "./tokens.ts";

/** Paths normalized as nginx's locations see them, and the escaping that nginx applies when it builds URIs. */

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;

/** Where normalization stands: after an ordinary byte, after a slash, after `/.`, after `/..`. */
type PathState = "usual" | "slash" | "dot" | "dot-dot";

/**
 * The path as locations match it (`$uri`), as by ngx_http_parse_complex_uri: percent-encoded bytes decoded, `.` and `..`
 * resolved, and runs of slashes merged when `mergeSlashes` says so. Null, to be answered with 400, for an escape that is
 * not two hexadecimal digits, for `%00`, for a path that climbs above the root, and for one that does not start there.
 */
export function normalizePath(rawPath: ByteString, mergeSlashes: boolean): ByteString | null {
  if (rawPath.charCodeAt(0) !== SLASH) return null;
  return isNormal(rawPath) ? rawPath : normalize(rawPath, mergeSlashes);
}

/** Whether a path holds nothing to decode, resolve or merge. */
function isNormal(path: ByteString): boolean {
  let previous = 0;
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code === PERCENT || (previous === SLASH && (code === SLASH || code === DOT))) return false;
    previous = code;
  }
  return true;
}

function normalize(rawPath: ByteString, mergeSlashes: boolean): ByteString | null {
  // Nothing grows by being normalized.
  const out = Buffer.allocUnsafe(rawPath.length);
  let length = 0;
  let state: PathState = "usual";
  for (let i = 0; i <= rawPath.length; i++) {
    const atEnd = i === rawPath.length;
    let byte = atEnd ? SLASH : rawPath.charCodeAt(i);
    // An escaped `%`, `?` or `#` is an ordinary byte; every other counts as if it had been sent unescaped, slash and dot too.
    if (byte === PERCENT) {
      byte = decodeEscape(rawPath, i);
      if (byte <= 0) return null;
      i += 2;
    }
    if (byte === SLASH && state === "dot-dot") {
      length = parentLength(out, length);
      if (length < 0) return null;
      state = "slash";
    } else if (byte === SLASH && state === "dot") {
      length--;
      state = "slash";
    } else if (!atEnd) {
      if (byte !== SLASH || state !== "slash" || !mergeSlashes) out[length++] = byte;
      state = nextState(state, byte);
    }
  }
  return out.toString("latin1", 0, length);
}

function nextState(state: PathState, byte: number): PathState {
  if (byte === SLASH) return "slash";
  if (byte === DOT && state === "slash") return "dot";
  if (byte === DOT && state === "dot") return "dot-dot";
  return "usual";
}

/** The length of what is left of `out[0, length)`, which ends in `/..`, once its last segment is gone; or -1. */
function parentLength(out: Uint8Array, length: number): number {
  for (let at = length - 4; at >= 0; at--) {
    if (out[at] === SLASH) return at + 1;
  }
  return -1;
}

/** The byte that the escape at `at` stands for, or -1 if it is none. */
function decodeEscape(text: ByteString, at: number): number {
  const high = HEX_VALUES[text.charCodeAt(at + 1)] ?? 255;
  const low = HEX_VALUES[text.charCodeAt(at + 2)] ?? 255;
  return high < 16 && low < 16 ? high * 16 + low : -1;
}

/** Which bytes to escape, by where the text is to stand: nginx's NGX_ESCAPE_URI, NGX_ESCAPE_ARGS, NGX_ESCAPE_URI_COMPONENT. */
export type EscapeKind = "uri" | "args" | "component";

const ESCAPED: Readonly<Record<EscapeKind, Uint8Array>> = {
  uri: escapeTable((char) => ' "#%<>?\\^`{|}'.includes(char)),
  args: escapeTable((char) => ' "#%&+;<>?\\^`{|}'.includes(char)),
  component: escapeTable((char) => !/[A-Za-z0-9._~-]/.test(char)),
};
const ESCAPED_IN_TARGET = new Uint8Array(256).map((_, byte) => (byte <= 0x20 || byte === 0x7f ? 1 : 0));

/** 1 for control bytes, bytes from 0x7f, and the visible ones that `isEscaped` names. */
function escapeTable(isEscaped: (char: string) => boolean): Uint8Array {
  return new Uint8Array(256).map((_, byte) =>
    byte < 0x20 || byte >= 0x7f || isEscaped(String.fromCharCode(byte)) ? 1 : 0,
  );
}

/** Escapes as ngx_escape_uri. */
export function escapeUri(text: ByteString, kind: EscapeKind): ByteString {
  return escapeBytes(text, ESCAPED[kind]);
}

/** Escapes only what would end a request target: spaces and control bytes. */
export function escapeTarget(target: ByteString): ByteString {
  return escapeBytes(target, ESCAPED_IN_TARGET);
}

function escapeBytes(text: ByteString, table: Uint8Array): ByteString {
  let escaped = "";
  let done = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (table[code] !== 1) continue;
    escaped += `${text.slice(done, i)}%${code < 16 ? "0" : ""}${code.toString(16).toUpperCase()}`;
    done = i + 1;
  }
  return done === 0 ? text : escaped + text.slice(done);
}
