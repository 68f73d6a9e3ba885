import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import type { TransportListener } from "../base/transport.ts";
import { BodyParser, type BodySink } from "../http/body-parser.ts";
import { NO_BODY } from "../http/framing.ts";
import { type ResponseHead, ResponseHeadParser } from "../http/head-parser.ts";
import type { HeaderList } from "../http/header-list.ts";
import { Deadline } from "../base/timers.ts";
import { CLOSED_PREMATURELY, connectionFailure, type Failure, upstreamFailure } from "./failure.ts";

/** Whoever waits for an upstream's answer. */
export interface AnswerListener {
  /** 1xx other than 101; the final head is still to come. */
  onInterimHead(head: ResponseHead): void;
  onAnswerHead(head: ResponseHead): void;
  /** 101; `rest` is what came after it. From now on the connection's bytes are not the reader's business. */
  onSwitchingProtocols(head: ResponseHead, rest: Buffer): void;
  /** Bytes `chunk[start, end)` of the body, valid during the call only. */
  onAnswerData(chunk: Buffer, start: number, end: number): void;
  /** `isReusable`: the connection can carry another request. */
  onAnswerEnd(trailers: HeaderList | null, isReusable: boolean): void;
  /** The answer will not be completed. Called instead of onAnswerEnd, and last. */
  onUpstreamFailure(failure: Failure): void;
  onUpstreamTimeout(): void;
  onUpstreamDrain(): void;
}

const NOTHING: Buffer = Buffer.alloc(0);
const HEADERS_COUNT_MAX = 1000;
const INTERIM_HEADS_MAX = 32;
const TOO_MANY_INTERIM_HEADS = upstreamFailure("invalid_header", "upstream sent too many interim responses");

/**
 * Reads the answers of one upstream connection, one after the other. What it waits for:
 *
 *   idle   nothing: no request is under way                     begin() → head
 *   head   the head of an answer                                interim → head; 101, broken → idle; else → body
 *   body   the rest of the answer                               its end, broken → idle
 */
export class UpstreamReader implements TransportListener, BodySink {
  #phase: "idle" | "head" | "body" = "idle";
  #listener: AnswerListener | null = null;
  /** The parsers; null once the connection is a tunnel's, which would keep them for as long as it lives. */
  #head: ResponseHeadParser | null = new ResponseHeadParser("GET");
  #body: BodyParser | null = new BodyParser(NO_BODY, this);
  #trailers: HeaderList | null = null;
  #keepAlive = false;
  #interimHeads = 0;
  /** Whether anything of the answer has come. */
  hasBegun = false;
  readonly #deadline: Deadline = new Deadline();
  readonly #deadlineOnExpiry = (): void => this.#listener?.onUpstreamTimeout();

  /** Makes ready for the answer to a request with this method. */
  begin(listener: AnswerListener, method: ByteString, headBytesMax: number): void {
    this.#listener = listener;
    this.#phase = "head";
    this.#trailers = null;
    this.#interimHeads = 0;
    this.hasBegun = false;
    assert(this.#head !== null, "a tunnel's connection carries no further request");
    this.#head.reset(method, {
      clientHeaderBufferBytes: headBytesMax,
      largeBufferBytes: 0,
      largeBufferCount: 0,
      headersCountMax: HEADERS_COUNT_MAX,
    });
  }

  /** The listener is told if nothing comes for so long; what was said before about that is void. */
  expectWithin(timeoutMs: number): void {
    this.#deadline.arm(timeoutMs, this.#deadlineOnExpiry);
  }

  /** Nobody expects anything for now. */
  expectNothing(): void {
    this.#deadline.disarm();
  }

  /** Nobody waits for the rest any more. */
  abandon(): void {
    this.#listener = null;
    this.#phase = "idle";
    this.#deadline.disarm();
  }

  // As the transport's listener

  onBytes(chunk: Buffer, start: number, end: number): void {
    this.hasBegun = true;
    this.#deadline.touch();
    let at = start;
    while (at < end && this.#phase === "head") at = this.#readHead(chunk, at, end);
    if (at < end && this.#phase === "body") this.#readBody(chunk, at, end);
  }

  onEnd(): void {
    if (this.#phase === "body") this.#body?.end();
    if (this.#phase === "body" && this.#body?.state === "done") this.#finish(false);
    else this.#fail(CLOSED_PREMATURELY);
  }

  onClose(error: Error | null): void {
    this.#fail(error === null ? CLOSED_PREMATURELY : connectionFailure(error));
  }

  onDrain(): void {
    this.#listener?.onUpstreamDrain();
  }

  // As the body parser's sink

  onData(buffer: Buffer, start: number, end: number): void {
    this.#listener?.onAnswerData(buffer, start, end);
  }

  onTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    const parser = this.#head;
    assert(parser !== null, "a head is read with a parser");
    const at = start + parser.execute(chunk, start, end);
    if (parser.error !== null) {
      const isTooBig = ["header-too-large", "too-many-headers"].includes(parser.error.rule);
      const what = isTooBig ? "too big header" : parser.error.message;
      this.#fail(upstreamFailure("invalid_header", `upstream sent ${what}`));
    } else if (parser.head !== null) {
      this.#takeHead(parser.head, chunk, at, end);
    }
    return at;
  }

  #takeHead(head: ResponseHead, chunk: Buffer, at: number, end: number): void {
    const listener = this.#listener;
    if (head.isInterim) {
      this.#head?.reset();
      if (++this.#interimHeads > INTERIM_HEADS_MAX) this.#fail(TOO_MANY_INTERIM_HEADS);
      else listener?.onInterimHead(head);
      return;
    }
    if (head.status === 101) {
      this.abandon();
      this.#head = null;
      this.#body = null;
      listener?.onSwitchingProtocols(head, at < end ? Buffer.from(chunk.subarray(at, end)) : NOTHING);
      return;
    }
    this.#phase = "body";
    this.#keepAlive = head.keepAlive;
    this.#body?.reset(head.framing);
    listener?.onAnswerHead(head);
    if (this.#phase === "body" && this.#body?.state === "done") this.#finish(at === end);
  }

  #readBody(chunk: Buffer, start: number, end: number): void {
    const body = this.#body;
    assert(body !== null, "a body is read with a parser");
    const used = body.feed(chunk, start, end);
    if (this.#phase !== "body") return;
    const { error, state } = body;
    if (error !== null) this.#fail(upstreamFailure("error", `upstream sent ${error.message}`));
    else if (state === "done") this.#finish(start + used === end);
  }

  /** `isClean`: nothing has come that the answer does not account for. */
  #finish(isClean: boolean): void {
    const listener = this.#listener;
    this.abandon();
    listener?.onAnswerEnd(this.#trailers, isClean && this.#keepAlive);
  }

  #fail(failure: Failure): void {
    const listener = this.#listener;
    this.abandon();
    listener?.onUpstreamFailure(failure);
  }
}
