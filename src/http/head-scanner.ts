import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { type HeadError, type HeadRule, headError } from "./head-error.ts";
import { type HeadLimits, LineBudget } from "./head-limits.ts";
import type { HeaderList } from "./header-list.ts";
import { HeaderMarks } from "./header-marks.ts";
import { nextNameHash, recognizeHeaderName } from "./header-names.ts";
import { DIGITS, LETTERS, skipFieldValue, TOKEN_BYTES } from "./tokens.ts";

/**
 * Reads the lines of a head byte by byte: where the parts of the start line and of each header line begin and end, whether
 * every byte may stand where it stands, and whether all of it keeps within its limits. What the parts mean is for
 * head-parser.ts to say. The states:
 *
 *   EMPTY_LINES ──> METHOD ──> TARGET ──> VERSION ─┐                      ┌─────────────────<─────────────────┐
 *              └──> STATUS_LINE ───────────────────┴──> START_LINE_CR ──> NAME ──> SPACE ──> VALUE ──> VALUE_CR
 *                                                                           └──> END_CR ──> done
 *
 * (an LF may stand for CR LF, except in trailers). Each byte is looked at once, however the input is cut, so a head costs
 * time in proportion to its length, and an error shows at the first byte that is wrong.
 */
const EMPTY_LINES = 0;
const EMPTY_LINE_CR = 1;
const METHOD = 2;
const TARGET = 3;
const VERSION = 4;
const STATUS_LINE = 5;
const START_LINE_CR = 6;
const NAME = 7;
const SPACE = 8;
const VALUE = 9;
const VALUE_CR = 10;
const END_CR = 11;

const LF = 0x0a;
const CR = 0x0d;
const SP = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
const DOT = 0x2e;
const UNDERSCORE = 0x5f;
const DEL = 0x7f;

/** RFC 9112 section 2.2 asks a server to skip at least one empty line before a request; old clients send one after a body. */
const EMPTY_LINES_MAX = 16;
const VERSION_LENGTH = "HTTP/1.1".length;
const VERSION_PREFIX: Uint8Array = Buffer.from("HTTP/", "latin1");
const STATUS_LINE_PREFIX: Uint8Array = Buffer.from("HTTP/1.", "latin1");

/** nginx's rule for methods: upper-case letters, `_` and `-`. */
const METHOD_BYTES = new Uint8Array(256);
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") METHOD_BYTES[char.charCodeAt(0)] = 1;

/** Nothing but spaces and control bytes ends a target (as in nginx), and `#`, which has no place in one. */
const TARGET_BYTES = new Uint8Array(256).map((_, byte) =>
  byte > 0x20 && byte !== 0x7f && byte !== 0x23 ? 1 : 0,
);

/** The lower case of what nginx takes for a usual name (letters, digits, hyphen), 0 for every other byte. */
const USUAL_NAME_BYTES = new Uint8Array(256);
for (const char of `${DIGITS}${LETTERS}-`) {
  USUAL_NAME_BYTES[char.charCodeAt(0)] = char.toLowerCase().charCodeAt(0);
}

/** What is done about header names that are valid tokens but unusual. */
export interface HeaderNameRules {
  /**
   * `ignore_invalid_headers`: lines whose name holds anything but letters, digits, hyphens and (if permitted) underscores
   * are dropped. When off, such names pass if they are tokens, and are refused otherwise.
   */
  readonly ignoreInvalidHeaders: boolean;
  /** `underscores_in_headers`: when off, a name with an underscore is invalid. */
  readonly underscoresInHeaders: boolean;
}

export type ScanKind = "request" | "response" | "trailers";
export type ScanState = "more" | "done" | "error";

/** A head as far as it has arrived. */
export interface ReceivedHead {
  /** The first line, or the beginning of it. */
  readonly startLine: ByteString;
  /** The header lines that were complete. */
  readonly headers: HeaderList;
}

