import { Deadline } from "../base/timers.ts";
import type { Transport } from "../base/transport.ts";
import { beginsMessage, FrameScanner } from "./frame-scanner.ts";
import { type Rate, TokenBucket } from "./rate.ts";
import type { RelayFilter, RelayFlow, TunnelEndCause } from "./relay.ts";

/** Bytes that come one by one are gathered for so long. */
const GATHERING_MS = 50;

/** One unit's rate, and how much of it there is. */
interface Meter {
  readonly rate: Rate;
  readonly bucket: TokenBucket;
  /** How much is worth waking up for. */
  readonly portion: number;
}

/**
 * Holds one direction of a tunnel to its rates, in front of the filter that follows its frames:
 *
 *   passing  what comes goes on at once                      tokens run out → waiting, or over
 *   waiting  the rest of one chunk is kept, its source held  tokens come → passing
 *   over     what ended the tunnel is not passed on
 *   free     the tunnel is being closed, and nothing is held back any more
 *
 * A message costs a token as its first byte comes; the bytes of control frames count as well, and what stands behind a
 * message that waits has to wait with it. With `close` what is too much ends the tunnel between two frames: one that had
 * begun in time is delayed until its end, since within it nobody could be told why.
 */
export class PacedFilter implements RelayFilter, RelayFlow {
  readonly #inner: RelayFilter;
  readonly #messages: readonly Meter[];
  readonly #bytes: readonly Meter[];
  readonly #onExcess: (unit: Rate["unit"]) => void;
  readonly #scanner: FrameScanner = new FrameScanner();
  readonly #deadline: Deadline = new Deadline();
  #flow: RelayFlow | null = null;
  #sink: Transport | null = null;
  /** The rest of a chunk that waits, and how much of it has been passed on. */
  #kept: Buffer | null = null;
  #keptFrom = 0;
  #isInnerHeld = false;
  /** What is too much, once that is known and is to end the tunnel. */
  #excess: Rate["unit"] | null = null;
  #isOver = false;
  #isFree = false;

  /** `rates`: of this direction; all of them hold. `onExcess` is to end the tunnel. */
  constructor(inner: RelayFilter, rates: readonly Rate[], onExcess: (unit: Rate["unit"]) => void) {
    this.#inner = inner;
    this.#messages = metersOf("messages", rates);
    this.#bytes = metersOf("bytes", rates);
    this.#onExcess = onExcess;
  }

  // In the relay

  start(flow: RelayFlow): void {
    this.#flow = flow;
    this.#inner.start?.(this);
  }

  pass(chunk: Buffer, start: number, end: number, sink: Transport): boolean {
    this.#sink = sink;
    const kept = this.#kept;
    if (kept !== null) {
      // What was on its way when the source was held: a decompressor cannot stop in the middle.
      this.#kept = Buffer.concat([kept.subarray(this.#keptFrom), chunk.subarray(start, end)]);
      this.#keptFrom = 0;
      return true;
    }
    const at = this.#allow(chunk, start, end);
    if (at < end) {
      this.#kept = Buffer.from(chunk.subarray(at, end));
      this.#keptFrom = 0;
      this.#flow?.hold();
    }
    return this.#passOn(chunk, start, at, sink);
  }

