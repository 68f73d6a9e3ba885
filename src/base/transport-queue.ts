/** A block is at least so long, so that a queue of single bytes is not a queue of objects. */
const BLOCK_BYTES = 2_048;

/** Bytes that wait to be sent: copies, in order. */
export class SendQueue {
  bytes = 0;
  #blocks: Buffer[] = [];
  /** Bytes used of the last block. */
  #tailBytes = 0;

  /** Adds `chunk` from `start` to `end`. */
  add(chunk: Buffer, start: number, end: number): void {
    const length = end - start;
    let tail = this.#blocks.at(-1);
    if (tail === undefined || tail.length - this.#tailBytes < length) {
      this.#trimTail();
      tail = Buffer.allocUnsafe(Math.max(length, BLOCK_BYTES));
      this.#blocks.push(tail);
      this.#tailBytes = 0;
    }
    chunk.copy(tail, this.#tailBytes, start, end);
    this.#tailBytes += length;
    this.bytes += length;
  }

  /** Hands over everything and keeps nothing. */
  take(): Buffer[] {
    this.#trimTail();
    const blocks = this.#blocks;
    this.clear();
    return blocks;
  }

  clear(): void {
    this.#blocks = [];
    this.bytes = 0;
    this.#tailBytes = 0;
  }

  #trimTail(): void {
    const tail = this.#blocks.pop();
    if (tail !== undefined) this.#blocks.push(tail.subarray(0, this.#tailBytes));
  }
}
