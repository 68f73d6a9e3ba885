import { constants, type ServerHttp2Stream } from "node:http2";
import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import type { TlsInfo, Transport, TransportListener } from "../base/transport.ts";
import type { Connection } from "../compile/request.ts";
import { afterSending, resetStream } from "./http2-reset.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_CANCEL } = constants;

/** Bytes that may be pending before write returns false, as of other transports. */
const HIGH_WATER_MARK_BYTES = 65_536;
/** How long the end of a tunnel that is over may take to reach a client who reads slowly. */
const SENDING_MS_MAX = 5_000;

/** Names of error codes (RFC 9113 section 7), for the log: a stream says NO_ERROR when it is reset without a reason. */
const CODE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants).flatMap(([name, code]): [number, string][] =>
    /^NGHTTP2_(NO_ERROR|\w+_ERROR|SETTINGS_TIMEOUT|STREAM_CLOSED|REFUSED_STREAM|CANCEL|ENHANCE_YOUR_CALM|INADEQUATE_SECURITY|HTTP_1_1_REQUIRED)$/.test(
      name,
    ) && typeof code === "number"
      ? [[code, name.slice("NGHTTP2_".length)]]
      : [],
  ),
);

/** How a connection has ended, and all of its streams with it: the client's FIN, or what broke it. */
export type ConnectionLoss = "FIN" | Error;

/** The connection that a tunnel's stream belongs to. */
export interface TunnelOwner {
  /** Payload that has gone either way. */
  notePayload(bytes: number): void;
  /** Null while it stands. */
  readonly loss: ConnectionLoss | null;
}

/**
 * For a tunnel the same as a reset connection (RFC 8441 section 5; see causeOfClose in relay.ts). The message continues
 * "client ".
 */
export function resetError(what: "stream" | "connection", code: number): Error {
  const name = CODE_NAMES.get(code) ?? String(code);
  const frame = what === "stream" ? "RST_STREAM" : "GOAWAY";
  // All that Chromium 156 sends when a page is left, reloaded or closed, or the browser itself: a Close frame with 1001
  // stands in its queue then, and the reset throws it out.
  const sense = what === "stream" && code === NGHTTP2_CANCEL ? ", as browsers do that leave a page" : "";
  const message = `reset its ${what}: ${frame} ${name}${sense}`;
  return Object.assign(new Error(message), { code: "ERR_STREAM_RESET" });
}

/**
 * A tunnel's {@link Transport} over an HTTP/2 stream whose head has been answered. END_STREAM stands for FIN, RST_STREAM
 * for RST, and what ends the whole connection is what it would be without HTTP/2. While paused nothing is read, so that the
 * stream's window closes and the client has to wait; what it has no window for is pending. Node gives up none of a stream's
 * bytes by itself, so nothing here knows of frames.
 */
export class Http2Transport implements Transport {
  listener: TransportListener;
  bytesRead = 0;
  bytesWritten = 0;
  peerHasEnded = false;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: TlsInfo | null;

  readonly #stream: ServerHttp2Stream;
  readonly #owner: TunnelOwner;
  #mustDrain = false;
  #hasEnded = false;
  /** Ended by us, at once: what still happens is noise. */
  #isClosing = false;
  #wasReset = false;
  #isReading = false;
  #hasHeldEnd = false;
  /** The connection has ended by FIN, and what of the stream was unread then; the close waits for a reader. */
  #hasLostConnection = false;
  #lastChunks: Buffer[] = [];
  #isCloseHeld = false;
  #error: Error | null = null;

