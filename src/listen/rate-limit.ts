import { Deadline } from "../base/timers.ts";
import type { Transport } from "../base/transport.ts";
import { parseSize } from "../base/units.ts";
import type { Request } from "../compile/request.ts";

/** What becomes allowed in so long goes out together. */
const INTERVAL_MS = 100;

/**
 * Holds the body of one answer back to limit_rate, as ngx_http_write_filter does: from the beginning of the request on so
 * many bytes a second, and those of the first second and of limit_rate_after at once.
 */
export class RateLimit {
  readonly #transport: Transport;
  readonly #bytesPerSecond: number;
  readonly #freeBytes: number;
  readonly #startedAtMs: number;
  readonly #onEmpty: () => void;
  readonly #deadline = new Deadline();
  #sentBytes = 0;
  #held: Buffer[] = [];

  /** `onEmpty`: everything that was held back has been handed to the transport. */
  constructor(transport: Transport, request: Request, bytesPerSecond: number, onEmpty: () => void) {
    this.#transport = transport;
    this.#bytesPerSecond = bytesPerSecond;
    this.#freeBytes = bytesPerSecond + request.location.core.limit_rate_after;
    this.#startedAtMs = request.startedAtMs;
    this.#onEmpty = onEmpty;
  }

  get isEmpty(): boolean {
    return this.#held.length === 0;
  }

  /** Sends what is allowed now of `chunk[start, end)`, and the rest when it is. The memory is the caller's again. */
  write(chunk: Buffer, start: number, end: number): void {
    if (!this.isEmpty) {
      this.#hold(chunk, start, end);
      return;
    }
    const now = Math.min(end, start + this.#allowedBytes());
    if (now > start) this.#send(chunk, start, now);
    if (now === end) return;
    this.#hold(chunk, now, end);
    this.#wait();
  }

  stop(): void {
    this.#held = [];
    this.#deadline.disarm();
  }

  #allowedBytes(): number {
    const elapsedMs = performance.now() - this.#startedAtMs;
    const allowed = this.#freeBytes + (elapsedMs * this.#bytesPerSecond) / 1000;
    return Math.max(0, Math.floor(allowed - this.#sentBytes));
  }

  #wait(): void {
    const bytes = Math.max(1, (this.#bytesPerSecond * INTERVAL_MS) / 1000);
    const missing = Math.max(0, bytes - this.#allowedBytes());
    this.#deadline.arm(Math.max(1, (missing * 1000) / this.#bytesPerSecond), () => this.#sendHeld());
  }

  #sendHeld(): void {
    const held = Buffer.concat(this.#held);
    const now = Math.min(held.length, this.#allowedBytes());
    this.#held = now < held.length ? [held.subarray(now)] : [];
    if (now > 0) this.#send(held, 0, now);
    if (this.isEmpty) this.#onEmpty();
    else this.#wait();
  }

  #send(chunk: Buffer, start: number, end: number): void {
    this.#sentBytes += end - start;
    this.#transport.write(chunk, start, end);
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    this.#held.push(Buffer.from(chunk.subarray(start, end)));
  }
}

/** The limit of a request's answer in bytes a second; 0 for none, also where variables give no size. */
export function limitRate(request: Request): number {
  const text = request.location.core.limit_rate?.render(request) ?? "0";
  return parseSize(text) ?? 0;
}
