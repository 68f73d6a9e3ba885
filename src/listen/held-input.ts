import type { Transport } from "../base/transport.ts";

/** Bytes of requests to come, or early bytes of a tunnel, that are kept before reading stops. A read may exceed it. */
const HELD_BYTES_MAX = 16 * 1024;

export const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * What a connection has read and cannot use yet, and whether it reads on: it stops while enough is held, and while the
 * reader of a body asks for a pause.
 */
export class HeldInput {
  readonly #transport: Transport;
  #bytes: Buffer = NO_BYTES;
  #isReading = false;
  isPaused = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0;
  }

  add(chunk: Buffer, start: number, end: number): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(start, end)]);
  }

  /** Hands over everything and keeps nothing. */
  take(): Buffer {
    const bytes = this.#bytes;
    this.#bytes = NO_BYTES;
    return bytes;
  }

  /** Starts or stops reading as the state of things asks. */
  update(): void {
    const shouldRead = this.#bytes.length < HELD_BYTES_MAX && !this.isPaused;
    if (shouldRead === this.#isReading) return;
    this.#isReading = shouldRead;
    if (shouldRead) this.#transport.resume();
    else this.#transport.pause();
  }
}
