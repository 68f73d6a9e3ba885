import type { ServerHttp2Stream } from "node:http2";
import { assert } from "../base/assert.ts";
import { Deadline } from "../base/timers.ts";
import type { BodyFailure, BodySink, Request } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";
import { readHttp2Trailers } from "./http2-head.ts";

/**
 * The body of a request on an HTTP/2 stream, on its way to whoever reads it.
 *
 *   unread    what comes stays with Node, and the stream's window closes   read() → reading
 *   reading   bytes go to the sink                                         END_STREAM → complete; too much → failed
 *   over      complete, failed, or dropped: nothing is told any more
 */
type Phase = "unread" | "reading" | "complete" | "failed";

interface PayloadCounter {
  notePayload(bytes: number): void;
}

interface TimeoutListener {
  /** Nothing has come for client_body_timeout. */
  onBodyTimeout(): void;
}

export class Http2Body {
  readonly #request: Request;
  readonly #stream: ServerHttp2Stream;
  readonly #counter: PayloadCounter;
  readonly #listener: TimeoutListener;
  readonly #deadline = new Deadline();
  #phase: Phase = "unread";
  #sink: BodySink | null = null;
  #trailers: HeaderList | null = null;
  #bytesMax = Number.POSITIVE_INFINITY;
  #bytes = 0;

  constructor(
    request: Request,
    stream: ServerHttp2Stream,
    counter: PayloadCounter,
    listener: TimeoutListener,
  ) {
    this.#request = request;
    this.#stream = stream;
    this.#counter = counter;
    this.#listener = listener;
  }

  get isComplete(): boolean {
    return this.#phase === "complete";
  }

  read(sink: BodySink): void {
    assert(this.#phase === "unread", "a request body is read once");
    const { client_max_body_size } = this.#request.location.core;
    if (client_max_body_size !== 0) this.#bytesMax = client_max_body_size;
    this.#sink = sink;
    this.#phase = "reading";
    const stream = this.#stream;
    stream.on("trailers", (_headers: unknown, _flags: number, fields?: readonly string[]) => {
      this.#trailers = readHttp2Trailers(fields ?? []);
    });
    stream.on("end", () => this.#streamOnEnd());
    stream.on("data", (chunk: Buffer) => this.#streamOnData(chunk));
    this.#arm();
  }

  /** What Node has read by then, a stream's window at most, still waits there. */
  pause(): void {
    if (this.#phase !== "reading") return;
    this.#stream.pause();
    this.#deadline.disarm();
  }

  resume(): void {
    if (this.#phase !== "reading") return;
    this.#stream.resume();
    this.#arm();
  }

  /** Nobody wants the rest. */
  drop(): void {
    if (this.#phase !== "complete") this.#phase = "failed";
    this.#sink = null;
    this.#deadline.disarm();
  }

  /** Gives up: tells whoever reads. */
  fail(failure: BodyFailure): void {
    const sink = this.#sink;
    this.drop();
    sink?.onBodyError(failure);
  }

  #streamOnData(chunk: Buffer): void {
    this.#request.bytesReceived += chunk.length;
    this.#counter.notePayload(chunk.length);
    if (this.#phase !== "reading") return;
    const bytesBefore = this.#bytes;
    this.#bytes += chunk.length;
    this.#deadline.touch();
    if (this.#bytes <= this.#bytesMax) {
      this.#sink?.onBodyBytes(chunk, 0, chunk.length);
      return;
    }
    const sizes = `${bytesBefore}+${chunk.length} bytes`;
    this.#request.log("error", `client intended to send too large body: ${sizes}`);
    this.fail({ status: 413, message: `a body of more than ${this.#bytesMax} bytes` });
  }

  #streamOnEnd(): void {
    // Node ends a stream that has been reset, too.
    if (this.#phase !== "reading" || this.#stream.aborted || this.#stream.rstCode !== 0) return;
    const sink = this.#sink;
    const { framing } = this.#request.head;
    if (framing.kind === "length" && framing.length !== this.#bytes) {
      this.#request.log("error", "client sent a body of another length than its content-length");
      return this.fail({ status: 400, message: "a body of another length than its content-length" });
    }
    this.#phase = "complete";
    this.#sink = null;
    this.#deadline.disarm();
    sink?.onBodyEnd(this.#trailers);
  }

  #arm(): void {
    const { client_body_timeout } = this.#request.location.core;
    this.#deadline.arm(Math.max(1, client_body_timeout), () => this.#listener.onBodyTimeout());
  }
}
