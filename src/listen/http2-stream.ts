import { constants, type ServerHttp2Stream } from "node:http2";
import { assert } from "../base/assert.ts";
import { describeSystemError } from "../base/errno.ts";
import { SendDeadline } from "../base/send-deadline.ts";
import type { Transport, TransportListener } from "../base/transport.ts";
import type { BodySink, Downstream, Request } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { ConnectionCounts } from "../observe/connections.ts";
import {
  answerHeaders,
  headBytes,
  interimAnswerHeaders,
  trailerHeaders,
  tunnelHeaders,
} from "./http2-answer.ts";
import { Http2Body } from "./http2-body.ts";
import { afterSending, resetStream } from "./http2-reset.ts";
import { Http2Transport, type TunnelOwner } from "./http2-transport.ts";
import { NO_BYTES } from "./input-pump.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR, NGHTTP2_CANCEL } = constants;

const TIMED_OUT = "client timed out (110: Connection timed out)";
const LEFT_EARLY = "client prematurely closed connection";
const BAD_GATEWAY = 502;
/** Node sends no greater one. */
const STATUS_MAX = 599;
/** Bytes that may be pending before write returns false. */
const HIGH_WATER_MARK_BYTES = 65_536;

/** The connection that a stream belongs to. */
export interface StreamOwner extends TunnelOwner {
  readonly counts: ConnectionCounts;
  /** Our client has given up a request of its own. */
  onStreamReset(): void;
  /** Called once, last of all. */
  onStreamClosed(stream: Http2Stream): void;
}

/**
 * One request on an HTTP/2 stream and its answer: what an HTTP/1.1 connection is to its requests. What it waits for:
 *
 *   answering  the answer, while the body comes in     end() → sending; abort() → closed; upgrade() → tunnel
 *   sending    the client to take what is pending      taken → closed; send_timeout → closed
 *   tunnel     nothing: the transport has a new owner  its end → closed
 *   closed     nothing
 *
 * The client's reset, and the loss of its connection, lead to closed from everywhere.
 */
type Phase = "answering" | "sending" | "tunnel" | "closed";

export class Http2Stream implements Downstream {
  readonly #owner: StreamOwner;
  readonly #stream: ServerHttp2Stream;
  /** Extended CONNECT: only a tunnel may be answered with success. */
  readonly #isTunnel: boolean;
  /** Null for a request without a body. */
  #body: Http2Body | null = null;
  #request: Request | null = null;
  #phase: Phase = "answering";
  #hasBody = false;
  /** Of an answer with a length: what is still owed. */
  #bytesLeft: number | null = null;
  #mustDrain = false;
  /** The stream was reset, or its rest declined, on this side. */
  #isClosedHere = false;
  readonly #sendDeadline: SendDeadline = new SendDeadline(this, () => this.#sendOnTimeout());
  #waitsForTrailers = false;
  #trailers: HeaderList | null = null;
  #tunnelTransport: Http2Transport | null = null;

