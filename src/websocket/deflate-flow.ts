import { SendQueue } from "../base/transport-queue.ts";
import { type Coder, type CoderUser, TAIL } from "./deflate-coder.ts";
import { CLOSE, CONTINUATION, dataFrame, headBytes, isMinimal, payloadBytes, unmask } from "./frame-head.ts";
import { brokenHeadRule, type FrameContext } from "./frame-rules.ts";
import { nextMaskingKey } from "./masking-key.ts";

/** Takes what comes out of a {@link DeflateFlow}. */
export interface FlowUser {
  /** Frames to go on; valid during the call. False: no more until {@link DeflateFlow.resume}. */
  onFrames(chunk: Buffer, start: number, end: number): boolean;
  /** All that was taken has gone on. */
  onIdle(): void;
  /** A message of which so many bytes have come has become so long. False: that is too much, and nothing more comes out. */
  mayGrow(fromBytes: number, toBytes: number): boolean;
  /** The coder has failed, and nothing more comes out. */
  onFailure(error: Error): void;
}

/** The parts in which a message goes through the coder are no shorter, in bytes, but for the last one. */
const PART_BYTES_MIN = 16_384;
const FIN = 0x80;
const RSV1 = 0x40;
const NO_BYTES: Buffer = Buffer.alloc(0);

/**
 * One direction of a compressed WebSocket: frames in, frames out. Messages that are to be inflated or compressed go through
 * the coder, part by part; everything else passes as it came, without being copied. The order is kept.
 *
 *   state    what it means                                            what leads on
 *   idle     all that has come has gone on, but for what is gathered  a part is gathered → working
 *   working  the coder has a part; what comes meanwhile is queued     it has done → idle, or the next one in the queue
 *   full     whoever takes the frames wants no more for now, whether  resume() → idle or working
 *            the coder works or not; what comes meanwhile is queued
 *   over     closed, or something has failed: nothing more comes out
 *
 * It judges nothing. From a frame on that breaks a rule everything passes as it is, for those behind it to judge.
 */
export class DeflateFlow implements CoderUser, FrameContext {
  readonly isMasked: boolean;
  readonly allowsRsv1: boolean;
  isInMessage = false;
  /** Bytes of messages that came, and what they have become. */
  bytesIn = 0;
  bytesOut = 0;

  readonly #user: FlowUser;
  readonly #coder: Coder;
  readonly #inflates: boolean;
  readonly #minBytes: number;
  #isWorking = false;
  #isFull = false;
  #isOver = false;
  /** A frame has broken a rule. */
  #isBroken = false;
  readonly #queue: SendQueue = new SendQueue();
  /** Blocks taken from the queue. */
  #blocks: Buffer[] = [];
  #blocksBytes = 0;

  // The frame under way
  /** The beginning of its head, where that is cut. */
  #cutHead: Buffer | null = null;
  #payloadLeft = 0;
  #isFinal = false;
  /** It belongs to a message that goes through the coder. */
  #isCodedFrame = false;
  readonly #key: Buffer = Buffer.alloc(4);
  #keyAt = 0;

  // The message under way
  #opcode = 0;
  #isCoded = false;
  #messageBytesIn = 0;
  #messageBytesOut = 0;
  /** What is gathered for the coder. */
  #part: Buffer = NO_BYTES;
  #partBytes = 0;
  /** The coder has, or has had, the last part. */
  #isEnding = false;
  /** What the coder gave last: whether it is the end of the message is not known yet. */
  #output: Buffer | null = null;
  #hasBegunOutput = false;

