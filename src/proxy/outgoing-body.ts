import type { ByteString } from "../base/bytes.ts";
import type { BodyFailure, BodySink, Downstream } from "../compile/request.ts";
import { CHUNK_END, chunkHead, LAST_CHUNK } from "../http/chunk-writer.ts";
import type { SentBodyLength } from "./request-head.ts";

/** The connection that a request's body is written to. */
export interface BodyTarget {
  /** False: stop until {@link OutgoingBody.resume}. The memory may be reused after the call. */
  writeBody(chunk: Buffer, start: number, end: number): boolean;
  writeBodyText(text: ByteString): boolean;
  /** The whole body has been written. */
  onBodySent(): void;
  onBodyFailure(failure: BodyFailure): void;
}

/** The body of a request on its way to a peer. */
export interface OutgoingBody {
  readonly length: SentBodyLength;
  /** Whether the body is still there once it has been sent, so that it can be sent again. */
  readonly isKept: boolean;
  /** Whether {@link send} may be called now. */
  readonly canBeSent: boolean;
  send(target: BodyTarget): void;
  /** The target takes bytes again. */
  resume(): void;
  /** The target is gone. */
  stop(): void;
  /** Nobody will ask for the body again. */
  release(): void;
}

/** No body, or one of no bytes (`length` 0: the client said so, and the upstream is told). */
class EmptyBody implements OutgoingBody {
  readonly length: SentBodyLength;
  readonly isKept = true;
  readonly canBeSent = true;

  constructor(length: 0 | "none") {
    this.length = length;
  }

  send(target: BodyTarget): void {
    target.onBodySent();
  }

  resume(): void {}
  stop(): void {}
  release(): void {}
}

export const NO_BODY: OutgoingBody = new EmptyBody("none");
export const BODY_OF_NO_BYTES: OutgoingBody = new EmptyBody(0);

/** A body that is in memory as a whole. */
export class MemoryBody implements OutgoingBody {
  readonly length: number;
  readonly isKept = true;
  readonly canBeSent = true;
  readonly #chunks: readonly Buffer[];

  constructor(chunks: readonly Buffer[]) {
    this.#chunks = chunks;
    this.length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** All at once: it is bounded by client_body_buffer_size, and it is held in memory either way. */
  send(target: BodyTarget): void {
    for (const chunk of this.#chunks) target.writeBody(chunk, 0, chunk.length);
    target.onBodySent();
  }

  resume(): void {}
  stop(): void {}
  release(): void {}
}

/** A body that is passed on as it comes in (`proxy_request_buffering off`). Nothing of it is kept. */
export class StreamedBody implements OutgoingBody, BodySink {
  readonly length: SentBodyLength;
  readonly isKept = false;
  readonly #downstream: Downstream;
  #target: BodyTarget | null = null;
  #isFlowing = false;

  constructor(downstream: Downstream) {
    this.#downstream = downstream;
    this.length = downstream.requestBodyLength ?? "chunked";
  }

  get canBeSent(): boolean {
    return !this.#isFlowing;
  }

  send(target: BodyTarget): void {
    this.#target = target;
    this.#isFlowing = true;
    this.#downstream.readBody(this);
  }

  resume(): void {
    this.#downstream.resumeBody();
  }

  stop(): void {
    this.#target = null;
  }

  release(): void {
    this.#target = null;
  }

  onBodyBytes(chunk: Buffer, start: number, end: number): void {
    const target = this.#target;
    if (target === null) return;
    let hasRoom: boolean;
    if (this.length === "chunked") {
      target.writeBodyText(chunkHead(end - start));
      target.writeBody(chunk, start, end);
      hasRoom = target.writeBodyText(CHUNK_END);
    } else {
      hasRoom = target.writeBody(chunk, start, end);
    }
    if (!hasRoom) this.#downstream.pauseBody();
  }

  onBodyEnd(): void {
    if (this.length === "chunked") this.#target?.writeBodyText(LAST_CHUNK);
    this.#target?.onBodySent();
  }

  onBodyError(failure: BodyFailure): void {
    this.#target?.onBodyFailure(failure);
  }
}