const NOTHING: Buffer = Buffer.alloc(0);

/** The line reader beneath the head parsers and the trailers of a chunked body. Reusable after {@link reset}. */
export class HeadScanner {
  readonly #kind: ScanKind;
  readonly #nameRules: HeaderNameRules;
  readonly #budget: LineBudget;
  readonly #marks = new HeaderMarks();

  state: ScanState = "more";
  error: HeadError | null = null;
  /** When done: the whole head from its first line to its empty line. */
  text: ByteString = "";
  /** Offsets into {@link text}: the end of the method, the start and end of the target, and the end of the start line. */
  methodEnd = 0;
  targetEnd = 0;
  startLineEnd = 0;
  /** Of a request: 0 for HTTP/1.0, 1 for every later 1.x. */
  versionMinor: 0 | 1 = 1;
  /** Bytes consumed, leading empty lines included. */
  bytes = 0;

  #phase = 0;
  #emptyLines = 0;
  /** Where the line being read began, and what is known of it if it is a header line; offsets into the head. */
  #lineStart = 0;
  #nameHash = 0;
  #nameEnd = 0;
  #nameIsUnusual = false;
  #valueStart = 0;
  /** The bytes of a head that did not arrive in one piece. */
  #pending: Buffer = NOTHING;
  #pendingLength = 0;

  constructor(kind: ScanKind, nameRules: HeaderNameRules, limits: HeadLimits) {
    this.#kind = kind;
    this.#nameRules = nameRules;
    this.#budget = new LineBudget(limits);
    this.reset(limits);
  }

  /** Makes ready for the next head. */
  reset(limits?: HeadLimits): void {
    this.#budget.reset(limits);
    this.#marks.clear();
    this.state = "more";
    this.error = null;
    this.text = "";
    this.bytes = 0;
    this.#phase = this.#kind === "trailers" ? NAME : EMPTY_LINES;
    this.#emptyLines = 0;
    this.#lineStart = 0;
    this.#nameHash = 0;
    this.#nameIsUnusual = false;
    this.#pending = NOTHING;
    this.#pendingLength = 0;
  }

  /** Whether nothing of a head has arrived yet, empty lines aside. */
  get idle(): boolean {
    return this.#pendingLength === 0 && this.#phase <= EMPTY_LINE_CR;
  }

