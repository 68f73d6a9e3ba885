import { CLOSE, headBytes, isMinimal, payloadBytes, unmask, WHOLE_BYTES_MAX } from "./frame-head.ts";
import { brokenCloseRule, brokenHeadRule, type FrameContext, type FrameRule } from "./frame-rules.ts";

/** Takes what a {@link FrameFollower} finds. */
export interface FrameSink {
  /** Bytes of valid frames, to be passed on; valid during the call. */
  onBytes(chunk: Buffer, start: number, end: number): void;
  /**
   * The head of a data frame has come. False where it goes beyond a limit: it is not passed on, what came before it is,
   * and then {@link onRefused} is called.
   */
  onDataFrame(opcode: number, isFinal: boolean, length: number): boolean;
  /** A whole control frame has come; the payload is unmasked and valid during the call. False: it is not passed on. */
  onControlFrame(opcode: number, payload: Buffer): boolean;
  onRefused(): void;
  /** What was passed on ends between two frames: the answer to {@link FrameFollower.awaitBoundary}. */
  onBoundary(): void;
  /** A frame breaks a rule. What came before it has been passed on; nothing more will be. */
  onViolation(rule: FrameRule): void;
}

const NO_PAYLOAD: Buffer = Buffer.alloc(0);

/**
 * Follows one direction of a WebSocket from frame to frame, without copying or unmasking what nobody asked for:
 *
 *   head     less has come than a head, or a whole control frame, takes; it is kept back    whole → payload or head
 *   payload  of a data frame: passed on as it comes                                         its end → head
 *   over     a rule or a limit was broken: nothing more is passed on
 *   closed   a Close frame was passed on: what comes behind it is dropped unread, as RFC 6455 section 1.4 has it
 *
 * Because no part of a head is passed on before all of it is, the stream behind the follower stands between two frames
 * whenever the follower is in `head`: there, and only there, others may write frames of their own.
 */
export class FrameFollower implements FrameContext {
  readonly isMasked: boolean;
  readonly allowsRsv1: boolean;
  isInMessage = false;
  readonly #sink: FrameSink;
  #hasClosed = false;
  #isOver = false;
  #brokenRule: FrameRule | null = null;
  #payloadLeft = 0;
  /** Somebody waits for the end of the frame that is under way. */
  #isBoundaryAwaited = false;
  /** The beginning of a head or control frame, kept back; made when one is cut for the first time. */
  #kept: Buffer | null = null;
  #keptBytes = 0;

  constructor(sink: FrameSink, options: { readonly isMasked: boolean; readonly allowsRsv1: boolean }) {
    this.#sink = sink;
    this.isMasked = options.isMasked;
    this.allowsRsv1 = options.allowsRsv1;
  }

  /** Whether what was passed on ends between two frames. */
  get isBetweenFrames(): boolean {
    return this.#payloadLeft === 0;
  }

  /** Lets the sink know, once, when the frame that is under way has been passed on, and nothing of the next one. */
  awaitBoundary(): void {
    this.#isBoundaryAwaited = true;
  }

