import { assert } from "../base/assert.ts";
import type { BodyFailure, BodySink, Request } from "../compile/request.ts";
import { BodyParser, type BodySink as DecodedSink } from "../http/body-parser.ts";
import type { Framing } from "../http/framing.ts";
import type { HeaderList } from "../http/header-list.ts";

/**
 * The body of one request on its way from the connection to whoever reads it.
 *
 *   unread      nobody has asked for it yet: feed() must not be called     read() → reading, discard() → discarding
 *   reading     bytes go to the sink                                        end → complete; broken, too large → failed
 *   discarding  bytes are counted and dropped                               end → complete; broken → failed
 */
export type BodyPhase = "unread" | "reading" | "discarding" | "complete" | "failed";

export class RequestBody implements DecodedSink {
  phase: BodyPhase = "complete";
  /** True once a byte of the body has arrived: a client that sends it does not wait for 100 Continue. */
  hasBegun = false;
  readonly #parser: BodyParser;
  #request: Request;
  #sink: BodySink | null = null;
  #trailers: HeaderList | null = null;
  #failure: BodyFailure | null = null;
  /** client_max_body_size of the location that reads. */
  #bytesMax = Number.POSITIVE_INFINITY;
  #bytesDecoded = 0;

  constructor(request: Request, framing: Framing) {
    this.#parser = new BodyParser(framing, this);
    this.#request = request;
    this.phase = this.#parser.state === "done" ? "complete" : "unread";
  }

  /** True while bytes that arrive belong to this body and somebody takes them. */
  get isFlowing(): boolean {
    return this.phase === "reading" || this.phase === "discarding";
  }

  get isComplete(): boolean {
    return this.phase === "complete";
  }

  /** Sends the body to `sink`, an empty one at once. */
  read(sink: BodySink): void {
    assert(this.#sink === null, "a request body is read once");
    if (this.phase === "complete") {
      sink.onBodyEnd(null);
      return;
    }
    assert(this.phase === "unread", "a request body is read once");
    const limit = this.#request.location.core.client_max_body_size;
    if (limit !== 0) this.#bytesMax = limit;
    this.#sink = sink;
    this.phase = "reading";
  }

  /** Nobody wants the rest any more. */
  discard(): void {
    if (this.phase !== "unread" && this.phase !== "reading") return;
    this.#sink = null;
    this.phase = "discarding";
  }

  /** Reads `chunk[start, end)` as far as it belongs to the body and returns how many bytes that is; {@link settle} follows. */
  feed(chunk: Buffer, start: number, end: number): number {
    this.hasBegun = true;
    const used = this.#parser.feed(chunk, start, end);
    this.#request.bytesReceived += used;
    return used;
  }

  /** Tells whoever reads, if the body is over. */
  settle(): void {
    if (!this.isFlowing) return;
    const { state, error } = this.#parser;
    if (this.#failure !== null) this.fail(this.#failure);
    else if (error !== null) {
      this.#request.log("error", `client sent invalid chunked body (${error.message})`);
      this.fail({ status: 400, message: error.message });
    } else if (state === "done") this.#complete();
  }

  /** Gives up: tells whoever reads. */
  fail(failure: BodyFailure): void {
    if (this.phase === "complete" || this.phase === "failed") return;
    const sink = this.#sink;
    this.#sink = null;
    this.phase = "failed";
    sink?.onBodyError(failure);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.#sink === null || this.#failure !== null) return;
    const bytesBefore = this.#bytesDecoded;
    this.#bytesDecoded += end - start;
    if (this.#bytesDecoded <= this.#bytesMax) {
      this.#sink.onBodyBytes(buffer, start, end);
      return;
    }
    const sizes = `${bytesBefore}+${end - start} bytes`;
    this.#request.log("error", `client intended to send too large chunked body: ${sizes}`);
    this.#failure = { status: 413, message: `a body of more than ${this.#bytesMax} bytes` };
  }

  onTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
  }

  #complete(): void {
    const sink = this.#sink;
    this.#sink = null;
    this.phase = "complete";
    sink?.onBodyEnd(this.#trailers);
  }
}
