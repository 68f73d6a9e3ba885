import { byteStringFromText } from "../base/bytes.ts";
import { Deadline } from "../base/timers.ts";
import type { Transport } from "../base/transport.ts";
import { tunnelCounts } from "../observe/tunnel-counts.ts";
import type { Farewell } from "./farewell.ts";
import { FrameFollower, type FrameSink } from "./frame-follower.ts";
import { CLOSE, closePayload, CONTINUATION, controlFrame, PING, PONG } from "./frame-head.ts";
import { nextMaskingKey } from "./masking-key.ts";
import { type FrameRule, type Violation, violationOf } from "./frame-rules.ts";
import type { RelayFilter, RelayFlow, TunnelEndCause, TunnelSide } from "./relay.ts";
import type { TunnelWatch } from "./tunnel-watch.ts";

/** More than this pending means that the sink is busy, and a ping would only stand in its queue. */
const PING_PENDING_BYTES_MAX = 1024;

/** One direction of a watched tunnel: follows its frames, and writes frames of ours between them. */
export class FrameFilter implements RelayFilter, FrameSink {
  readonly from: TunnelSide;
  /** Whole messages that came. */
  messages = 0;
  /** Whether bytes came since somebody last set this to false. */
  wasHeard = false;
  /** The source has got its last Close frame from us: one of its own is the answer to that, and stays here. */
  isTold = false;
  /** Touched with every piece that comes; armed by who wants to know of a silence. */
  readonly silence: Deadline = new Deadline();

  readonly #watch: TunnelWatch;
  readonly #follower: FrameFollower;
  /** Frames to the upstream are a client's, and masked. */
  readonly #masksFrames: boolean;
  #flow: RelayFlow | null = null;
  #sink: Transport | null = null;
  #hasRoom = true;
  #takenBytesSeen = 0;
  #messageOpcode = 0;
  #messageBytes = 0;
  #fragments = 0;
  /** The sink has got a Close frame: nothing may follow it. */
  #hasClosed = false;
  /** The Close frame was ours, or is to be: what comes from the source after it is dropped. */
  #isMuted = false;
  /** A Close frame of ours that waits for the end of the frame under way. */
  #waitingClose: { readonly farewell: Farewell; readonly onSent: () => void } | null = null;
  /** A Close frame of the source has been read, and is being passed on. */
  #isCloseNew = false;
  /** In the place of that one, which only answers a Close frame of ours, what we have to say. */
  #closeInstead: Farewell | null = null;
  #brokenLimit: Violation | null = null;

  constructor(
    watch: TunnelWatch,
    from: TunnelSide,
    options: { readonly isMasked: boolean; readonly allowsRsv1: boolean },
  ) {
    this.#watch = watch;
    this.from = from;
    this.#masksFrames = from === "client";
    this.#follower = new FrameFollower(this, options);
  }

