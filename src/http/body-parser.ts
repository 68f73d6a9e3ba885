import { assert, unreachable } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import type { Framing } from "./framing.ts";
import type { HeadLimits } from "./head-limits.ts";
import { type HeaderNameRules, HeadScanner } from "./head-scanner.ts";
import type { HeaderList } from "./header-list.ts";
import { HEX_VALUES } from "./tokens.ts";

/**
 * Decodes the body of one message without I/O. States:
 *
 *   length, until-close:  DATA
 *   chunked:  SIZE ──> EXTENSION ──> SIZE_CR ──> CHUNK_DATA ──> DATA_CR ──> DATA_LF ──> SIZE …
 *                                       └─ size 0 ──> TRAILERS ──> done
 *
 * Chunk lines end in CR LF and in nothing else: a lone LF there is how servers have been made to disagree about where a
 * body ends.
 */
type BodyPhase =
  | "data"
  | "size"
  | "extension"
  | "size-cr"
  | "chunk-data"
  | "data-cr"
  | "data-lf"
  | "trailers";

export type BodyState = "more" | "done" | "error";

/** Whoever receives a decoded body. */
export interface BodySink {
  /** Data in `buffer[start, end)`, which is the buffer that was fed: valid until the call returns. Never empty. */
  onData(buffer: Buffer, start: number, end: number): void;
  /** The trailers of a chunked body, if there are any, before {@link BodyParser.state} becomes `done`. */
  onTrailers(trailers: HeaderList): void;
}

/** The one table from what is wrong with a body to words that continue "client sent …" or "upstream sent …". */
export const BODY_RULES = {
  "invalid-chunk-size": "invalid chunk size",
  "chunk-too-large": "a chunk size over 2^53 - 1",
  "invalid-chunk-extension": "an invalid chunk extension",
  "chunk-extension-too-long": "too long chunk extensions",
  "invalid-chunk-end": "a chunk without CRLF at its end",
  "invalid-trailers": "invalid trailers",
  "trailers-too-large": "too large trailers",
  "premature-end": "a body that ends too early",
} as const;

export type BodyRule = keyof typeof BODY_RULES;

/** Why a body was refused. To a client 400 is the answer. */
export interface BodyError {
  readonly rule: BodyRule;
  readonly message: string;
  /** How many bytes into the body, as sent, the reading stopped. */
  readonly offset: number;
}

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
/** Leading zeros among them. */
const SIZE_DIGITS_MAX = 16;
const EXTENSION_BYTES_MAX = 1024;
/** In sum over a body: extensions have been used to make a server read without end for no data. */
const EXTENSIONS_BYTES_MAX = 16 * 1024;
const TRAILER_LIMITS: HeadLimits = {
  clientHeaderBufferBytes: 8192,
  largeBufferBytes: 8192,
  largeBufferCount: 0,
  headersCountMax: 100,
};
const TRAILER_NAME_RULES: HeaderNameRules = { ignoreInvalidHeaders: false, underscoresInHeaders: true };

