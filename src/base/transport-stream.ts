import * as net from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { assert } from "./assert.ts";
import type { ByteString } from "./bytes.ts";
import type { SocketTransport, TransportListener } from "./transport.ts";
import { type TlsInfo, tlsInfoOf } from "./transport-tls.ts";

/** Bytes that may be pending before write returns false, unless an option says otherwise. */
export const highWaterMarkBytesDefault: number = 65_536;

export interface StreamTransportOptions {
  readonly highWaterMarkBytes?: number;
  readonly onClosed?: () => void;
}

/** A {@link SocketTransport} over the public interface of a Duplex: sockets and TLS sockets. */
export class StreamTransport implements SocketTransport {
  listener: TransportListener;
  bytesRead = 0;
  bytesWritten = 0;
  tls: TlsInfo | null = null;
  remoteAddress = "";
  remotePort = 0;
  localAddress = "";
  localPort = 0;
  peerHasEnded = false;

  readonly #stream: Duplex;
  readonly #onWritten = (error?: Error | null): void => this.#streamOnWritten(error);
  readonly #highWaterMarkBytes: number;
  #mustDrain = false;
  #hasEnded = false;
  #isClosing = false;
  #isReading = false;
  #hasHeldEnd = false;
  #error: Error | null = null;

  constructor(stream: Duplex, listener: TransportListener, options: StreamTransportOptions) {
    this.listener = listener;
    this.#stream = stream;
    this.#highWaterMarkBytes = options.highWaterMarkBytes ?? highWaterMarkBytesDefault;
    stream.allowHalfOpen = true;
    // Paused explicitly, or else the data listener would set it flowing.
    stream.pause();
    stream.on("data", (chunk: Buffer) => this.#streamOnData(chunk));
    stream.on("end", () => this.#streamOnEnd());
    stream.on("error", (error: Error) => this.#streamOnError(error));
    // A TLS socket that belongs to no tls.Server reports under this name what breaks it after its handshake.
    stream.on("_tlsError", (error: Error) => this.#streamOnError(error));
    const onClose = (): void => this.#streamOnClose(options.onClosed);
    if (stream.closed) process.nextTick(onClose);
    else stream.on("close", onClose);
  }

  /** The socket is connected, its TLS handshake done: what it is connected to can be read now. */
  adopt(socket: net.Socket): void {
    this.remoteAddress = socket.remoteAddress ?? "unix:";
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? "unix:";
    this.localPort = socket.localPort ?? 0;
    this.tls = socket instanceof TLSSocket ? tlsInfoOf(socket) : null;
  }

  get pendingBytes(): number {
    return this.#stream.writableLength;
  }

  get isDestroyed(): boolean {
    return this.#isClosing || this.#stream.destroyed;
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    // The stream keeps what the kernel does not take at once, and the memory is the caller's: always a copy.
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

  awaitDrain(): boolean {
    if (this.isDestroyed) return false;
    if (this.#stream.writableLength === 0) return true;
    this.#mustDrain = true;
    return false;
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

  destroy(error?: Error): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#error = error ?? null;
    this.#stream.destroy();
  }

  reset(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const stream = this.#stream;
    // A TLS socket has the method and refuses it: its handle is not the TCP socket's. With a FIN on its way it fails,
    // and the socket never closes.
    if (stream instanceof net.Socket && this.tls === null && !this.#hasEnded) stream.resetAndDestroy();
    else stream.destroy();
  }

  #write(bytes: Buffer): boolean {
    if (this.isDestroyed) return false;
    assert(!this.#hasEnded, "write after end");
    this.bytesWritten += bytes.length;
    // Not the stream's own drain event, which does not come below its watermark.
    this.#stream.write(bytes, this.#onWritten);
    return this.#isBelowWatermark();
  }

  #isBelowWatermark(): boolean {
    if (this.isDestroyed) return false;
    if (this.#stream.writableLength <= this.#highWaterMarkBytes || this.#stream.writableCorked > 0)
      return true;
    this.#mustDrain = true;
    return false;
  }

  /** What follows a destroy of ours is noise. */
  #streamOnError(error: Error): void {
    if (!this.#isClosing) this.destroy(error);
  }

  #streamOnData(chunk: Buffer): void {
    if (this.#isClosing) return;
    this.bytesRead += chunk.length;
    this.listener.onBytes(chunk, 0, chunk.length);
  }

  #streamOnEnd(): void {
    // A stream paused from within its last chunk ends nevertheless.
    this.#hasHeldEnd = true;
    if (this.#isReading) this.#deliverEnd();
  }

  #deliverEnd(): void {
    if (!this.#hasHeldEnd || !this.#isReading || this.#isClosing) return;
    this.#hasHeldEnd = false;
    this.peerHasEnded = true;
    this.listener.onEnd();
  }

  #streamOnClose(onClosed: (() => void) | undefined): void {
    this.#isReading = true;
    this.#deliverEnd();
    this.listener.onClose(this.#error);
    onClosed?.();
  }

  #streamOnWritten(error?: Error | null): void {
    if (!this.#mustDrain || error || this.isDestroyed || this.#stream.writableLength > 0) return;
    this.#mustDrain = false;
    this.listener.onDrain();
  }
}