  /** Compresses messages of at least `minBytes`; null: inflates those of a client that are compressed. */
  constructor(user: FlowUser, minBytes: number | null, makeCoder: (user: CoderUser) => Coder) {
    this.#user = user;
    this.#inflates = minBytes === null;
    this.#minBytes = minBytes ?? 0;
    this.isMasked = this.#inflates;
    this.allowsRsv1 = this.#inflates;
    this.#coder = makeCoder(this);
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether nothing waits in it, however full whoever takes the frames may be. */
  get isIdle(): boolean {
    return !this.#isWorking && this.pendingBytes === 0;
  }

  /** Bytes of a message that wait for more of it. */
  get gatheredBytes(): number {
    return this.#partBytes;
  }

  get pendingBytes(): number {
    return this.#queue.bytes + this.#blocksBytes;
  }

  /** Frames come in, cut anywhere: `chunk[start, end)`, valid during the call. */
  take(chunk: Buffer, start: number, end: number): void {
    if (this.#isOver) return;
    const at = this.#isFull || !this.isIdle ? start : this.#read(chunk, start, end);
    if (at < end && !this.#isOver) this.#queue.add(chunk, at, end);
  }

  pause(): void {
    this.#isFull = true;
    if (this.#isWorking) this.#coder.pause();
  }

  resume(): void {
    if (!this.#isFull) return;
    this.#isFull = false;
    if (this.#isWorking) this.#coder.resume();
    else this.#goOn();
  }

  close(): void {
    this.#isOver = true;
    this.#isWorking = false;
    this.#queue.clear();
    this.#blocks = [];
    this.#blocksBytes = 0;
    this.#part = NO_BYTES;
    this.#output = null;
    this.#coder.close();
  }

  // As the user of its coder

  onOutput(bytes: Buffer): void {
    if (this.#isOver || bytes.length === 0) return;
    this.bytesOut += bytes.length;
    this.#messageBytesOut += bytes.length;
    if (!this.#user.mayGrow(this.#messageBytesIn, this.#messageBytesOut)) return this.close();
    const before = this.#output;
    this.#output = bytes;
    if (before !== null) this.#send(before, false);
  }

  onDone(): void {
    if (this.#isOver) return;
    this.#isWorking = false;
    if (this.#isEnding) this.#endMessage();
    this.#goOn();
  }

  onFailure(error: Error): void {
    if (this.#isOver) return;
    this.close();
    this.#user.onFailure(error);
  }

  // Frames that have come

  get #mayGoOn(): boolean {
    return !this.#isWorking && !this.#isFull && !this.#isOver;
  }

  #goOn(): void {
    while (this.#mayGoOn) {
      const block = this.#nextBlock();
      if (block === undefined) return this.#user.onIdle();
      const at = this.#read(block, 0, block.length);
      this.#blocksBytes -= at;
      if (at < block.length) this.#blocks.unshift(block.subarray(at));
    }
  }

  #nextBlock(): Buffer | undefined {
    if (this.#blocks.length === 0 && this.#queue.bytes > 0) {
      this.#blocksBytes = this.#queue.bytes;
      this.#blocks = this.#queue.take();
    }
    return this.#blocks.shift();
  }

  /** Reads until something has to be waited for; returns where that was. */
  #read(chunk: Buffer, start: number, end: number): number {
    if (this.#cutHead !== null) return this.#readCutHead(this.#cutHead, chunk, start, end);
    let at = start;
    /** Where the bytes begin that pass as they are, and have not yet. */
    let from = start;
    while (at < end && this.#mayGoOn) {
      if (this.#isBroken) {
        at = end;
      } else if (this.#payloadLeft === 0) {
        const bytes = headBytesAt(chunk, at, end);
        if (bytes === 0) {
          this.#cutHead = Buffer.from(chunk.subarray(at, end));
          this.#passOn(chunk, from, at);
          return end;
        }
        if (((chunk[at] ?? 0) & 0x0f) === CLOSE && !this.#flushUnfinished()) {
          this.#passOn(chunk, from, at);
          return at;
        }
        this.#beginFrame(chunk, at, bytes);
        if (this.#isCodedFrame) {
          this.#passOn(chunk, from, at);
          from = at + bytes;
        }
        at += bytes;
      } else {
        const bytes = Math.min(this.#payloadLeft, end - at);
        this.#payloadLeft -= bytes;
        if (this.#isCodedFrame) {
          this.#gather(chunk, at, bytes);
          from = at + bytes;
        }
        at += bytes;
      }
      if (this.#isCodedFrame) this.#giveToCoder();
    }
    this.#passOn(chunk, from, at);
    return at;
  }

  #readCutHead(cut: Buffer, chunk: Buffer, start: number, end: number): number {
    this.#cutHead = null;
    const joined = Buffer.concat([cut, chunk.subarray(start, end)]);
    const at = this.#read(joined, 0, joined.length);
    if (at >= cut.length) return start + at - cut.length;
    this.#cutHead = cut;
    return start;
  }

  #passOn(chunk: Buffer, start: number, end: number): void {
    if (end > start && !this.#user.onFrames(chunk, start, end)) this.#isFull = true;
  }

  #beginFrame(chunk: Buffer, at: number, bytes: number): void {
    const first = chunk[at] ?? 0;
    const second = chunk[at + 1] ?? 0;
    const opcode = first & 0x0f;
    const length = payloadBytes(chunk, at);
    this.#isCodedFrame = false;
    if (brokenHeadRule(first, second, this) !== null || length < 0 || !isMinimal(second, length)) {
      return this.#breakOff();
    }
    this.#payloadLeft = length;
    if (opcode >= CLOSE) return;
    this.#isFinal = (first & FIN) !== 0;
    this.isInMessage = !this.#isFinal;
    if (opcode !== CONTINUATION) this.#beginMessage(first, length);
    this.bytesIn += length;
    this.#isCodedFrame = this.#isCoded;
    if (!this.#isCoded) this.bytesOut += length;
    if (this.isMasked) chunk.copy(this.#key, 0, at + bytes - 4, at + bytes);
    this.#keyAt = 0;
  }

  #beginMessage(first: number, length: number): void {
    this.#opcode = first & 0x0f;
    this.#isCoded = this.#inflates ? (first & RSV1) !== 0 : !this.#isFinal || length >= this.#minBytes;
    this.#messageBytesIn = 0;
    this.#messageBytesOut = 0;
    this.#hasBegunOutput = false;
    this.#isEnding = false;
  }

  /** From here on everything passes as it is. Those behind must know of a message under way, to judge what comes. */
  #breakOff(): void {
    this.#isBroken = true;
    if (this.isInMessage && this.#isCoded && !this.#hasBegunOutput) this.#send(NO_BYTES, false);
  }

  // Messages that go through the coder

  #gather(chunk: Buffer, at: number, bytes: number): void {
    const part = this.#partWithRoomFor(bytes);
    const partAt = this.#partBytes;
    this.#partBytes += bytes;
    this.#messageBytesIn += bytes;
    chunk.copy(part, partAt, at, at + bytes);
    if (!this.isMasked) return;
    unmask(part.subarray(partAt, partAt + bytes), this.#key, this.#keyAt);
    this.#keyAt = (this.#keyAt + bytes) & 3;
  }

  /** Room for the tail is always left. */
  #partWithRoomFor(bytes: number): Buffer {
    const needed = this.#partBytes + bytes + TAIL.length;
    if (needed <= this.#part.length) return this.#part;
    // What comes in small pieces is not to be copied with each of them.
    const grown = Buffer.allocUnsafe(
      this.#partBytes === 0 ? needed : Math.max(needed, this.#part.length * 2),
    );
    this.#part.copy(grown, 0, 0, this.#partBytes);
    this.#part = grown;
    return grown;
  }

  /**
   * A Close frame comes, perhaps within a message, which will never be finished then: what has come of it goes first. False:
   * that has to be waited for.
   */
  #flushUnfinished(): boolean {
    if (this.#partBytes > 0) {
      this.#isEnding = false;
      this.#isWorking = true;
      this.#coder.run(this.#takePart(false), false);
      return false;
    }
    const last = this.#output;
    this.#output = null;
    if (last !== null) this.#send(last, false);
    return this.#mayGoOn;
  }

  #giveToCoder(): void {
    const isEnd = this.#isFinal && this.#payloadLeft === 0;
    if (!isEnd && this.#partBytes < PART_BYTES_MIN) return;
    this.#isEnding = isEnd;
    // Nothing at all, not even an empty block, is how some say nothing.
    if (isEnd && this.#inflates && this.#messageBytesIn === 0) return this.#endMessage();
    const part = this.#takePart(isEnd);
    this.#isWorking = true;
    this.#coder.run(part, isEnd);
  }

  #takePart(isEnd: boolean): Buffer {
    let bytes = this.#partBytes;
    const part = isEnd ? this.#partWithRoomFor(0) : this.#part;
    if (isEnd && this.#inflates) bytes += TAIL.copy(part, bytes);
    this.#part = NO_BYTES;
    this.#partBytes = 0;
    return part.subarray(0, bytes);
  }

  #endMessage(): void {
    const last = this.#output ?? NO_BYTES;
    this.#output = null;
    this.#send(last, true);
  }

  /** To the upstream as a client's frames, masked; to the client as a server's, the first of a message marked. */
  #send(payload: Buffer, isFinal: boolean): void {
    const kind = this.#hasBegunOutput ? CONTINUATION : this.#inflates ? this.#opcode : RSV1 | this.#opcode;
    this.#hasBegunOutput = true;
    const frame = dataFrame((isFinal ? FIN : 0) | kind, payload, this.#inflates ? nextMaskingKey() : null);
    if (this.#user.onFrames(frame, 0, frame.length)) return;
    if (!this.#isOver) this.pause();
  }
}

/** How long the head is that begins at `at`; 0 while not all of it has come. */
function headBytesAt(chunk: Buffer, at: number, end: number): number {
  if (end - at < 2) return 0;
  const bytes = headBytes(chunk[at + 1] ?? 0);
  return bytes > end - at ? 0 : bytes;
}
