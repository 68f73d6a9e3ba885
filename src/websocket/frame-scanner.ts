import { BINARY, TEXT } from "./frame-head.ts";

/**
 * Knows where frames begin and end, and nothing else: one who only counts frames need not judge them. It keeps its place
 * between any two bytes.
 */
export class FrameScanner {
  /** Bytes of the head that have come; 0 between two frames. */
  #headBytes = 0;
  /** Bytes of the length behind the first two, and of the masking key. */
  #lengthBytes = 0;
  #keyBytes = 0;
  #payloadLeft = 0;

  get isBetweenFrames(): boolean {
    return this.#headBytes === 0;
  }

  /** Goes on from `at` to the end of the frame that stands there, or to `end`; returns where it is then. */
  advance(chunk: Buffer, at: number, end: number): number {
    let position = at;
    while (position < end) {
      if (this.#headIsWhole) {
        const bytes = Math.min(this.#payloadLeft, end - position);
        this.#payloadLeft -= bytes;
        position += bytes;
      } else {
        this.#readHead(chunk[position] ?? 0);
        position++;
      }
      if (this.#headIsWhole && this.#payloadLeft === 0) {
        this.#headBytes = 0;
        return position;
      }
    }
    return position;
  }

  get #headIsWhole(): boolean {
    return this.#headBytes >= 2 && this.#headBytes === 2 + this.#lengthBytes + this.#keyBytes;
  }

  #readHead(byte: number): void {
    this.#headBytes++;
    if (this.#headBytes === 2) {
      const length = byte & 0x7f;
      this.#keyBytes = (byte & 0x80) === 0 ? 0 : 4;
      this.#lengthBytes = length === 126 ? 2 : length === 127 ? 8 : 0;
      this.#payloadLeft = this.#lengthBytes === 0 ? length : 0;
    } else if (this.#headBytes > 2 && this.#headBytes <= 2 + this.#lengthBytes) {
      this.#payloadLeft = this.#payloadLeft * 256 + byte;
    }
  }
}

/** Whether a frame with this first byte begins a message. */
export function beginsMessage(first: number): boolean {
  const opcode = first & 0x0f;
  return opcode === TEXT || opcode === BINARY;
}
