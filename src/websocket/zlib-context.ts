import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from "node:zlib";
import { assert } from "../base/assert.ts";

/**
 * zlib's streams, one job at a time. A job's work is done in Node's thread pool, which files and names share with us:
 *
 *   state    what it means                                        what leads on
 *   idle     no job                                               run() → waiting
 *   waiting  for its turn: JOBS_MAX run at a time in the process  its turn → running
 *   running  output comes                                         all of it has come → idle; pause() → paused
 *   paused   its user takes no output, its turn is another's      resume() → waiting; it was over all the same → idle
 *   over     the stream is at its end, broken or closed
 */
type State = "idle" | "waiting" | "running" | "paused" | "over";

/** Takes what a context makes of its input. Nothing is called any more once the context is closed. */
export interface ZlibUser {
  /** May be kept. */
  onOutput(bytes: Buffer): void;
  /** All of the input has been used, and all of the output been handed over. */
  onDone(): void;
  /**
   * A block that says it is the last one has ended: what the input has beyond `usedBytes` is for another context. Only
   * when inflating (RFC 7692 section 7.2.3.4).
   */
  onEnd(usedBytes: number): void;
  onError(error: Error): void;
}

/** What a context is made for; contexts of the same kind can stand in for one another between messages. */
export interface ZlibKind {
  readonly way: "inflate" | "deflate";
  readonly windowBits: number;
  /** Means nothing when inflating. */
  readonly level: number;
}

/**
 * Of the four threads that Node has by default one is left to others, and whatever else waits for a thread waits behind
 * three jobs instead of one for each busy tunnel.
 */
const JOBS_MAX = 3;
/** Unused contexts that are kept of each kind. */
const SPARE_CONTEXTS_MAX = JOBS_MAX + 1;

export class ZlibContext {
  readonly kind: ZlibKind;
  #state: State = "idle";
  readonly #stream: DeflateRaw | InflateRaw;
  #user: ZlibUser | null = null;
  /** What waits to be written. */
  #input: Buffer | null = null;
  #isWritten = false;
  #usedBefore = 0;

  constructor(kind: ZlibKind) {
    this.kind = kind;
    this.#stream = createStream(kind);
    this.#stream.on("data", (bytes: Buffer) => this.#streamOnData(bytes));
    this.#stream.on("end", () => this.#streamOnEnd());
    this.#stream.on("error", (error) => this.#streamOnError(error));
    contexts++;
  }

  /** Whether it may be given another job. */
  get isIdle(): boolean {
    return this.#state === "idle";
  }

  /** Works on `input`, which must not change until all is done. */
  run(input: Buffer, user: ZlibUser): void {
    assert(this.#state === "idle", "a context has one job at a time");
    this.#user = user;
    this.#input = input;
    this.#isWritten = false;
    this.#usedBefore = this.#stream.bytesWritten;
    this.#state = "waiting";
    turns.ask(this);
  }

  /** No output from now on but what is on its way already. */
  pause(): void {
    if (this.#state !== "running") return;
    this.#state = "paused";
    this.#stream.pause();
    turns.leave();
  }

  resume(): void {
    if (this.#state !== "paused") return;
    this.#state = "waiting";
    turns.ask(this);
  }

  /** Forgets all windows, as if it were new. */
  reset(): void {
    assert(this.#state === "idle", "a context is not reset within a job");
    this.#stream.reset();
  }

  close(): void {
    if (this.#enterOver()) this.#stream.close();
  }

  /** For its turn. Returns false where it is not wanted any more. */
  begin(): boolean {
    if (this.#state !== "waiting") return false;
    this.#state = "running";
    const input = this.#input;
    this.#input = null;
    if (this.#stream.isPaused()) this.#stream.resume();
    if (input !== null) this.#stream.write(input, this.#streamOnWritten);
    return true;
  }

  readonly #streamOnWritten = (error: Error | null | undefined): void => {
    if (error) return;
    this.#isWritten = true;
    this.#settle();
  };

  #streamOnData(bytes: Buffer): void {
    if (this.#state === "over") return;
    this.#user?.onOutput(bytes);
    this.#settle();
  }

  /** The write is over before its output is, where that stands in the stream's buffer. */
  #settle(): void {
    if (!this.#isWritten || this.#stream.readableLength > 0 || this.#state === "over") return;
    const wasRunning = this.#state === "running";
    this.#state = "idle";
    this.#isWritten = false;
    if (wasRunning) turns.leave();
    // A context that is kept for another user must not keep the tunnel of the last one.
    const user = this.#user;
    this.#user = null;
    user?.onDone();
  }

  #streamOnEnd(): void {
    const user = this.#user;
    if (this.#enterOver()) user?.onEnd(this.#stream.bytesWritten - this.#usedBefore);
    this.#stream.close();
  }

  #streamOnError(error: Error): void {
    const user = this.#user;
    if (this.#enterOver()) user?.onError(error);
  }

  /** Returns false where it is over already. */
  #enterOver(): boolean {
    if (this.#state === "over") return false;
    if (this.#state === "running") turns.leave();
    this.#state = "over";
    this.#user = null;
    this.#input = null;
    contexts--;
    return true;
  }
}

/** What compresses makes little of much, and keeps a buffer of this size. */
const OUTPUT_BYTES = 8192;

function createStream({ way, windowBits, level }: ZlibKind): DeflateRaw | InflateRaw {
  // Each write gives out all there is: the messages of a WebSocket are awaited.
  const flush = constants.Z_SYNC_FLUSH;
  if (way === "inflate") return createInflateRaw({ flush, windowBits });
  // As much for the hash table as for the window, as zlib itself has it for the largest one.
  return createDeflateRaw({
    flush,
    chunkSize: OUTPUT_BYTES,
    windowBits,
    level,
    memLevel: Math.max(1, windowBits - 7),
  });
}

/** Whose turn it is: first come, first served. */
class Turns {
  #running = 0;
  #waiting: ZlibContext[] = [];
  #next = 0;

  ask(context: ZlibContext): void {
    if (this.#running < JOBS_MAX) this.#begin(context);
    else this.#waiting.push(context);
  }

  leave(): void {
    this.#running--;
    for (;;) {
      const next = this.#waiting[this.#next];
      if (next === undefined) break;
      this.#next++;
      if (this.#begin(next)) break;
    }
    if (this.#next * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#next);
    this.#next = 0;
  }

  /** False for one that does not want its turn any more. */
  #begin(context: ZlibContext): boolean {
    const hasBegun = context.begin();
    if (hasBegun) this.#running++;
    return hasBegun;
  }
}

const turns = new Turns();

/** How many contexts there are in this process, spare ones included. */
let contexts = 0;
const spare = new Map<string, ZlibContext[]>();

/** A context with empty windows, new or used before. */
export function takeContext(kind: ZlibKind): ZlibContext {
  return spare.get(keyOf(kind))?.pop() ?? new ZlibContext(kind);
}

/** Gives back a context that is needed no more, whatever its state. */
export function giveContextBack(context: ZlibContext): void {
  const key = keyOf(context.kind);
  const others = spare.get(key) ?? [];
  if (!context.isIdle || others.length >= SPARE_CONTEXTS_MAX) return context.close();
  context.reset();
  others.push(context);
  spare.set(key, others);
}

/** How many contexts are in use: 0 once every tunnel is closed, or something leaks. */
export function contextsInUse(): number {
  return [...spare.values()].reduce((left, { length }) => left - length, contexts);
}

function keyOf({ way, windowBits, level }: ZlibKind): string {
  return `${way} ${windowBits} ${level}`;
}
