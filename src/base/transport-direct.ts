import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { assert } from "./assert.ts";
import type { ByteString } from "./bytes.ts";
import type { SocketTransport, TransportListener } from "./transport.ts";
import {
  type DialTarget,
  HandleDial,
  type HandleOwner,
  readBuffer,
  type SocketEnd,
  type SocketHandle,
  takeHandle,
} from "./transport-handle.ts";
import { SendQueue } from "./transport-queue.ts";
import { highWaterMarkBytesDefault } from "./transport-stream.ts";
import { type TlsInfo, tlsInfoOf } from "./transport-tls.ts";

/*
 * A transport on a socket's handle.
 *
 *   writing   idle → in flight (the kernel took a part, or TLS is at work) → idle. While something is in flight, while
 *             corked and before the connection stands, what is written is copied into the queue, which goes out as one.
 *   reading   off ⇄ on. What comes while off, which only TLS and a socket's former owner bring, is held.
 *   ending    open → FIN is due once nothing is pending → FIN sent. Closed once both ends have sent FIN.
 *   broken    A failed write does not close: the peer's last words may still stand in the kernel's buffer. Nothing more
 *             can be written, and the connection closes with the write's error when it has been read to its end.
 */

export interface DirectTransportOptions {
  readonly highWaterMarkBytes?: number;
  readonly onClosed?: () => void;
}

/** What one corked transport at a time writes comes together here: room for a head and a whole read's worth of body. */
const staging: { readonly buffer: Buffer; bytes: number; owner: DirectTransport | null } = {
  buffer: Buffer.allocUnsafeSlow(16_384 + 65_536),
  bytes: 0,
  owner: null,
};

/** Where short strings become bytes. */
const scratch: Buffer = Buffer.allocUnsafeSlow(16_384);

/** A {@link SocketTransport} on the handle of a socket. */
export class DirectTransport implements SocketTransport, HandleOwner {
  listener: TransportListener;
  bytesRead = 0;
  bytesWritten = 0;
  isDestroyed = false;
  peerHasEnded = false;
  tls: TlsInfo | null = null;
  remoteAddress = "";
  remotePort = 0;

  readonly #highWaterMarkBytes: number;
  readonly #onClosed: (() => void) | undefined;
  /** Null while connecting. */
  #handle: SocketHandle | null = null;
  /** What is to be destroyed with the transport while it is connecting. */
  #dial: { destroy(): void } | null = null;
  #localEnd: SocketEnd | null = null;
  #error: Error | null = null;

  readonly #queue: SendQueue = new SendQueue();
  #isCorked = false;
  #mustDrain = false;
  #writing: "open" | "ending" | "finishing" | "ended" | "broken" = "open";

  #isReading = false;
  #held: Buffer[] | null = null;
  #hasHeldEnd = false;

  /** Not connected: call {@link dial} or {@link adopt}. */
  constructor(listener: TransportListener, options: DirectTransportOptions) {
    this.listener = listener;
    this.#highWaterMarkBytes = options.highWaterMarkBytes ?? highWaterMarkBytesDefault;
    this.#onClosed = options.onClosed;
  }

