import { randomBytes } from "node:crypto";
import type { Deadline } from "../base/timers.ts";
import type { FrameFilter } from "./frame-filter.ts";
import type { TunnelSide } from "./relay.ts";

const NONCE_BYTES = 4;

/**
 * The payload of every ping: a nonce of this process, by which answers to its pings are known, and a number. It is written
 * anew for each, since a frame is a copy of it.
 */
const PAYLOAD: Buffer = Buffer.concat([randomBytes(NONCE_BYTES), Buffer.alloc(NONCE_BYTES)]);
const NONCE: number = PAYLOAD.readUInt32BE(0);

export interface PulseOptions {
  /** After so long a silence the side is asked, in milliseconds. */
  readonly intervalMs: number;
  /** A side that has left pings unanswered for so long is dead. */
  readonly deadMs: number;
  readonly onDead: (side: TunnelSide) => void;
}

/**
 * Asks one side whether it lives when it has been silent for a while. Every tunnel has two of these for as long as it is
 * open: while nothing happens, none of them allocates anything.
 */
export class Pulse {
  /** The last round trip of a ping, in milliseconds; null before the first answer. */
  rttMs: number | null = null;
  /** Where the side's own frames are heard. */
  readonly #asked: FrameFilter;
  /** In the way to the side: where pings are written. */
  readonly #way: FrameFilter;
  readonly #options: PulseOptions;
  readonly #deadline: Deadline;
  readonly #onDue = (): void => this.#onSilence();
  #pings = 0;
  #pingedAtMs = 0;
  /** The side has got a ping since it was last heard. */
  #isAsked = false;
  /** Silence since that ping. */
  #unansweredMs = 0;

  constructor(asked: FrameFilter, way: FrameFilter, options: PulseOptions) {
    this.#asked = asked;
    this.#way = way;
    this.#options = options;
    this.#deadline = asked.silence;
    this.#arm();
  }

  stop(): void {
    this.#deadline.disarm();
  }

  /** Whether a pong answers a ping of ours. */
  isAnswer(payload: Buffer): boolean {
    if (payload.length !== PAYLOAD.length || payload.readUInt32BE(0) !== NONCE) return false;
    const number = payload.readUInt32BE(NONCE_BYTES);
    if (number === 0 || number > this.#pings) return false;
    if (number === this.#pings) this.rttMs = performance.now() - this.#pingedAtMs;
    return true;
  }

  #arm(): void {
    this.#asked.wasHeard = false;
    this.#deadline.arm(this.#options.intervalMs, this.#onDue);
  }

  #onSilence(): void {
    const { intervalMs, deadMs, onDead } = this.#options;
    const { wasHeard, mayAnswer } = this.#asked;
    const isStuck = this.#way.isSinkStuck();
    // Something was heard since the last look: the silence is a new one. Of a side that cannot be heard it is none.
    if (wasHeard || !mayAnswer) this.#isAsked = false;
    const isOwing = mayAnswer && !wasHeard && (this.#isAsked || isStuck);
    this.#unansweredMs = isOwing ? this.#unansweredMs + intervalMs : 0;
    if (this.#unansweredMs >= deadMs) return onDead(this.#asked.from);
    if (mayAnswer) this.#ping();
    this.#arm();
  }

  /** There may be no room for one, while a long frame is on its way to the side: whoever is not asked owes no answer. */
  #ping(): void {
    PAYLOAD.writeUInt32BE(this.#pings + 1, NONCE_BYTES);
    if (!this.#way.writePing(PAYLOAD)) return;
    this.#pings++;
    this.#pingedAtMs = performance.now();
    this.#isAsked = true;
  }
}