  constructor(owner: StreamOwner, stream: ServerHttp2Stream, isTunnel: boolean) {
    this.#owner = owner;
    this.#stream = stream;
    this.#isTunnel = isTunnel;
    stream.on("aborted", () => this.#streamOnAborted());
    stream.on("close", () => this.#streamOnClose());
    stream.on("drain", () => this.#streamOnDrain());
    stream.on("finish", () => this.#streamOnFinish());
    stream.on("wantTrailers", () => this.#streamOnWantTrailers());
  }

  /** The request that this stream carries; its answering begins. */
  begin(request: Request): void {
    this.#request = request;
    if (request.head.framing.kind !== "none")
      this.#body = new Http2Body(request, this.#stream, this.#owner, this);
    this.#owner.counts.writing++;
  }

  /** Of the answer, what the client has not taken. */
  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  /** Ends it at once, whatever is under way. */
  closeNow(): void {
    this.#isClosedHere = true;
    if (this.#tunnelTransport !== null) this.#tunnelTransport.destroy();
    else resetStream(this.#stream, NGHTTP2_CANCEL);
  }

  // As the request's downstream

  get requestBodyLength(): number | null {
    const framing = this.#request?.head.framing;
    if (framing === undefined || framing.kind === "none") return 0;
    return framing.kind === "length" ? framing.length : null;
  }

  readBody(sink: BodySink): void {
    if (this.#phase !== "answering") return;
    if (this.#body === null) return sink.onBodyEnd(null);
    const { response, head } = this.#requestInHand();
    if (head.expectContinue && !response.headSent) {
      this.#send(() => this.#stream.additionalHeaders({ ":status": 100 }));
    }
    this.#body.read(sink);
  }

  pauseBody(): void {
    this.#body?.pause();
  }

  resumeBody(): void {
    this.#body?.resume();
  }

  sendInterim(status: number, headers: HeaderList): void {
    if (this.#phase !== "answering" || this.#stream.headersSent || this.#stream.destroyed) return;
    this.#send(() => this.#stream.additionalHeaders(interimAnswerHeaders(status, headers)));
  }

  sendHead(request: Request): void {
    if (this.#phase !== "answering" || this.#stream.destroyed) return;
    const { response, head } = request;
    const problem = this.#problemOf(response.status);
    if (problem !== null) {
      request.log("error", problem);
      response.status = BAD_GATEWAY;
      response.reason = null;
    }
    const { status, bodyLength } = response;
    this.#hasBody =
      head.method !== "HEAD" && bodyLength !== "none" && status !== 204 && status !== 205 && status !== 304;
    if (this.#hasBody && bodyLength !== "none" && bodyLength !== "unknown") this.#bytesLeft = bodyLength;
    const headers = answerHeaders(request);
    const bytes = headBytes(headers);
    response.bytesSent += bytes;
    this.#owner.notePayload(bytes);
    this.#waitsForTrailers = this.#hasBody && bodyLength === "unknown";
    const endStream = !this.#hasBody || this.#bytesLeft === 0;
    this.#send(() => this.#stream.respond(headers, { endStream, waitForTrailers: this.#waitsForTrailers }));
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    const bytes = end - start;
    if (this.#phase !== "answering" || this.#stream.destroyed) return false;
    if (!this.#hasBody || bytes === 0) return !this.#mustDrain;
    if (this.#bytesLeft !== null) {
      assert(bytes <= this.#bytesLeft, "an answer's body is longer than its head said");
      this.#bytesLeft -= bytes;
    }
    const { response } = this.#requestInHand();
    response.bytesSent += bytes;
    response.bodyBytesSent += bytes;
    this.#owner.notePayload(bytes);
    // Node keeps what the client's window does not take, and the memory is the caller's.
    this.#stream.write(Buffer.from(chunk.subarray(start, end)));
    if (this.#stream.writableLength > HIGH_WATER_MARK_BYTES) this.#awaitDrain();
    return !this.#mustDrain;
  }

  end(trailers: HeaderList | null): void {
    if (this.#phase !== "answering") return;
    if (this.#hasBody && this.#bytesLeft !== null && this.#bytesLeft > 0) return this.abort();
    const request = this.#requestInHand();
    this.#releaseRequest(request);
    this.#body?.drop();
    this.#phase = "sending";
    this.#trailers = trailers;
    if (this.#waitsForTrailers) request.response.trailers = trailers;
    if (this.#stream.destroyed) return;
    if (this.#stream.writableFinished) return this.#afterAnswer();
    this.#armSendTimeout();
    this.#stream.end();
  }

  abort(): void {
    if (this.#phase !== "answering") return;
    this.#finishRequest();
    this.#close(NGHTTP2_INTERNAL_ERROR);
  }

  upgrade(request: Request): { readonly transport: Transport; readonly early: Buffer } {
    assert(this.#isTunnel, "only an extended CONNECT becomes a tunnel");
    const { response } = request;
    // What the client is told, which is what its log line should say as well.
    response.status = 200;
    const transport = new Http2Transport(this.#owner, this.#stream, request.connection, UNCLAIMED);
    this.#tunnelTransport = transport;
    this.#releaseRequest(request);
    this.#phase = "tunnel";
    const headers = tunnelHeaders(request);
    response.bytesSent += headBytes(headers);
    this.#send(() => this.#stream.respond(headers));
    return { transport, early: NO_BYTES };
  }

  /** For {@link Http2Body}: nothing of it has come for too long. */
  onBodyTimeout(): void {
    this.#loseClient(408, TIMED_OUT);
    this.#close(NGHTTP2_CANCEL);
  }

  // The stream

  /** By the client, answered or not. One that resets with NO_ERROR what is answered already gains nothing. */
  get #wasReset(): boolean {
    const { aborted, rstCode } = this.#stream;
    return aborted || (rstCode ?? NGHTTP2_NO_ERROR) !== NGHTTP2_NO_ERROR;
  }

  #streamOnAborted(): void {
    if (this.#phase === "tunnel") return;
    if (this.#body !== null && !this.#body.isComplete) this.#loseClient(400, LEFT_EARLY);
    else this.#loseClient(499, null);
  }

  #streamOnClose(): void {
    if (!this.#isClosedHere && this.#wasReset) this.#owner.onStreamReset();
    if (this.#phase !== "tunnel") this.#loseClient(499, null);
    this.#phase = "closed";
    this.#sendDeadline.disarm();
    this.#body?.drop();
    if (this.#request !== null) this.#owner.counts.writing--;
    this.#owner.onStreamClosed(this);
  }

  #streamOnDrain(): void {
    if (!this.#mustDrain) return;
    this.#mustDrain = false;
    this.#sendDeadline.disarm();
    if (this.#phase === "answering") this.#request?.onWritable?.();
    else if (this.#phase === "sending") this.#armSendTimeout();
  }

  #streamOnFinish(): void {
    if (this.#phase === "sending" && !this.#waitsForTrailers) this.#afterAnswer();
  }

  /** All of the body has gone out, and its last frame can still be followed by trailers. */
  #streamOnWantTrailers(): void {
    if (this.#stream.destroyed) return;
    this.#send(() =>
      this.#stream.sendTrailers(this.#trailers === null ? {} : trailerHeaders(this.#trailers)),
    );
    if (this.#phase === "sending") this.#afterAnswer();
  }

  /** The client has the answer. What is left of its body nobody wants (RFC 9113 section 8.1). */
  #afterAnswer(): void {
    this.#finishRequest();
    this.#sendDeadline.disarm();
    this.#phase = "closed";
    const isOver = this.#stream.state.remoteClose === 1 || this.#stream.readableEnded;
    if (!isOver) {
      this.#isClosedHere = true;
      const stream = this.#stream;
      const { send_timeout } = this.#requestInHand().location.core;
      afterSending(stream, send_timeout, (isSent) => {
        if (isSent) stream.close(NGHTTP2_NO_ERROR);
        else resetStream(stream, NGHTTP2_CANCEL);
      });
    }
    // Node closes no stream of which something is unread.
    this.#stream.resume();
  }

  // The request

  #requestInHand(): Request {
    assert(this.#request !== null, "a stream's downstream belongs to a request");
    return this.#request;
  }

  /** Whoever has answered the request has no more say, and is not told anything any more. */
  #releaseRequest(request: Request): void {
    request.onClientGone = null;
    request.onWritable = null;
  }

  #finishRequest(): void {
    const request = this.#request;
    if (request === null || this.#phase === "closed") return;
    this.#releaseRequest(request);
    request.finish();
  }

  /** As an HTTP/1.1 connection does: `status` for the access log, `message` for the error log. */
  #loseClient(status: number, message: string | null): void {
    const request = this.#request;
    if (request === null || this.#phase === "closed") return;
    const onGone = request.onClientGone;
    this.#releaseRequest(request);
    if (message !== null && (onGone === null || message !== LEFT_EARLY)) request.log("info", message);
    request.isClientLost = true;
    if (!request.response.headSent) request.response.status = status;
    this.#phase = "closed";
    this.#sendDeadline.disarm();
    onGone?.();
    request.finish();
    // Last, so that nobody sets out to make an error page of it.
    this.#body?.fail({ status, message: message ?? LEFT_EARLY });
  }

  /** Why a status cannot go out as it is; null if it can. */
  #problemOf(status: number): string | null {
    if (status > STATUS_MAX) return `a status of ${status} cannot be sent over HTTP/2`;
    // RFC 8441 section 5: to the client any success is an open WebSocket, and this one is none.
    const isSuccess = status >= 200 && status < 300;
    return this.#isTunnel && isSuccess
      ? `the answer to a WebSocket's opening handshake is ${status}, not 101`
      : null;
  }

  /** Node throws for a head that it takes for invalid. What an upstream has sent must not end the process. */
  #send(write: () => void): void {
    if (this.#stream.destroyed) return;
    try {
      write();
    } catch (error) {
      this.#request?.log("error", `an answer cannot be sent over HTTP/2 (${describeSystemError(error)})`);
      if (this.#phase === "tunnel") this.closeNow();
      else this.abort();
    }
  }

  // Ending

  #close(code: number): void {
    this.#phase = "closed";
    this.#isClosedHere = true;
    this.#sendDeadline.disarm();
    resetStream(this.#stream, code);
  }

  #awaitDrain(): void {
    if (this.#mustDrain) return;
    this.#mustDrain = true;
    this.#armSendTimeout();
  }

  #armSendTimeout(): void {
    const { send_timeout } = this.#requestInHand().location.core;
    this.#sendDeadline.arm(Math.max(1, send_timeout));
  }

  #sendOnTimeout(): void {
    this.#loseClient(408, TIMED_OUT);
    this.#close(NGHTTP2_CANCEL);
  }
}

const UNCLAIMED: TransportListener = { onBytes: ignore, onEnd: ignore, onDrain: ignore, onClose: ignore };

function ignore(): void {}
