/** How fast one side of a tunnel may send, of one unit: one argument list of websocket_rate. */
export interface Rate {
  readonly unit: "messages" | "bytes";
  readonly from: "client" | "upstream";
  readonly perSecond: number;
  /** How much may come at once, after a silence that was long enough; at least 1. */
  readonly burst: number;
  /** delay: what is too much waits, and the sender with it; close: it ends the tunnel. */
  readonly excess: "delay" | "close";
}

/** Who waits for tokens comes late, since timers do (base/timers.ts). Up to this, or this part of the wait, nothing is lost. */
const LATE_MS = 50;
const LATE_PART = 0.1;

/**
 * A token bucket: it holds `burst` tokens at the most, and so many more come in every second. Pure: the clock is handed
 * in, in milliseconds of any beginning, and must not go backwards.
 */
export class TokenBucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filledAtMs: number;
  /** The most that it holds: more than its burst while somebody waits who may come late. */
  #most: number;

  constructor({ perSecond, burst }: Pick<Rate, "perSecond" | "burst">, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#most = burst;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /** Whole tokens that may be taken. */
  available(nowMs: number): number {
    if (nowMs > this.#filledAtMs) this.#fill(nowMs);
    return Math.floor(this.#tokens + ROUNDING);
  }

  /** Takes as many tokens as {@link available} has said, or fewer. */
  take(count: number): void {
    this.#tokens -= count;
    this.#most = this.#burst;
  }

  #fill(nowMs: number): void {
    const grown = this.#tokens + (nowMs - this.#filledAtMs) * this.#perMs;
    this.#tokens = Math.min(grown, this.#most);
    this.#filledAtMs = nowMs;
  }

  /** How long it takes until there are so many, if nobody takes any. */
  waitMs(count: number, nowMs: number): number {
    const waitMs = Math.max(0, (count - this.#tokens) / this.#perMs - (nowMs - this.#filledAtMs));
    const lateMs = Math.max(LATE_MS, waitMs * LATE_PART);
    this.#most = Math.max(this.#burst, count + this.#perMs * lateMs);
    return waitMs;
  }
}

/** Sums of fractions may miss a whole number by so much. */
const ROUNDING = 1e-9;
