import type { Request } from "../compile/request.ts";
import type { UpstreamConnection } from "./dial.ts";

/**
 * Holds an upstream back while its client is slower: made when the client first has to be waited for. Up to a limit the
 * answer is read ahead (`proxy_buffering on`), so that the upstream is soon free for others; then it has to wait.
 */
export class Backpressure {
  readonly #connection: UpstreamConnection;
  readonly #aheadBytesMax: number;
  readonly #readTimeoutMs: number;
  #aheadBytes = 0;
  #isHolding = false;

  constructor(
    request: Request,
    connection: UpstreamConnection,
    aheadBytesMax: number,
    readTimeoutMs: number,
  ) {
    this.#connection = connection;
    this.#aheadBytesMax = aheadBytesMax;
    this.#readTimeoutMs = readTimeoutMs;
    request.onWritable = () => this.#clientOnWritable();
  }

  /** The client has been given so many bytes although it should have been waited for. */
  note(bytes: number): void {
    this.#aheadBytes += bytes;
    if (this.#isHolding || this.#aheadBytes <= this.#aheadBytesMax) return;
    this.#isHolding = true;
    this.#connection.transport.pause();
    // It is not the upstream's fault that nothing comes.
    this.#connection.user.expectNothing();
  }

  #clientOnWritable(): void {
    this.#aheadBytes = 0;
    if (!this.#isHolding) return;
    this.#isHolding = false;
    this.#connection.user.expectWithin(this.#readTimeoutMs);
    this.#connection.transport.resume();
  }
}