  get #to(): TunnelSide {
    return this.from === "client" ? "upstream" : "client";
  }

  /** Whether what this side sends is not read for now: its answers stand in the queue with the rest. */
  get isUnheard(): boolean {
    return this.#flow !== null && (this.#flow.isHeld || this.#flow.isBlocked);
  }

  /** Whether an answer of this side would be heard: it is read, and has not sent its last frame. */
  get mayAnswer(): boolean {
    return !this.#hasClosed && !this.isUnheard;
  }

  // In the relay

  start(flow: RelayFlow): void {
    this.#flow = flow;
  }

  /** Where this direction leads; before the first bytes come. */
  set sink(sink: Transport) {
    this.#sink = sink;
  }

  pass(chunk: Buffer, start: number, end: number, sink: Transport): boolean {
    this.#sink = sink;
    this.#hasRoom = true;
    this.noteHeard();
    const isPayload = !this.#follower.isBetweenFrames;
    this.#follower.read(chunk, start, end);
    // A message that takes long is none the less one.
    if (isPayload) this.#watch.onPayload();
    if (this.#isCloseNew) {
      this.#isCloseNew = false;
      if (this.#closeInstead !== null && !this.#hasClosed) this.#writeClose(sink, this.#closeInstead);
      this.#watch.onClosePassed(this.from);
    }
    return this.#hasRoom;
  }

  /** The side has sent something. */
  noteHeard(): void {
    this.wasHeard = true;
    this.silence.touch();
  }

  finish(sink: Transport, cause: TunnelEndCause): void {
    if (this.#hasClosed || !this.#follower.isBetweenFrames) return;
    const to = this.#to;
    const farewell = this.#watch.farewellTo(to, cause);
    if (farewell === null) return;
    this.#watch.onFarewell(to, farewell);
    this.#writeClose(sink, farewell);
  }

  /** Whether what has gone to the sink ends between two frames. */
  get isBetweenFrames(): boolean {
    return this.#follower.isBetweenFrames;
  }

  /**
   * Sends a Close frame as soon as no other frame is under way, and drops what the source sends after that. `onSent` is
   * called before this returns or later; never if the source sends a Close frame first.
   */
  sendClose(farewell: Farewell, onSent: () => void): void {
    if (this.#hasClosed) return;
    this.#waitingClose = { farewell, onSent };
    if (this.#follower.isBetweenFrames) this.onBoundary();
    else this.#follower.awaitBoundary();
  }

  /** Takes back a {@link sendClose} that still waits. */
  forgetClose(): void {
    this.#waitingClose = null;
  }

  /** False where there is no room for a ping: within a frame, behind much that is pending, and behind a Close frame. */
  writePing(payload: Buffer): boolean {
    const sink = this.#sink;
    if (sink === null || this.#hasClosed || !this.#follower.isBetweenFrames) return false;
    if (sink.pendingBytes > PING_PENDING_BYTES_MAX) return false;
    this.#write(sink, PING, payload);
    tunnelCounts[this.#to].pings++;
    return true;
  }

  /** Whether the sink has taken nothing since this was asked last, and more is pending for it than lets a ping through. */
  isSinkStuck(): boolean {
    const sink = this.#sink;
    if (sink === null) return false;
    const takenBytes = sink.bytesWritten - sink.pendingBytes;
    const isStuck = sink.pendingBytes > PING_PENDING_BYTES_MAX && takenBytes <= this.#takenBytesSeen;
    this.#takenBytesSeen = takenBytes;
    return isStuck;
  }

  #writeClose(sink: Transport, { code, reason }: Farewell): void {
    this.#hasClosed = true;
    this.#write(sink, CLOSE, closePayload(code, reason));
    this.#watch.observer?.onCloseFrame("proxy", this.#to, code, byteStringFromText(reason));
    tunnelCounts.closeSent(this.#to, code);
  }

  #write(sink: Transport, opcode: number, payload: Buffer): void {
    const frame = controlFrame(opcode, payload, this.#masksFrames ? nextMaskingKey() : null);
    sink.write(frame, 0, frame.length);
  }

  // As the follower's sink

  onBytes(chunk: Buffer, start: number, end: number): void {
    if (this.#sink !== null && !this.#isMuted) this.#hasRoom = this.#sink.write(chunk, start, end);
  }

  onBoundary(): void {
    const sink = this.#sink;
    const waiting = this.#waitingClose;
    this.#waitingClose = null;
    if (waiting === null || sink === null || this.#hasClosed) return;
    this.#isMuted = true;
    this.#writeClose(sink, waiting.farewell);
    waiting.onSent();
  }

  onDataFrame(opcode: number, isFinal: boolean, length: number): boolean {
    if (this.#isMuted) return true;
    if (opcode !== CONTINUATION) {
      this.#messageOpcode = opcode;
      this.#messageBytes = 0;
      this.#fragments = 0;
    }
    this.#messageBytes += length;
    this.#fragments++;
    this.#brokenLimit = this.#watch.limitBrokenBy(length, this.#messageBytes, this.#fragments);
    if (this.#brokenLimit !== null) return false;
    if (isFinal) {
      this.messages++;
      tunnelCounts[this.from].messages++;
      this.#watch.observer?.onMessage(this.from, this.#messageOpcode, this.#messageBytes, this.#fragments);
    }
    return true;
  }

  onControlFrame(opcode: number, payload: Buffer): boolean {
    if (opcode === PONG) return !this.#watch.onPong(this.from, payload);
    if (opcode !== CLOSE) return true;
    if (this.isTold) return false;
    this.#watch.onClose(this.from, payload);
    this.#isCloseNew = true;
    // After our own Close frame theirs is an answer to it, and stays here.
    if (this.#hasClosed) return false;
    this.#closeInstead = this.#watch.closeInstead(this.from, payload);
    this.#hasClosed = this.#closeInstead === null;
    return this.#hasClosed;
  }

  onRefused(): void {
    if (this.#brokenLimit !== null) {
      this.#watch.onOffence({ by: this.from, violation: this.#brokenLimit, isLimit: true });
    }
  }

  onViolation(rule: FrameRule): void {
    this.#watch.onOffence({ by: this.from, violation: violationOf(rule), isLimit: false });
  }
}
