import { assert } from "../base/assert.ts";
import { Deadline } from "../base/timers.ts";
import {
  giveContextBack,
  takeContext,
  type ZlibContext,
  type ZlibKind,
  type ZlibUser,
} from "./zlib-context.ts";

/** What a sync flush ends with, which the payload of a message leaves out (RFC 7692 section 7.2.1). */
export const TAIL: Buffer = Buffer.from([0x00, 0x00, 0xff, 0xff]);
/** An empty block but for its tail: what a message may end with when there is nothing left to say (section 7.2.3.6). */
const EMPTY_BLOCK: Buffer = Buffer.from([0x00]);
/** A compressor that is not needed for so long gives its memory back; its next message begins with an empty window. */
const IDLE_MS_MAX = 10_000;
/** In how many streams, each ended by a last block, a message may come. */
const ENDS_PER_MESSAGE_MAX = 16;

/** Takes what a coder makes of a message. Nothing is called any more once the coder is closed. */
export interface CoderUser {
  onOutput(bytes: Buffer): void;
  /** The part of the message that was given is done with. Never called from within {@link Coder.run}. */
  onDone(): void;
  /** What came cannot be inflated; or zlib has failed otherwise. */
  onFailure(error: Error): void;
}

/** Compresses or inflates the messages of one direction, one part at a time. */
export interface Coder {
  /** Works on the next part of a message, or the last one (`isEnd`). `input` must not change until it is done. */
  run(input: Buffer, isEnd: boolean): void;
  /** No output until {@link resume}, but what is on its way. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** The payload of a compressed message in, with {@link TAIL} at its end; the message out, in pieces of 16 kB at the most. */
export class Inflater implements Coder, ZlibUser {
  readonly #kind: ZlibKind;
  readonly #keepsWindow: boolean;
  readonly #user: CoderUser;
  #context: ZlibContext | null = null;
  #input: Buffer = TAIL;
  #isEnd = false;
  #ends = 0;

  constructor(options: { readonly windowBits: number; readonly keepsWindow: boolean }, user: CoderUser) {
    this.#kind = { way: "inflate", windowBits: options.windowBits, level: 0 };
    this.#keepsWindow = options.keepsWindow;
    this.#user = user;
  }

  run(input: Buffer, isEnd: boolean): void {
    this.#input = input;
    this.#isEnd = isEnd;
    this.#context ??= takeContext(this.#kind);
    this.#context.run(input, this);
  }

  pause(): void {
    this.#context?.pause();
  }

  resume(): void {
    this.#context?.resume();
  }

  close(): void {
    if (this.#context !== null) giveContextBack(this.#context);
    this.#context = null;
  }

  // As the user of its context

  onOutput(bytes: Buffer): void {
    this.#user.onOutput(bytes);
  }

  onDone(): void {
    if (this.#isEnd) {
      this.#ends = 0;
      if (!this.#keepsWindow) this.close();
    }
    this.#user.onDone();
  }

  /**
   * Behind the last block stands the byte that makes an empty one of {@link TAIL} (RFC 7692 section 7.2.3.4); some leave it
   * out, and then the tail is no block of theirs. What needs the tail to come to an end has none of its own.
   */
  onEnd(usedBytes: number): void {
    this.#context = null;
    const rest = this.#input.subarray(usedBytes);
    if (this.#isEnd && rest.length === TAIL.length) this.onDone();
    else if (this.#isEnd && rest.length < TAIL.length)
      this.#user.onFailure(new Error("a last block that is cut off"));
    else if (++this.#ends > ENDS_PER_MESSAGE_MAX)
      this.#user.onFailure(new Error("too many last blocks in a message"));
    else this.run(rest, this.#isEnd);
  }

  onError(error: Error): void {
    this.#context = null;
    this.#user.onFailure(error);
  }
}

/** A message in; the payload of a compressed message out, one piece for each part. */
export class Deflater implements Coder, ZlibUser {
  readonly #kind: ZlibKind;
  readonly #keepsWindow: boolean;
  readonly #user: CoderUser;
  readonly #idle: Deadline = new Deadline();
  #context: ZlibContext | null = null;
  #output: Buffer[] = [];
  #isEnd = false;

  constructor(
    options: { readonly windowBits: number; readonly level: number; readonly keepsWindow: boolean },
    user: CoderUser,
  ) {
    this.#kind = { way: "deflate", windowBits: options.windowBits, level: options.level };
    this.#keepsWindow = options.keepsWindow;
    this.#user = user;
  }

  run(input: Buffer, isEnd: boolean): void {
    this.#isEnd = isEnd;
    if (input.length === 0) return queueMicrotask(() => this.#conclude(EMPTY_BLOCK));
    this.#idle.disarm();
    this.#context ??= takeContext(this.#kind);
    this.#context.run(input, this);
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    this.#idle.disarm();
    if (this.#context !== null) giveContextBack(this.#context);
    this.#context = null;
  }

  // As the user of its context

  onOutput(bytes: Buffer): void {
    this.#output.push(bytes);
  }

  onDone(): void {
    const [first = EMPTY_BLOCK] = this.#output;
    const output = this.#output.length > 1 ? Buffer.concat(this.#output) : first;
    this.#output = [];
    this.#conclude(this.#isEnd ? output.subarray(0, output.length - TAIL.length) : output);
  }

  onEnd(): void {
    assert(false, "a compressor that is only flushed does not come to its end");
  }

  onError(error: Error): void {
    this.#context = null;
    this.#user.onFailure(error);
  }

  #conclude(output: Buffer): void {
    if (this.#isEnd && this.#context !== null) {
      if (this.#keepsWindow) this.#idle.arm(IDLE_MS_MAX, () => this.close());
      else this.close();
    }
    this.#user.onOutput(output);
    this.#user.onDone();
  }
}