  /** Connects to an IP address. */
  dial(target: DialTarget, onConnect: () => void): void {
    this.remoteAddress = target.address;
    this.remotePort = target.port;
    this.#dial = new HandleDial(target, this, (handle) => {
      this.#begin(handle);
      onConnect();
    });
  }

  /** Stands for a socket that is connecting: what befalls it befalls the transport. Call {@link adopt} afterwards. */
  awaitSocket(socket: Socket): void {
    this.#dial = socket;
    socket.on("error", (error) => this.#socketOnError(error));
    socket.once("close", () => this.#socketOnClose());
  }

  /** Takes over a connected socket, after its TLS handshake if it has one. */
  adopt(socket: Socket): void {
    this.remoteAddress = socket.remoteAddress ?? "unix:";
    this.remotePort = socket.remotePort ?? 0;
    this.#localEnd = { address: socket.localAddress ?? "unix:", port: socket.localPort ?? 0 };
    this.tls = socket instanceof TLSSocket ? tlsInfoOf(socket) : null;
    const { handle, early } = takeHandle(socket, this);
    if (early !== null) this.#held = [early];
    this.#begin(handle);
  }

  get localAddress(): string {
    return this.#local.address;
  }

  get localPort(): number {
    return this.#local.port;
  }

  get #local(): SocketEnd {
    return (this.#localEnd ??= this.#handle?.localEnd ?? { address: "", port: 0 });
  }

  get pendingBytes(): number {
    const staged = staging.owner === this ? staging.bytes : 0;
    return staged + this.#queue.bytes + (this.#handle?.unsentBytes ?? 0);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    if (this.isDestroyed || this.#writing === "broken") return false;
    assert(this.#writing === "open", "nothing is written after end()");
    this.bytesWritten += end - start;
    return this.#isCorked ? this.#stage(chunk, start, end) : this.#send(chunk, start, end);
  }

  writeLatin1(text: ByteString): boolean {
    const { length } = text;
    if (length > scratch.length) return this.write(Buffer.from(text, "latin1"), 0, length);
    scratch.write(text, "latin1");
    return this.write(scratch, 0, length);
  }

  cork(): void {
    this.#isCorked = true;
  }

  uncork(): boolean {
    this.#isCorked = false;
    if (staging.owner === this) {
      staging.owner = null;
      return this.#send(staging.buffer, 0, staging.bytes);
    }
    this.#flush();
    return this.#hasRoom();
  }

  awaitDrain(): boolean {
    if (this.isDestroyed || this.#writing === "broken") return false;
    if (this.pendingBytes === 0) return true;
    this.#mustDrain = true;
    return false;
  }

  pause(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    if (!this.isDestroyed) this.#handle?.readStop();
  }

  resume(): void {
    if (this.#isReading || this.isDestroyed) return;
    this.#isReading = true;
    if (this.#handle !== null) this.#startReading();
  }

  end(): void {
    if (this.isDestroyed || this.#writing !== "open") return;
    this.#writing = "ending";
    if (this.#isCorked) this.uncork();
    else this.#flush();
  }

  destroy(error?: Error): void {
    if (!this.#release(error)) return;
    if (this.#handle === null) this.#dial?.destroy();
    else this.#handle.close();
  }

  reset(): void {
    if (!this.#release()) return;
    if (this.#handle === null) this.#dial?.destroy();
    else this.#handle.reset();
  }

  // As the handle's owner

  handleOnRead(lengthBytes: number): void {
    if (this.isDestroyed) return;
    if (!this.#isReading || this.#held !== null) {
      this.#held ??= [];
      this.#held.push(Buffer.from(readBuffer.subarray(0, lengthBytes)));
      return;
    }
    this.#deliver(readBuffer, lengthBytes);
  }

  handleOnEnd(): void {
    if (this.isDestroyed || this.peerHasEnded) return;
    if (!this.#isReading || this.#held !== null) this.#hasHeldEnd = true;
    else this.#deliverEnd();
  }

  handleOnReadError(error: Error): void {
    this.destroy(error);
  }

  handleOnWriteError(error: Error): void {
    if (this.isDestroyed || this.#writing === "broken") return;
    this.#writing = "broken";
    this.#error = error;
    this.#dropPending();
    if (this.peerHasEnded) this.destroy(error);
    else process.nextTick(() => this.#tellWriteError(error));
  }

  handleOnWritten(): void {
    if (this.isDestroyed) return;
    this.#flush();
    if (!this.#mustDrain || !this.#isIdle()) return;
    this.#mustDrain = false;
    this.listener.onDrain();
  }

  handleOnShutdown(): void {
    if (this.isDestroyed) return;
    this.#writing = "ended";
    if (this.peerHasEnded) this.destroy();
  }

  handleOnClosed(): void {
    this.#handle = null;
    this.isDestroyed = true;
    this.listener.onClose(this.#error);
    this.#onClosed?.();
  }

  /** Connected. */
  #begin(handle: SocketHandle): void {
    this.#dial = null;
    this.#handle = handle;
    if (this.#isReading) this.#startReading();
    this.#flush();
    // Nobody else will say so of what the kernel has taken at once. After onConnect, which is called next.
    if (this.#mustDrain && this.#isIdle()) queueMicrotask(() => this.handleOnWritten());
  }

  // Writing

  #send(chunk: Buffer, start: number, end: number): boolean {
    const handle = this.#handle;
    const taken = handle !== null && this.#isIdle() ? handle.send(chunk, start, end) : 0;
    if (taken < end - start) {
      this.#queue.add(chunk, start + taken, end);
      this.#flush();
    }
    return this.#hasRoom();
  }

  #stage(chunk: Buffer, start: number, end: number): true {
    if (staging.owner === null && this.#isIdle()) {
      staging.owner = this;
      staging.bytes = 0;
    }
    if (staging.owner === this) {
      if (staging.bytes + end - start <= staging.buffer.length) {
        staging.bytes += chunk.copy(staging.buffer, staging.bytes, start, end);
        return true;
      }
      staging.owner = null;
      this.#queue.add(staging.buffer, 0, staging.bytes);
    }
    this.#queue.add(chunk, start, end);
    return true;
  }

  /** Sends what is queued if it is its turn, and FIN behind it if it is due. */
  #flush(): void {
    const handle = this.#handle;
    if (handle === null || handle.inFlightBytes > 0 || this.#isCorked || this.isDestroyed) return;
    const { bytes } = this.#queue;
    if (bytes > 0 && !handle.sendAll(this.#queue.take(), bytes)) return;
    if (this.#writing !== "ending") return;
    this.#writing = "finishing";
    handle.shutdown();
  }

  #isIdle(): boolean {
    return this.#queue.bytes === 0 && this.#handle !== null && this.#handle.inFlightBytes === 0;
  }

  #hasRoom(): boolean {
    if (this.isDestroyed || this.#writing === "broken") return false;
    // An upper bound: how much of what is in flight the kernel has taken is not looked up for every write.
    if (this.#queue.bytes + (this.#handle?.inFlightBytes ?? 0) <= this.#highWaterMarkBytes) return true;
    this.#mustDrain = true;
    return false;
  }

  #tellWriteError(error: Error): void {
    if (!this.isDestroyed) this.listener.onWriteError?.(error);
  }

  #dropPending(): void {
    if (staging.owner === this) staging.owner = null;
    this.#queue.clear();
  }

  // Reading

  #startReading(): void {
    if (this.#held === null && !this.#hasHeldEnd) this.#handle?.readStart();
    else queueMicrotask(() => this.#deliverHeld());
  }

  #deliverHeld(): void {
    while (this.#held !== null && this.#isReading && !this.isDestroyed) {
      const chunk = this.#held.shift();
      if (this.#held.length === 0) this.#held = null;
      if (chunk !== undefined) this.#deliver(chunk, chunk.length);
    }
    if (!this.#isReading || this.isDestroyed) return;
    if (this.#hasHeldEnd) this.#deliverEnd();
    else this.#handle?.readStart();
  }

  #deliver(chunk: Buffer, lengthBytes: number): void {
    this.bytesRead += lengthBytes;
    this.listener.onBytes(chunk, 0, lengthBytes);
  }

  #deliverEnd(): void {
    if (this.#writing === "broken") return this.destroy(this.#error ?? undefined);
    this.#hasHeldEnd = false;
    this.peerHasEnded = true;
    this.listener.onEnd();
    if (this.#writing === "ended") this.destroy();
  }

  // Closing

  /** False if that was done before. */
  #release(error?: Error): boolean {
    if (this.isDestroyed) return false;
    this.isDestroyed = true;
    if (error !== undefined) this.#error = error;
    this.#dropPending();
    return true;
  }

  /** A connection that does not come about. Once it has, the handle tells. */
  #socketOnError(error: Error): void {
    if (this.#dial !== null && !this.isDestroyed) this.#error = error;
  }

  #socketOnClose(): void {
    if (this.#dial !== null) this.handleOnClosed();
  }
}
