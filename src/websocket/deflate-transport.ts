import type { ByteString } from "../base/bytes.ts";
import type { TlsInfo, Transport, TransportListener } from "../base/transport.ts";
import { tunnelCounts } from "../observe/tunnel-counts.ts";
import { INVALID_PAYLOAD, MESSAGE_TOO_BIG } from "./close-codes.ts";
import type { OffloadSettings } from "./compression.ts";
import { Deflater, Inflater } from "./deflate-coder.ts";
import { DeflateFlow, type FlowUser } from "./deflate-flow.ts";
import { type DeflateAgreement, WINDOW_BITS_MAX } from "./deflate-parameters.ts";
import type { Violation } from "./frame-rules.ts";
import type { WorkingSource } from "./relay.ts";

/** More than this waiting to be compressed, in bytes, asks whoever writes to wait. */
const PENDING_BYTES_MAX = 65_536;
/**
 * A message may always become so long, in bytes; beyond that it must not be more than so many times as long as what came of
 * it. Deflate itself reaches 1,032 (a bomb), text seldom 20.
 */
const FREE_BYTES_MAX = 16_777_216;
const GROWTH_MAX = 256;

const VIOLATIONS = {
  corrupt: {
    rule: "deflate-data",
    code: INVALID_PAYLOAD,
    message: "message that cannot be inflated (RFC 7692 section 7.2.2)",
  },
  bomb: {
    rule: "deflate-growth",
    code: MESSAGE_TOO_BIG,
    message: `message that grows to more than ${GROWTH_MAX} times its size when inflated`,
  },
} as const satisfies Readonly<Record<string, Violation>>;

export interface DeflateTransportOptions {
  readonly agreement: DeflateAgreement;
  readonly settings: OffloadSettings;
  /** What came before somebody read from the transport. */
  readonly early: Buffer;
  /** A message of the client's cannot be, or is not to be, inflated. Nothing more comes from it. */
  readonly onViolation: (violation: Violation, isLimit: boolean) => void;
  /** Something has come from the client, which may be long in being delivered; `isMessage`: more of a message. */
  readonly onHeard: (isMessage: boolean) => void;
}

/**
 * A client with whom permessage-deflate was agreed on, made to look like one with whom it was not: its messages are inflated
 * before anybody sees them, what is written to it is compressed. Whatever is behind it (frame rules, limits, pings, closing
 * handshakes) knows nothing of compression, and works on plain frames.
 *
 * Pausing, draining and both ends wait for what zlib still has to do, so that bytes, FIN and close come in their order.
 */
export class DeflateTransport implements Transport, TransportListener, WorkingSource {
  listener: TransportListener;
  peerHasEnded = false;

  readonly #inner: Transport;
  readonly #options: DeflateTransportOptions;
  readonly #incoming: DeflateFlow;
  readonly #outgoing: DeflateFlow;
  readonly #bytesReadBefore: number;
  readonly #bytesWrittenBefore: number;
  #isPaused = true;
  #isDestroyed = false;
  /** The peer's FIN, or the end of the connection, waits for what came before it. */
  #isEndHeld: boolean;
  #heldClose: { readonly error: Error | null } | null = null;
  /** FIN is to follow what is being compressed. */
  #isEnding = false;
  #mustDrain = false;
  /** Who waits for what is being inflated. */
  #onDelivered: (() => void) | null = null;

  /** Takes over a paused transport, and is paused itself. */
  constructor(inner: Transport, options: DeflateTransportOptions) {
    this.#inner = inner;
    this.#options = options;
    this.#bytesReadBefore = inner.bytesRead - options.early.length;
    this.#bytesWrittenBefore = inner.bytesWritten;
    this.#isEndHeld = inner.peerHasEnded;
    this.#incoming = this.#makeIncoming(options);
    this.#outgoing = this.#makeOutgoing(options);
    this.listener = inner.listener;
    inner.listener = this;
    this.#incoming.pause();
    tunnelCounts.client.bytes += options.early.length;
    this.#incoming.take(options.early, 0, options.early.length);
  }

  /** Bytes on the wire since the takeover, the early ones included. */
  get wireBytesIn(): number {
    return this.#inner.bytesRead - this.#bytesReadBefore;
  }

  get wireBytesOut(): number {
    return this.#inner.bytesWritten - this.#bytesWrittenBefore;
  }