/** Fields that frame, route or describe a message mean nothing after it and are dropped (RFC 9110 section 6.5.1). */
const FRAMING_TRAILERS: ReadonlySet<ByteString> = new Set([
  "authorization",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Whether a trailer of this name, in lower case, is dropped. */
export function isFramingTrailer(lower: ByteString): boolean {
  return FRAMING_TRAILERS.has(lower);
}

/** Reads bodies, one after the other; {@link reset} stands between two. */
export class BodyParser {
  state: BodyState = "done";
  /** Set when {@link state} is `error`. */
  error: BodyError | null = null;
  /** Bytes of body as sent, chunk lines and trailers included. */
  bytesRead = 0;

  #sink: BodySink;
  #phase: BodyPhase = "data";
  /** What is left of the body or of the chunk; Infinity until the connection closes. */
  #bytesLeft = 0;
  #endsWithConnection = false;
  #sizeDigits = 0;
  #size = 0;
  #extensionBytes = 0;
  #extensionsBytes = 0;
  #trailers: HeadScanner | null = null;
  #brokenRule: BodyRule | null = null;

  constructor(framing: Framing, sink: BodySink) {
    this.#sink = sink;
    this.reset(framing, sink);
  }

  /** Makes ready for the next body. */
  reset(framing: Framing, sink: BodySink = this.#sink): void {
    this.#sink = sink;
    this.error = null;
    this.bytesRead = 0;
    this.#endsWithConnection = framing.kind === "until-close";
    this.#extensionsBytes = 0;
    this.#trailers = null;
    this.#brokenRule = null;
    switch (framing.kind) {
      case "none":
        this.#expectData(0);
        break;
      case "length":
        this.#expectData(framing.length);
        break;
      case "until-close":
        this.#expectData(Number.POSITIVE_INFINITY);
        break;
      case "chunked":
        this.state = "more";
        this.#expectSize();
        break;
      default:
        unreachable(framing);
    }
  }

  /**
   * Reads from `buffer[start, end)` up to the end of the body and returns how many bytes belong to it. To be called while
   * {@link state} is `more`.
   */
  feed(buffer: Buffer, start: number, end: number): number {
    assert(this.state === "more", "a body is read only once");
    let at = start;
    while (at < end && this.state === "more") at = this.#step(buffer, at, end);
    this.bytesRead += at - start;
    this.#noteError();
    return at - start;
  }

  /** The connection has ended: the end of a body that lasts so long, a premature end of every other. */
  end(): void {
    if (this.state !== "more") return;
    if (this.#endsWithConnection) this.state = "done";
    else this.#fail("premature-end", 0);
    this.#noteError();
  }

  #step(buffer: Buffer, at: number, end: number): number {
    const byte = buffer[at] ?? 0;
    switch (this.#phase) {
      case "data":
      case "chunk-data":
        return this.#deliver(buffer, at, end);
      case "size":
        return this.#readSize(byte, at);
      case "extension":
        return this.#readExtension(byte, at);
      case "size-cr":
        if (byte !== LF) return this.#fail("invalid-chunk-extension", at);
        this.#startChunk();
        return at + 1;
      case "data-cr":
        if (byte !== CR) return this.#fail("invalid-chunk-end", at);
        this.#phase = "data-lf";
        return at + 1;
      case "data-lf":
        if (byte !== LF) return this.#fail("invalid-chunk-end", at);
        this.#expectSize();
        return at + 1;
      case "trailers":
        return this.#readTrailers(buffer, at, end);
      default:
        return unreachable(this.#phase);
    }
  }

  #deliver(buffer: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.#bytesLeft);
    this.#bytesLeft -= stop - at;
    this.#sink.onData(buffer, at, stop);
    if (this.#bytesLeft > 0) return stop;
    if (this.#phase === "data") this.state = "done";
    else this.#phase = "data-cr";
    return stop;
  }

  #readSize(byte: number, at: number): number {
    const digit = HEX_VALUES[byte] ?? 255;
    if (digit < 16) {
      if (++this.#sizeDigits > SIZE_DIGITS_MAX) return this.#fail("invalid-chunk-size", at);
      this.#size = this.#size * 16 + digit;
      return this.#size > Number.MAX_SAFE_INTEGER ? this.#fail("chunk-too-large", at) : at + 1;
    }
    if (this.#sizeDigits === 0) return this.#fail("invalid-chunk-size", at);
    if (byte === CR) this.#phase = "size-cr";
    else if (byte === SEMICOLON) this.#phase = "extension";
    else return this.#fail("invalid-chunk-size", at);
    return at + 1;
  }

  #readExtension(byte: number, at: number): number {
    if (byte === CR) {
      this.#phase = "size-cr";
      return at + 1;
    }
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return this.#fail("invalid-chunk-extension", at);
    this.#extensionBytes++;
    this.#extensionsBytes++;
    const tooLong =
      this.#extensionBytes > EXTENSION_BYTES_MAX || this.#extensionsBytes > EXTENSIONS_BYTES_MAX;
    return tooLong ? this.#fail("chunk-extension-too-long", at) : at + 1;
  }

  #startChunk(): void {
    if (this.#size === 0) {
      this.#trailers = new HeadScanner("trailers", TRAILER_NAME_RULES, TRAILER_LIMITS);
      this.#phase = "trailers";
    } else {
      this.#bytesLeft = this.#size;
      this.#phase = "chunk-data";
    }
  }

  #readTrailers(buffer: Buffer, at: number, end: number): number {
    const scanner = this.#trailers;
    assert(scanner !== null, "trailers are read only after the last chunk");
    const stop = at + scanner.execute(buffer, at, end);
    if (scanner.error !== null) {
      const tooLarge = scanner.error.rule === "header-too-large" || scanner.error.rule === "too-many-headers";
      return this.#fail(tooLarge ? "trailers-too-large" : "invalid-trailers", stop);
    }
    if (scanner.state === "done") {
      const trailers = scanner.headers();
      for (const name of FRAMING_TRAILERS) trailers.delete(name);
      if (trailers.length > 0) this.#sink.onTrailers(trailers);
      this.state = "done";
    }
    return stop;
  }

  #expectData(length: number): void {
    this.#phase = "data";
    this.#bytesLeft = length;
    this.state = length === 0 ? "done" : "more";
  }

  #expectSize(): void {
    this.#phase = "size";
    this.#sizeDigits = 0;
    this.#size = 0;
    this.#extensionBytes = 0;
  }

  #fail(rule: BodyRule, at: number): number {
    this.state = "error";
    this.#brokenRule = rule;
    return at;
  }

  #noteError(): void {
    const rule = this.#brokenRule;
    if (rule !== null) this.error = { rule, message: BODY_RULES[rule], offset: this.bytesRead };
  }
}