  /** Reads from `buffer[start, end)` up to the end of the head and returns how many bytes were used. */
  execute(buffer: Buffer, start: number, end: number): number {
    assert(this.state === "more", "a head is read only once");
    let at = start;
    if (this.#phase <= EMPTY_LINE_CR) at = this.#skipEmptyLines(buffer, start, end);
    if (at < end && this.state === "more") {
      at =
        this.#pendingLength === 0 ? this.#scanInPlace(buffer, at, end) : this.#scanPending(buffer, at, end);
    }
    this.bytes += at - start;
    return at - start;
  }

  /** What has arrived: for the logs, where a head is no good or never comes whole. */
  received(): ReceivedHead {
    const text = this.text === "" ? this.#pending.toString("latin1", 0, this.#pendingLength) : this.text;
    const lineEnd = text.search(/[\r\n]/);
    return { startLine: lineEnd < 0 ? text : text.slice(0, lineEnd), headers: this.#marks.toList(text) };
  }

  /** The header fields; only when done. */
  headers(): HeaderList {
    return this.#marks.toList(this.text);
  }

  /** Which fields with a role {@link headers} found, and which more than once (bits of header-names.ts). */
  get seen(): number {
    return this.#marks.seen;
  }

  get repeated(): number {
    return this.#marks.repeated;
  }

  /** Consumes empty lines before a start line, and leaves the first byte of anything else. */
  #skipEmptyLines(buffer: Buffer, start: number, end: number): number {
    let at = start;
    for (; at < end; at++) {
      const byte = buffer[at] ?? 0;
      if (byte === LF) {
        this.#phase = EMPTY_LINES;
        if (++this.#emptyLines > EMPTY_LINES_MAX) return this.#fail("too-many-empty-lines", at, at);
      } else if (this.#phase === EMPTY_LINE_CR) {
        return this.#fail("bare-cr", at, at);
      } else if (byte === CR) {
        this.#phase = EMPTY_LINE_CR;
      } else {
        this.#phase = this.#kind === "request" ? METHOD : STATUS_LINE;
        break;
      }
    }
    return at;
  }

  /** The usual case: the head lies in the buffer that was read from the socket, and nothing is copied. */
  #scanInPlace(buffer: Buffer, start: number, end: number): number {
    const at = this.#scan(buffer, start, start, end);
    if (this.state === "done") {
      this.text = buffer.toString("latin1", start, at);
    } else {
      // Of a head that is no good the log wants the start line, which may go on after the error.
      const kept = this.state === "more" ? at : Math.min(end, start + this.#budget.headBytesMax);
      this.#keep(buffer, start, kept);
    }
    return at;
  }

  /** The head came in pieces: they are put together, and reading goes on where it stopped. */
  #scanPending(buffer: Buffer, start: number, end: number): number {
    const before = this.#pendingLength;
    this.#keep(buffer, start, Math.min(end, start + this.#budget.headBytesMax - before));
    const at = this.#scan(this.#pending, 0, before, this.#pendingLength);
    if (this.state === "done") this.text = this.#pending.toString("latin1", 0, at);
    return start + (at - before);
  }

  #keep(buffer: Buffer, start: number, end: number): void {
    const length = this.#pendingLength + end - start;
    if (length > this.#pending.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(256, length, this.#pending.length * 2));
      this.#pending.copy(larger, 0, 0, this.#pendingLength);
      this.#pending = larger;
    }
    buffer.copy(this.#pending, this.#pendingLength, start, end);
    this.#pendingLength = length;
  }

  /**
   * Scans `bytes[from, end)` of a head that begins at `base`, one of nginx's buffers after the other, and returns the
   * position after the last byte that was used.
   */
  #scan(bytes: Buffer, base: number, from: number, end: number): number {
    let at = from;
    for (;;) {
      const bufferEnd = base + this.#budget.bufferEnd;
      at = this.#scanBuffer(bytes, base, at, Math.min(end, bufferEnd));
      if (this.state !== "more" || at < bufferEnd) return at;
      if (!this.#budget.moveLine(this.#lineStart)) return this.#fail(this.#tooLargeRule(), base, at);
      if (at === end) return at;
    }
  }

  #tooLargeRule(): HeadRule {
    return this.#phase <= START_LINE_CR && this.#kind === "request"
      ? "request-line-too-long"
      : "header-too-large";
  }

