import { randomBytes } from "node:crypto";
import type { Transport } from "../base/transport.ts";
import { FrameFollower, type FrameSink } from "./frame-follower.ts";
import { CLOSE, closePayload, CONTINUATION, controlFrame, PING, PONG } from "./frame-head.ts";
import { type FrameRule, type Violation, violationOf } from "./frame-rules.ts";
import type { RelayFilter, TunnelEndCause, TunnelSide } from "./relay.ts";
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
  /** Called with every piece that comes. */
  onHeard: () => void = () => {};

  readonly #watch: TunnelWatch;
  readonly #follower: FrameFollower;
  /** Frames to the upstream are a client's, and masked. */
  readonly #masksFrames: boolean;
  #sink: Transport | null = null;
  #hasRoom = true;
  #messageBytes = 0;
  #fragments = 0;
  /** The sink has got a Close frame: nothing may follow it. */
  #hasClosed = false;
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

  // In the relay

  /** Where this direction leads; before the first bytes come. */
  set sink(sink: Transport) {
    this.#sink = sink;
  }

  pass(chunk: Buffer, start: number, end: number, sink: Transport): boolean {
    this.#sink = sink;
    this.#hasRoom = true;
    this.wasHeard = true;
    this.onHeard();
    this.#follower.read(chunk, start, end);
    return this.#hasRoom;
  }

  finish(sink: Transport, cause: TunnelEndCause): void {
    const to = this.from === "client" ? "upstream" : "client";
    const farewell = this.#watch.farewellTo(to, cause);
    if (farewell === null || this.#hasClosed || !this.#follower.isBetweenFrames) return;
    this.#hasClosed = true;
    this.#write(sink, CLOSE, closePayload(farewell.code, farewell.reason));
  }

  writePing(payload: Buffer): void {
    const sink = this.#sink;
    if (sink === null || this.#hasClosed || !this.#follower.isBetweenFrames) return;
    if (sink.pendingBytes <= PING_PENDING_BYTES_MAX) this.#write(sink, PING, payload);
  }

  #write(sink: Transport, opcode: number, payload: Buffer): void {
    const frame = controlFrame(opcode, payload, this.#masksFrames ? randomBytes(4) : null);
    sink.write(frame, 0, frame.length);
  }

  // As the follower's sink

  onBytes(chunk: Buffer, start: number, end: number): void {
    if (this.#sink !== null) this.#hasRoom = this.#sink.write(chunk, start, end);
  }

  onDataFrame(opcode: number, isFinal: boolean, length: number): boolean {
    if (opcode !== CONTINUATION) {
      this.#messageBytes = 0;
      this.#fragments = 0;
    }
    this.#messageBytes += length;
    this.#fragments++;
    this.#brokenLimit = this.#watch.limitBrokenBy(length, this.#messageBytes, this.#fragments);
    if (this.#brokenLimit !== null) return false;
    if (isFinal) this.messages++;
    return true;
  }

  onControlFrame(opcode: number, payload: Buffer): boolean {
    if (opcode === PONG) return !this.#watch.onPong(this.from, payload);
    if (opcode !== CLOSE) return true;
    this.#watch.onClose(this.from, payload);
    // After our own Close frame theirs is an answer to it, and stays here.
    if (this.#hasClosed) return false;
    this.#hasClosed = true;
    return true;
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
