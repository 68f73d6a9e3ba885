import { Deadline } from "../base/timers.ts";
import { parseSize } from "../base/units.ts";
import type { BodySink, Downstream, Request } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";

/** How often more of an answer goes out while its rate holds it back, in milliseconds. */
const TICK_MS = 100;

/**
 * A way to the client on which an answer's body goes no faster than limit_rate. What is not due yet is held, and whoever
 * writes is told to wait, so that one chunk is held at the most. As in nginx the first second's share is due at once.
 */
export class PacedDownstream implements Downstream {
  readonly #inner: Downstream;
  readonly #request: Request;
  readonly #bytesPerSecond: number;
  readonly #freeBytes: number;
  readonly #tick: Deadline = new Deadline();
  #startedAtMs = 0;
  #sentBytes = 0;
  #held: Buffer = Buffer.alloc(0);
  /** The answer has been ended; its trailers wait for what is held. */
  #ending: { readonly trailers: HeaderList | null } | null = null;

  constructor(request: Request, bytesPerSecond: number, freeBytes: number) {
    this.#inner = request.downstream;
    this.#request = request;
    this.#bytesPerSecond = bytesPerSecond;
    this.#freeBytes = freeBytes;
  }

  get requestBodyLength(): number | null {
    return this.#inner.requestBodyLength;
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    if (this.#sentBytes === 0) this.#startedAtMs = performance.now();
    const bytes = this.#held.length === 0 ? Math.min(end - start, this.#dueBytes()) : 0;
    const hasRoom = this.#send(chunk, start, start + bytes);
    if (start + bytes === end) return hasRoom;
    this.#held = Buffer.concat([this.#held, chunk.subarray(start + bytes, end)]);
    this.#arm();
    return false;
  }

  end(trailers: HeaderList | null): void {
    if (this.#held.length > 0) this.#ending = { trailers };
    else this.#inner.end(trailers);
  }

  abort(): void {
    this.#tick.disarm();
    this.#inner.abort();
  }

  #dueBytes(): number {
    const elapsedS = (performance.now() - this.#startedAtMs) / 1000;
    const due = this.#freeBytes + this.#bytesPerSecond * (elapsedS + 1) - this.#sentBytes;
    return Math.max(0, Math.floor(due));
  }

  #send(chunk: Buffer, start: number, end: number): boolean {
    this.#sentBytes += end - start;
    return start === end || this.#inner.write(chunk, start, end);
  }

  #arm(): void {
    if (!this.#tick.isArmed) this.#tick.arm(TICK_MS, () => this.#tickOnExpiry());
  }

  #tickOnExpiry(): void {
    // The client may have left meanwhile.
    if (this.#request.isFinished) return;
    const bytes = Math.min(this.#held.length, this.#dueBytes());
    const hasRoom = this.#send(this.#held, 0, bytes);
    this.#held = this.#held.subarray(bytes);
    if (this.#held.length > 0) this.#arm();
    else if (this.#ending !== null) this.#inner.end(this.#ending.trailers);
    else if (hasRoom) this.#request.onWritable?.();
  }

  readBody(sink: BodySink): void {
    this.#inner.readBody(sink);
  }

  pauseBody(): void {
    this.#inner.pauseBody();
  }

  resumeBody(): void {
    this.#inner.resumeBody();
  }

  sendInterim(status: number, headers: HeaderList): void {
    this.#inner.sendInterim(status, headers);
  }

  sendHead(request: Request): void {
    this.#inner.sendHead(request);
  }

  upgrade(request: Request): ReturnType<Downstream["upgrade"]> {
    return this.#inner.upgrade(request);
  }
}

/** Holds the answer of a request to its location's limit_rate, where it has one. */
export function pace(request: Request): void {
  const { limit_rate, limit_rate_after } = request.location.core;
  // A number of bytes, with k or m; nginx, too, takes what is no number for no limit.
  const rate = limit_rate === null ? 0 : (parseSize(limit_rate.render(request)) ?? 0);
  if (rate > 0) request.downstream = new PacedDownstream(request, rate, limit_rate_after);
}