  /** How many times longer the messages of both directions were than what of them was on the wire; null without any. */
  get ratio(): number | null {
    const compressed = this.#incoming.bytesIn + this.#outgoing.bytesOut;
    return compressed === 0 ? null : (this.#incoming.bytesOut + this.#outgoing.bytesIn) / compressed;
  }

  // As a transport

  write(chunk: Buffer, start: number, end: number): boolean {
    if (this.#isDestroyed || this.#isEnding) return false;
    this.#outgoing.take(chunk, start, end);
    const hasRoom = !this.#outgoing.isFull && this.#outgoing.pendingBytes <= PENDING_BYTES_MAX;
    if (!hasRoom) this.#mustDrain = true;
    return hasRoom;
  }

  writeLatin1(text: ByteString): boolean {
    const bytes = Buffer.from(text, "latin1");
    return this.write(bytes, 0, bytes.length);
  }

  cork(): void {
    this.#inner.cork();
  }

  uncork(): boolean {
    return this.#inner.uncork();
  }

  pause(): void {
    this.#isPaused = true;
    this.#incoming.pause();
    this.#inner.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    // The listener is not called from within its own call.
    queueMicrotask(() => {
      if (!this.#isPaused && !this.#isDestroyed) this.#incoming.resume();
    });
  }

  end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    if (this.#outgoing.isIdle) this.#inner.end();
  }

  deliverAll(then: () => void): boolean {
    // While it works it does not read.
    if (this.#isDestroyed || this.#incoming.isIdle) return false;
    this.#onDelivered = then;
    return true;
  }

  destroy(error?: Error): void {
    this.#closeFlows();
    this.#inner.destroy(error);
  }

  reset(): void {
    this.#closeFlows();
    this.#inner.reset();
  }

  get pendingBytes(): number {
    return this.#outgoing.pendingBytes + this.#inner.pendingBytes;
  }

  get bytesRead(): number {
    return this.#inner.bytesRead;
  }

  get bytesWritten(): number {
    return this.#inner.bytesWritten;
  }

  get isDestroyed(): boolean {
    return this.#inner.isDestroyed;
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress;
  }

  get remotePort(): number {
    return this.#inner.remotePort;
  }

  get localAddress(): string {
    return this.#inner.localAddress;
  }

  get localPort(): number {
    return this.#inner.localPort;
  }

  get tls(): TlsInfo | null {
    return this.#inner.tls;
  }

  // As the listener of the transport within

  onBytes(chunk: Buffer, start: number, end: number): void {
    tunnelCounts.client.bytes += end - start;
    const gatheredBefore = this.#incoming.gatheredBytes;
    this.#incoming.take(chunk, start, end);
    this.#options.onHeard(this.#incoming.gatheredBytes > gatheredBefore);
    if (!this.#incoming.isIdle) this.#inner.pause();
  }

  onEnd(): void {
    // It comes only while we read, and we read only while nothing waits.
    this.#isEndHeld = true;
    this.#incomingOnIdle();
  }

  onDrain(): void {
    this.#outgoing.resume();
  }

  onWriteError(error: Error): void {
    this.#outgoing.close();
    this.listener.onWriteError?.(error);
  }

  onClose(error: Error | null): void {
    this.#outgoing.close();
    this.#heldClose = { error };
    if (this.#isDestroyed || (!this.#isPaused && this.#incoming.isIdle)) this.#incomingOnIdle();
  }

  // What comes of the flows

  #makeIncoming({ agreement }: DeflateTransportOptions): DeflateFlow {
    const isAllowed = (fromBytes: number, toBytes: number): boolean =>
      toBytes <= FREE_BYTES_MAX || toBytes <= fromBytes * GROWTH_MAX;
    const user: FlowUser = {
      onFrames: (chunk, start, end) => {
        this.listener.onBytes(chunk, start, end);
        return !this.#isPaused;
      },
      onIdle: () => this.#incomingOnIdle(),
      mayGrow: (fromBytes, toBytes) => {
        if (isAllowed(fromBytes, toBytes)) return true;
        this.#refuse(VIOLATIONS.bomb, true);
        return false;
      },
      onFailure: () => this.#refuse(VIOLATIONS.corrupt, false),
    };
    const windowBits = agreement.client_max_window_bits ?? WINDOW_BITS_MAX;
    const keepsWindow = !agreement.client_no_context_takeover;
    return new DeflateFlow(user, null, (flow) => new Inflater({ windowBits, keepsWindow }, flow));
  }

  #makeOutgoing({ agreement, settings }: DeflateTransportOptions): DeflateFlow {
    const user: FlowUser = {
      onFrames: (chunk, start, end) => this.#inner.write(chunk, start, end),
      onIdle: () => this.#outgoingOnIdle(),
      mayGrow: () => true,
      onFailure: (error) => this.destroy(error),
    };
    const { level, minBytes } = settings;
    const windowBits = agreement.server_max_window_bits ?? settings.windowBits;
    const keepsWindow = !agreement.server_no_context_takeover;
    return new DeflateFlow(user, minBytes, (flow) => new Deflater({ windowBits, level, keepsWindow }, flow));
  }

  #incomingOnIdle(): void {
    const onDelivered = this.#onDelivered;
    this.#onDelivered = null;
    onDelivered?.();
    if (this.#isEndHeld && !this.#isDestroyed) {
      this.#isEndHeld = false;
      this.peerHasEnded = true;
      this.listener.onEnd();
    }
    const close = this.#heldClose;
    if (close !== null) {
      this.#heldClose = null;
      this.#closeFlows();
      this.listener.onClose(close.error);
    } else if (!this.#isPaused) {
      this.#inner.resume();
    }
  }

  /** What the client still sends is read, so that its end is seen, and dropped. */
  #refuse(violation: Violation, isLimit: boolean): void {
    this.#options.onViolation(violation, isLimit);
    queueMicrotask(() => {
      if (!this.#isPaused && !this.#isDestroyed) this.#incomingOnIdle();
    });
  }

  #outgoingOnIdle(): void {
    if (this.#isEnding) return this.#inner.end();
    if (!this.#mustDrain) return;
    this.#mustDrain = false;
    this.listener.onDrain();
  }

  #closeFlows(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#incoming.close();
    this.#outgoing.close();
    // The connection is gone already, and whoever listens does not know it yet.
    if (this.#heldClose !== null) queueMicrotask(() => this.#incomingOnIdle());
  }
}
