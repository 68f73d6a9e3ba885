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

/** A stream that its client has reset: for a tunnel the same as a reset connection (see causeOfClose in relay.ts). */
function resetError(code: number): Error {
  const name = CODE_NAMES.get(code) ?? String(code);
  return Object.assign(new Error(`the stream was reset: ${name}`), { code: "ERR_STREAM_RESET" });
}

/**
 * A tunnel's {@link Transport} over an HTTP/2 stream whose head has been answered. END_STREAM stands for FIN, RST_STREAM
 * for RST. While paused nothing is read, so that the stream's window closes and the client has to wait; what it has no
 * window for is pending. Node gives up none of a stream's bytes by itself, so nothing here knows of frames.
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
  readonly #notePayload: (bytes: number) => void;
  #mustDrain = false;
  #hasEnded = false;
  /** Ended by us, at once: what still happens is noise. */
  #isClosing = false;
  #wasReset = false;
  #isReading = false;
  #hasHeldEnd = false;
  #error: Error | null = null;

  /** `notePayload` is told of all bytes that pass, either way. */
  constructor(
    stream: ServerHttp2Stream,
    connection: Connection,
    listener: TransportListener,
    notePayload: (bytes: number) => void,
  ) {
    this.#stream = stream;
    this.#notePayload = notePayload;
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
    const stream = this.#stream;
    if (code !== NGHTTP2_NO_ERROR) return resetStream(stream, code);
    afterSending(stream, SENDING_MS_MAX, (isSent) => resetStream(stream, isSent ? code : NGHTTP2_CANCEL));
  }

  #write(bytes: Buffer): boolean {
    if (this.isDestroyed) return false;
    assert(!this.#hasEnded, "write after end");
    this.bytesWritten += bytes.length;
    this.#notePayload(bytes.length);
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
    this.bytesRead += chunk.length;
    this.#notePayload(chunk.length);
    this.listener.onBytes(chunk, 0, chunk.length);
  }

  /** The client's reset, or the loss of the whole connection, before our half has ended. */
  #streamOnAborted(): void {
    if (this.#isClosing) return;
    this.#wasReset = true;
    this.#error = resetError(this.#stream.rstCode ?? NGHTTP2_NO_ERROR);
    // Node would wait until somebody has read what is left; who is paused does not.
    this.#stream.destroy();
  }

  #streamOnEnd(): void {
    // Node ends a stream that has been reset, too.
    if (this.#wasReset) return;
    const code = this.#stream.rstCode ?? NGHTTP2_NO_ERROR;
    if (code !== NGHTTP2_NO_ERROR) {
      this.#wasReset = true;
      this.#error ??= resetError(code);
      return;
    }
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
    const code = this.#stream.rstCode ?? NGHTTP2_NO_ERROR;
    if (!this.#isClosing && code !== NGHTTP2_NO_ERROR) this.#error ??= resetError(code);
    this.listener.onClose(this.#error);
  }

  #streamOnDrain(): void {
    if (!this.#mustDrain) return;
    this.#mustDrain = false;
    this.listener.onDrain();
  }
}

function ignore(): void {}
