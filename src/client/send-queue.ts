import type { Sendable } from "./types.ts";

interface Waiting {
  readonly data: Sendable;
  readonly lengthBytes: number;
}

/** Messages in the order in which they were sent, bounded in number and in bytes. */
export class SendQueue {
  /** What waits, in bytes; text counts as UTF-8. */
  lengthBytes = 0;
  #waiting: Waiting[] = [];
  readonly #countMax: number;
  readonly #bytesMax: number;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  /** Adds a message, and says whether there was room. Nothing else gives way. */
  push(data: Sendable): boolean {
    const lengthBytes = sizeOf(data);
    if (this.#waiting.length >= this.#countMax || this.lengthBytes + lengthBytes > this.#bytesMax)
      return false;
    this.#waiting.push({ data: snapshot(data), lengthBytes });
    this.lengthBytes += lengthBytes;
    return true;
  }

  /** Whether a message would fit if nothing else waited. */
  canEverHold(data: Sendable): boolean {
    return this.#countMax > 0 && sizeOf(data) <= this.#bytesMax;
  }

  shift(): Sendable | undefined {
    const first = this.#waiting.shift();
    this.lengthBytes -= first?.lengthBytes ?? 0;
    return first?.data;
  }
}

/** What a caller without types may hand over besides, such as a number, is text to any WebSocket. */
export function toSendable(data: unknown): Sendable {
  return isBytes(data) ? data : String(data);
}

function isBytes(data: unknown): data is Exclude<Sendable, string> {
  return typeof data === "object" && data !== null && ("size" in data || "byteLength" in data);
}

/** As `bufferedAmount` counts: text as UTF-8. */
export function sizeOf(data: Sendable): number {
  if (typeof data === "string") return new TextEncoder().encode(data).length;
  return "size" in data ? data.size : data.byteLength;
}

/** The bytes as they are now: the sender may write into its buffer as soon as `send` has returned. */
function snapshot(data: Sendable): Sendable {
  if (typeof data === "string" || "size" in data) return data;
  if (!ArrayBuffer.isView(data)) return data.slice(0);
  return data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
}