  /** The state machine proper. Positions in `bytes` become offsets into the head by subtracting `base`. */
  #scanBuffer(bytes: Buffer, base: number, from: number, end: number): number {
    const at = this.#phase < NAME ? this.#scanStartLine(bytes, base, from, end) : from;
    return this.state === "more" && at < end ? this.#scanHeaderLines(bytes, base, at, end) : at;
  }

  #scanStartLine(bytes: Buffer, base: number, from: number, end: number): number {
    let at = from;
    while (at < end && this.#phase < NAME && this.state === "more") {
      switch (this.#phase) {
        case METHOD: {
          while (at < end && METHOD_BYTES[bytes[at] ?? 0] === 1) at++;
          if (at === end) return at;
          if (bytes[at] !== SP || at === base) return this.#fail("invalid-method", base, at);
          this.methodEnd = at++ - base;
          this.#phase = TARGET;
          break;
        }
        case TARGET: {
          while (at < end && TARGET_BYTES[bytes[at] ?? 0] === 1) at++;
          if (at === end) return at;
          if (bytes[at] !== SP) return this.#fail(targetRule(bytes[at] ?? 0), base, at);
          this.targetEnd = at - base;
          if (this.targetEnd === this.methodEnd + 1) return this.#fail("invalid-target", base, at);
          at++;
          this.#phase = VERSION;
          break;
        }
        case VERSION: {
          const start = base + this.targetEnd + 1;
          const versionEnd = start + VERSION_LENGTH;
          while (at < end && at < versionEnd && TARGET_BYTES[bytes[at] ?? 0] === 1) at++;
          const wrongAt = prefixError(bytes, start, at, VERSION_PREFIX);
          if (wrongAt >= 0) return this.#fail("invalid-version", base, wrongAt);
          if (at === end) return at;
          const version = at === versionEnd ? parseVersion(bytes, start) : "invalid-version";
          if (typeof version === "string") return this.#fail(version, base, at);
          this.versionMinor = version;
          at = this.#endStartLine(bytes, base, at, "invalid-version");
          break;
        }
        case STATUS_LINE: {
          at = skipFieldValue(bytes, at, end);
          const wrongAt = prefixError(bytes, base, at, STATUS_LINE_PREFIX);
          if (wrongAt >= 0) return this.#fail("invalid-status-line", base, wrongAt);
          if (at === end) return at;
          at = this.#endStartLine(bytes, base, at, "invalid-status-line");
          break;
        }
        default: {
          if (bytes[at] !== LF) return this.#fail("bare-cr", base, at);
          at++;
          this.#startHeaderLines(at - base);
        }
      }
    }
    return at;
  }

  /** At the byte after the start line, which must be CR or LF. */
  #endStartLine(bytes: Buffer, base: number, at: number, rule: HeadRule): number {
    this.startLineEnd = at - base;
    const byte = bytes[at];
    if (byte === CR) this.#phase = START_LINE_CR;
    else if (byte === LF) this.#startHeaderLines(at + 1 - base);
    else return this.#fail(rule, base, at);
    return at + 1;
  }

  #startHeaderLines(offset: number): void {
    this.#lineStart = offset;
    this.#phase = NAME;
  }

  /** The loop that a head spends its time in: its state is in locals, and in the fields only between two calls. */
  #scanHeaderLines(bytes: Buffer, base: number, from: number, end: number): number {
    let phase = this.#phase;
    let lineStart = this.#lineStart;
    let nameHash = this.#nameHash;
    let nameIsUnusual = this.#nameIsUnusual;
    let nameEnd = this.#nameEnd;
    let valueStart = this.#valueStart;
    let at = from;
    while (at < end) {
      if (phase === NAME) {
        for (; at < end; at++) {
          const lower = USUAL_NAME_BYTES[bytes[at] ?? 0] ?? 0;
          if (lower === 0) break;
          nameHash = nextNameHash(nameHash, lower);
        }
        if (at === end) break;
        if (bytes[at] !== COLON || at - base === lineStart) {
          const verdict = this.#judgeNameByte(bytes[at] ?? 0, at - base === lineStart);
          if (verdict === "end") return this.#endHead(at + 1);
          if (verdict === "end-cr") phase = END_CR;
          else if (verdict === "unusual") nameIsUnusual = true;
          else if (verdict !== "usual") return this.#fail(verdict, base, at);
          at++;
          continue;
        }
        nameEnd = at - base;
        at++;
        phase = SPACE;
      }
      if (phase === SPACE) {
        while (at < end && (bytes[at] === SP || bytes[at] === TAB)) at++;
        if (at === end) break;
        valueStart = at - base;
        phase = VALUE;
      }
      if (phase === VALUE) {
        at = skipFieldValue(bytes, at, end);
        if (at === end) break;
        const byte = bytes[at];
        if (byte !== CR && byte !== LF) return this.#fail("invalid-header-value", base, at);
        if (byte === LF && this.#kind === "trailers") return this.#fail("bare-lf", base, at);
        if (!nameIsUnusual || !this.#nameRules.ignoreInvalidHeaders) {
          const recognized = recognizeHeaderName(bytes, base + lineStart, base + nameEnd, nameHash);
          const valueEnd = withoutBlanks(bytes, base + valueStart, at) - base;
          this.#marks.add(lineStart, nameEnd, valueStart, valueEnd, recognized);
          if (this.#marks.count > this.#budget.headersCountMax)
            return this.#fail("too-many-headers", base, at);
        }
        phase = VALUE_CR;
        if (byte === CR && ++at === end) break;
      }
      if (bytes[at] !== LF) return this.#fail("bare-cr", base, at);
      at++;
      if (phase === END_CR) return this.#endHead(at);
      phase = NAME;
      lineStart = at - base;
      nameHash = 0;
      nameIsUnusual = false;
    }
    this.#phase = phase;
    this.#lineStart = lineStart;
    this.#nameHash = nameHash;
    this.#nameIsUnusual = nameIsUnusual;
    this.#nameEnd = nameEnd;
    this.#valueStart = valueStart;
    return at;
  }

  #endHead(at: number): number {
    this.state = "done";
    return at;
  }

  /** What a byte means that stands where a name is read, and is neither usual in a name nor the colon after one. */
  #judgeNameByte(byte: number, isFirst: boolean): "usual" | "unusual" | "end-cr" | "end" | HeadRule {
    if (isFirst) {
      if (byte === CR) return "end-cr";
      if (byte === LF) return this.#kind === "trailers" ? "bare-lf" : "end";
      if (byte === COLON) return "empty-header-name";
      if (byte === SP || byte === TAB) return "folded-header";
    }
    if (byte === CR || byte === LF) return "header-without-colon";
    if (byte === SP || byte === TAB) return "space-in-header-name";
    if (byte === UNDERSCORE && this.#nameRules.underscoresInHeaders) return "usual";
    if (TOKEN_BYTES[byte] === 1) return "unusual";
    const isIgnored = this.#nameRules.ignoreInvalidHeaders && byte > SP && byte !== DEL;
    return isIgnored ? "unusual" : "invalid-header-name";
  }

  /** Ends the reading with an error found at position `at`, which is returned. */
  #fail(rule: HeadRule, base: number, at: number): number {
    this.state = "error";
    this.error = headError(rule, Math.max(0, at - base));
    return at;
  }
}

