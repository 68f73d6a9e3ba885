import { Deadline } from "../base/timers.ts";
import type { Request } from "../compile/request.ts";
import type { UpstreamConnection } from "./dial.ts";

/** What bounds the flow of an answer. */
export interface FlowLimits {
  /** So much may be read ahead of a client that does not take it, in bytes (`proxy_buffering`, `proxy_buffers`). */
  readonly aheadBytesMax: number;
  /** `proxy_limit_rate`; 0: none. */
  readonly bytesPerSecond: number;
  readonly proxy_read_timeout: number;
}

/**
 * Holds an upstream back where its answer comes faster than the client takes it, or than it may. Made when there is a
 * first reason to; most answers never need one.
 *
 * Up to a limit an answer is read ahead of its client, so that the upstream is soon free for others.
 */
export class AnswerFlow {
  readonly #connection: UpstreamConnection;
  readonly #limits: FlowLimits;
  readonly #startedAtMs: number = performance.now();
  readonly #rateDeadline: Deadline = new Deadline();
  #bytes = 0;
  #aheadBytes = 0;
  #isClientBehind = false;
  #isTooFast = false;
  #isHeld = false;

  constructor(request: Request, connection: UpstreamConnection, limits: FlowLimits) {
    this.#connection = connection;
    this.#limits = limits;
    request.onWritable = () => this.#clientOnWritable();
  }

  /** So many bytes have been passed on; `hasRoom` is what the client's connection said to them. */
  note(bytes: number, hasRoom: boolean): void {
    if (!hasRoom) {
      this.#aheadBytes += bytes;
      this.#isClientBehind = this.#aheadBytes > this.#limits.aheadBytesMax;
    }
    if (this.#limits.bytesPerSecond > 0) this.#noteRate(bytes);
    this.#update();
  }

  /** The answer is over, or given up. */
  end(): void {
    this.#rateDeadline.disarm();
  }

  /** As in nginx the first second's bytes come at once. */
  #noteRate(bytes: number): void {
    this.#bytes += bytes;
    const dueMs = (this.#bytes / this.#limits.bytesPerSecond) * 1000 - 1000;
    const earlyMs = dueMs - (performance.now() - this.#startedAtMs);
    if (earlyMs <= 0) return;
    this.#isTooFast = true;
    this.#rateDeadline.arm(earlyMs, () => {
      this.#isTooFast = false;
      this.#update();
    });
  }

  #clientOnWritable(): void {
    this.#aheadBytes = 0;
    this.#isClientBehind = false;
    this.#update();
  }

  #update(): void {
    const isHeld = this.#isClientBehind || this.#isTooFast;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    const { transport, user: reader } = this.#connection;
    // While the upstream is held back it is not its fault that nothing comes.
    if (isHeld) {
      transport.pause();
      reader.expectNothing();
    } else {
      reader.expectWithin(this.#limits.proxy_read_timeout);
      transport.resume();
    }
  }
}