  /** Follows `chunk[start, end)`. */
  read(chunk: Buffer, start: number, end: number): void {
    if (this.#isOver || this.#hasClosed) return;
    let at = this.#keptBytes > 0 ? this.#readKept(chunk, start, end) : start;
    /** Where the bytes begin that are valid and not passed on yet. */
    let from = at;
    while (at < end && !this.#isOver && !this.#hasClosed) {
      if (this.#payloadLeft > 0) {
        const bytes = Math.min(this.#payloadLeft, end - at);
        this.#payloadLeft -= bytes;
        at += bytes;
        continue;
      }
      if (this.#isBoundaryAwaited) {
        this.#passOn(chunk, from, at);
        from = at;
        this.#tellBoundary();
      }
      const bytes = wholeBytes(chunk, at, end - at);
      if (bytes > end - at) {
        this.#passOn(chunk, from, at);
        this.#keep(chunk, at, end);
        return;
      }
      const isPassed = this.#judge(chunk, at, bytes);
      if (this.#isOver) break;
      if (!isPassed) {
        this.#passOn(chunk, from, at);
        from = at + bytes;
      }
      at += bytes;
    }
    this.#passOn(chunk, from, at);
    if (this.#isOver) this.#tellEnd();
    else if (this.#isBoundaryAwaited && this.isBetweenFrames) this.#tellBoundary();
  }

  /** Completes what is kept back; returns where the rest of the chunk begins. */
  #readKept(chunk: Buffer, start: number, end: number): number {
    const kept = this.#kept ?? NO_PAYLOAD;
    let at = start;
    let bytes = wholeBytes(kept, 0, this.#keptBytes);
    while (this.#keptBytes < bytes) {
      if (at === end) return at;
      const taken = Math.min(bytes - this.#keptBytes, end - at);
      chunk.copy(kept, this.#keptBytes, at, at + taken);
      this.#keptBytes += taken;
      at += taken;
      bytes = wholeBytes(kept, 0, this.#keptBytes);
    }
    this.#keptBytes = 0;
    const isPassed = this.#judge(kept, 0, bytes);
    if (isPassed && !this.#isOver) this.#sink.onBytes(kept, 0, bytes);
    return at;
  }

  #keep(chunk: Buffer, start: number, end: number): void {
    this.#kept ??= Buffer.allocUnsafeSlow(WHOLE_BYTES_MAX);
    this.#keptBytes = chunk.copy(this.#kept, 0, start, end);
  }

  #passOn(chunk: Buffer, start: number, end: number): void {
    if (end > start) this.#sink.onBytes(chunk, start, end);
  }

  #tellBoundary(): void {
    this.#isBoundaryAwaited = false;
    this.#sink.onBoundary();
  }

  #tellEnd(): void {
    const rule = this.#brokenRule;
    this.#brokenRule = null;
    if (rule === null) this.#sink.onRefused();
    else this.#sink.onViolation(rule);
  }

  /** Judges the head of a data frame, or a control frame, of `bytes` bytes. Returns whether it is to be passed on. */
  #judge(buffer: Buffer, at: number, bytes: number): boolean {
    const first = buffer[at] ?? 0;
    const second = buffer[at + 1] ?? 0;
    const rule = this.#brokenRuleOf(buffer, at, first, second);
    if (rule !== null) return this.#end(rule);
    const opcode = first & 0x0f;
    if (opcode >= CLOSE) return this.#judgeControl(buffer, at, bytes, opcode);
    const isFinal = (first & 0x80) !== 0;
    const length = payloadBytes(buffer, at);
    if (!this.#sink.onDataFrame(opcode, isFinal, length)) return this.#end(null);
    this.isInMessage = !isFinal;
    this.#payloadLeft = length;
    return true;
  }

  #brokenRuleOf(buffer: Buffer, at: number, first: number, second: number): FrameRule | null {
    const broken = brokenHeadRule(first, second, this);
    if (broken !== null || (second & 0x7f) < 126) return broken;
    const length = payloadBytes(buffer, at);
    if (length < 0) return "impossible-length";
    return isMinimal(second, length) ? null : "long-length";
  }

  #judgeControl(buffer: Buffer, at: number, bytes: number, opcode: number): boolean {
    const head = headBytes(buffer[at + 1] ?? 0);
    let payload = NO_PAYLOAD;
    if (bytes > head) {
      payload = Buffer.from(buffer.subarray(at + head, at + bytes));
      if (this.isMasked) unmask(payload, buffer.subarray(at + head - 4, at + head));
    }
    if (opcode === CLOSE) {
      const broken = brokenCloseRule(payload);
      if (broken !== null) return this.#end(broken);
      this.#hasClosed = true;
    }
    return this.#sink.onControlFrame(opcode, payload);
  }

  #end(rule: FrameRule | null): false {
    this.#isOver = true;
    this.#brokenRule = rule;
    return false;
  }
}

/**
 * How many bytes are needed to judge what begins at `at`, of which `present` have come: the head of a data frame, or the
 * whole of a control frame. May grow as more comes.
 */
function wholeBytes(buffer: Buffer, at: number, present: number): number {
  if (present < 2) return 2;
  const second = buffer[at + 1] ?? 0;
  const head = headBytes(second);
  const isControl = ((buffer[at] ?? 0) & 0x0f) >= CLOSE;
  // A control frame that says it is longer is not waited for: it breaks a rule.
  return isControl && (second & 0x7f) < 126 ? head + (second & 0x7f) : head;
}