  constructor(
    owner: TunnelOwner,
    stream: ServerHttp2Stream,
    connection: Connection,
    listener: TransportListener,
  ) {
    this.#owner = owner;
    this.#stream = stream;
    this.listener = listener;
    this.remoteAddress = connection.remoteAddress;
    this.remotePort = connection.remotePort;
    this.localAddress = connection.localAddress;
    this.localPort = connection.localPort;
    this.tls = connection.tlsInfo;
    stream.pause();
    stream.on("data", (chunk: Buffer) => this.#streamOnData(chunk));
    stream.on("end", () => this.#streamOnEnd());
    stream.on("drain", () => this.#streamOnDrain());
    stream.on("aborted", () => this.#streamOnAborted());
    stream.on("error", ignore);
    const onClose = (): void => this.#streamOnClose();
    if (stream.destroyed) process.nextTick(onClose);
    else stream.on("close", onClose);
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  get isDestroyed(): boolean {
    return this.#isClosing || this.#wasReset || this.#stream.destroyed;
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    // The stream keeps what the window does not take at once, and the memory is the caller's: always a copy.
    return this.#write(Buffer.from(chunk.subarray(start, end)));
  }

  writeLatin1(text: ByteString): boolean {
    return this.#write(Buffer.from(text, "latin1"));
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): boolean {
    this.#stream.uncork();
    return this.#isBelowWatermark();
  }

  pause(): void {
    this.#isReading = false;
    this.#stream.pause();
  }

  resume(): void {
    this.#isReading = true;
    if (this.#isCloseHeld) return queueMicrotask(() => this.#deliverHeldClose());
    this.#stream.resume();
    if (this.#hasHeldEnd) queueMicrotask(() => this.#deliverEnd());
  }

  end(): void {
    if (this.#hasEnded || this.isDestroyed) return;
    this.#hasEnded = true;
    this.#stream.end();
  }

  /** Where our half has ended and gone out whole, the rest of the client's is declined; otherwise the client has to know. */
  destroy(error?: Error): void {
    this.#close(this.#stream.writableFinished ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL, error ?? null);
  }

  reset(): void {
    this.#close(NGHTTP2_CANCEL, null);
  }

  #close(code: number, error: Error | null): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#error = error;
    if (this.#isCloseHeld) return queueMicrotask(() => this.#deliverHeldClose());
    const stream = this.#stream;
    if (code !== NGHTTP2_NO_ERROR) return resetStream(stream, code);
    afterSending(stream, SENDING_MS_MAX, (isSent) => resetStream(stream, isSent ? code : NGHTTP2_CANCEL));
  }

  #write(bytes: Buffer): boolean {
    if (this.isDestroyed) return false;
    assert(!this.#hasEnded, "write after end");
    this.bytesWritten += bytes.length;
    this.#owner.notePayload(bytes.length);
    this.#stream.write(bytes);
    return this.#isBelowWatermark();
  }

  #isBelowWatermark(): boolean {
    if (this.isDestroyed) return false;
    const { writableLength, writableHighWaterMark, writableCorked } = this.#stream;
    if (writableLength <= Math.max(HIGH_WATER_MARK_BYTES, writableHighWaterMark) || writableCorked > 0)
      return true;
    this.#mustDrain = true;
    return false;
  }

  #streamOnData(chunk: Buffer): void {
    if (this.#isClosing) return;
    this.#owner.notePayload(chunk.length);
    if (this.#hasLostConnection) this.#lastChunks.push(chunk);
    else this.#deliver(chunk);
  }

  #deliver(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    this.listener.onBytes(chunk, 0, chunk.length);
  }

  /** The client's reset, or the loss of the whole connection, before our half has ended. */
  #streamOnAborted(): void {
    if (this.#isClosing) return;
    if (this.#owner.loss === "FIN") {
      this.#hasLostConnection = true;
      // Once it is destroyed the stream gives nothing more. From Node 26 on each call gives one chunk, before that one gives
      // all of a stream that is paused.
      this.#stream.pause();
      while (this.#stream.read() !== null);
    } else {
      this.#noteReset();
    }
    // Node would wait until somebody has read what is left; who is paused does not.
    this.#stream.destroy();
  }

  #noteReset(): void {
    const { loss } = this.#owner;
    this.#wasReset = true;
    this.#error ??=
      loss instanceof Error ? loss : resetError("stream", this.#stream.rstCode ?? NGHTTP2_NO_ERROR);
  }

  #streamOnEnd(): void {
    // Node ends a stream that has been reset, and those of a connection that is gone, too.
    if (this.#wasReset || this.#hasLostConnection) return;
    if (this.#owner.loss !== "FIN" && (this.#stream.rstCode ?? NGHTTP2_NO_ERROR) !== NGHTTP2_NO_ERROR)
      return this.#noteReset();
    // A stream paused from within its last chunk ends nevertheless.
    this.#hasHeldEnd = true;
    if (this.#isReading) this.#deliverEnd();
  }

  #deliverEnd(): void {
    if (!this.#hasHeldEnd || !this.#isReading || this.isDestroyed) return;
    this.#hasHeldEnd = false;
    this.peerHasEnded = true;
    this.listener.onEnd();
  }

  #streamOnClose(): void {
    if (this.#hasLostConnection) {
      this.#isCloseHeld = true;
      return this.#deliverHeldClose();
    }
    const code = this.#stream.rstCode ?? NGHTTP2_NO_ERROR;
    if (!this.#isClosing && code !== NGHTTP2_NO_ERROR && this.#owner.loss !== "FIN") this.#noteReset();
    this.listener.onClose(this.#error);
  }

  /** As with any connection, what stood before the FIN is delivered before it, to whoever reads again. */
  #deliverHeldClose(): void {
    while (this.#isReading && !this.#isClosing) {
      const chunk = this.#lastChunks.shift();
      if (chunk === undefined) break;
      this.#deliver(chunk);
    }
    if (this.#isReading && !this.#isClosing && !this.peerHasEnded) {
      this.peerHasEnded = true;
      this.listener.onEnd();
    }
    if (!this.#isCloseHeld || !(this.#isReading || this.#isClosing)) return;
    this.#isCloseHeld = false;
    this.listener.onClose(this.#error);
  }

  #streamOnDrain(): void {
    if (!this.#mustDrain) return;
    this.#mustDrain = false;
    this.listener.onDrain();
  }
}

function ignore(): void {}