  finish(sink: Transport, cause: TunnelEndCause): void {
    const kept = this.#kept;
    this.stop();
    // It had come before the end did; what was too much goes nowhere.
    if (kept !== null && !this.#isOver && !this.#isInnerHeld)
      this.#inner.pass(kept, this.#keptFrom, kept.length, sink);
    this.#isOver = true;
    this.#inner.finish(sink, cause);
  }

  onSinkDrain(): void {
    this.#inner.onSinkDrain?.();
    this.#goOn();
  }

  /** The tunnel is being closed: what is kept back, a Close frame behind it perhaps, goes on now, and all that comes. */
  setFree(): void {
    if (this.#isOver) return;
    this.#isFree = true;
    this.#excess = null;
    this.#deadline.disarm();
    this.#goOn();
  }

  /** Nothing more will be passed on. */
  stop(): void {
    this.#deadline.disarm();
    this.#kept = null;
  }

  // For the inner filter, which may hold the source on its own account

  get isHeld(): boolean {
    return this.#flow?.isHeld ?? false;
  }

  get isBlocked(): boolean {
    return this.#flow?.isBlocked ?? false;
  }

  hold(): void {
    this.#isInnerHeld = true;
    this.#flow?.hold();
  }

  release(): void {
    this.#isInnerHeld = false;
    if (this.#kept === null) this.#flow?.release();
    else this.#goOn();
  }

  noteWrite(hasRoom: boolean): void {
    this.#flow?.noteWrite(hasRoom);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    return this.#flow?.write(chunk, start, end) ?? false;
  }

  /** Passes on of what is kept as much as there are tokens for. */
  #goOn(): void {
    const kept = this.#kept;
    const from = this.#keptFrom;
    if (kept === null || this.#sink === null || this.#isInnerHeld || this.isBlocked || this.#deadline.isArmed)
      return;
    const at = this.#allow(kept, from, kept.length);
    this.#keptFrom = at;
    if (at === kept.length) this.#kept = null;
    this.noteWrite(this.#passOn(kept, from, at, this.#sink));
    if (this.#kept === null && !this.#isInnerHeld) this.#flow?.release();
  }

  #passOn(chunk: Buffer, start: number, end: number, sink: Transport): boolean {
    const hasRoom = end === start || this.#inner.pass(chunk, start, end, sink);
    if (this.#excess !== null && this.#scanner.isBetweenFrames && !this.#isOver) {
      this.#isOver = true;
      this.#onExcess(this.#excess);
    }
    return hasRoom;
  }

  /** How far `chunk[start, end)` may pass now; the tokens for it are taken, and the rest is waited for. */
  #allow(chunk: Buffer, start: number, end: number): number {
    if (this.#isFree) return end;
    const nowMs = performance.now();
    let at = start;
    while (at < end) {
      const isBoundary = this.#scanner.isBetweenFrames;
      if (isBoundary && this.#excess !== null) return at;
      const isMessage = isBoundary && beginsMessage(chunk[at] ?? 0);
      if (isMessage && !this.#haveTokens(this.#messages, end - at, nowMs)) return at;
      if (!this.#haveTokens(this.#bytes, end - at, nowMs)) return at;
      if (isMessage) for (const { bucket } of this.#messages) bucket.take(1);
      let stop = end;
      for (const { bucket } of this.#bytes) stop = Math.min(stop, at + bucket.available(nowMs));
      const next = this.#scanner.advance(chunk, at, stop);
      for (const { bucket } of this.#bytes) bucket.take(next - at);
      at = next;
    }
    return at;
  }

  /** Where one has no token, sees to it that it is waited for, or that the tunnel ends. */
  #haveTokens(meters: readonly Meter[], bytesLeft: number, nowMs: number): boolean {
    const empty = meters.find(({ bucket }) => bucket.available(nowMs) === 0);
    if (empty === undefined) return true;
    const { rate, bucket, portion } = empty;
    if (rate.excess === "close") this.#excess = rate.unit;
    if (this.#excess !== null && this.#scanner.isBetweenFrames) return false;
    const wanted = rate.unit === "bytes" ? Math.min(portion, bytesLeft) : portion;
    this.#deadline.arm(Math.max(1, bucket.waitMs(wanted, nowMs)), () => this.#goOn());
    return false;
  }
}

function metersOf(unit: Rate["unit"], rates: readonly Rate[]): readonly Meter[] {
  return rates
    .filter((rate) => rate.unit === unit)
    .map((rate) => ({
      rate,
      bucket: new TokenBucket(rate, performance.now()),
      portion: unit === "bytes" ? Math.max(1, Math.min(rate.burst, gatheredBytes(rate))) : 1,
    }));
}

function gatheredBytes({ perSecond }: Rate): number {
  return Math.floor((perSecond * GATHERING_MS) / 1000);
}