function targetRule(byte: number): HeadRule {
  if (byte === CR || byte === LF) return "http-0.9";
  return byte === 0x23 ? "fragment-in-target" : "invalid-target";
}

/** The first position in `bytes[start, at)` that differs from `prefix`, or -1: garbage is refused before its line ends. */
function prefixError(bytes: Buffer, start: number, at: number, prefix: Uint8Array): number {
  const compared = Math.min(prefix.length, at - start);
  for (let i = 0; i < compared; i++) {
    if (bytes[start + i] !== prefix[i]) return start + i;
  }
  return -1;
}

/**
 * The minor version in `HTTP/x.y`, whose first five bytes are known; later 1.x are read as 1.1, and other major versions
 * are answered 505 as by nginx.
 */
function parseVersion(bytes: Buffer, start: number): 0 | 1 | HeadRule {
  const major = (bytes[start + 5] ?? 0) - 0x30;
  const minor = (bytes[start + 7] ?? 0) - 0x30;
  if (bytes[start + 6] !== DOT || major < 1 || major > 9 || minor < 0 || minor > 9) return "invalid-version";
  if (major > 1) return "unsupported-version";
  return minor === 0 ? 0 : 1;
}

/** `end`, moved back over the whitespace that stands before it. */
function withoutBlanks(bytes: Buffer, start: number, end: number): number {
  let at = end;
  while (at > start && (bytes[at - 1] === SP || bytes[at - 1] === TAB)) at--;
  return at;
}
