/** An open WebSocket in the doctor's hands: frames out, and everything that comes back. */
import { randomBytes } from "node:crypto";
import { isUtf8 } from "node:buffer";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import {
  CLOSE,
  controlFrame,
  headBytes,
  payloadBytes,
  PING,
  PONG,
  TEXT,
  unmask,
} from "../../websocket/frame-head.ts";
import { brokenCloseRule, brokenHeadRule, type FrameRule } from "../../websocket/frame-rules.ts";
import { type Exchange, exchangeAndKeep } from "./exchange.ts";
import { sayGoodbye } from "./goodbye.ts";
import { extensionsOf, isAccepted } from "./handshake.ts";
import type { Ending, Route, Wire } from "./wire.ts";

/** How a tunnel ended; `wire` endings come without a Close frame. */
export interface TunnelEnd {
  readonly by: "close-frame" | Ending;
  /** Of the Close frame; null where it has none. */
  readonly code: number | null;
  readonly reason: string;
  /** Since the tunnel was opened. */
  readonly ms: number;
}

export interface Message {
  readonly isText: boolean;
  readonly isCompressed: boolean;
  /** As a byte string. */
  readonly data: string;
}

/** What Node adds at the end of a flushed block, and RFC 7692 section 7.2.1 leaves out. */
const FLUSH_TAIL: Buffer = Buffer.from([0, 0, 0xff, 0xff]);
/** How far back deflate refers at the most. */
const WINDOW_BYTES = 32 * 1024;

export class Tunnel {
  readonly compresses: boolean;
  readonly messages: Message[] = [];
  /** Payloads of the pongs that came. */
  readonly pongs: string[] = [];
  /** When the other side pinged, in milliseconds since the opening. */
  readonly pingsMs: number[] = [];
  end: TunnelEnd | null = null;
  brokenRule: FrameRule | "compression" | "utf-8" | null = null;
  readonly openedAtMs: number = performance.now();
  readonly #wire: Wire;
  #parts: Buffer[] = [];
  #isText = false;
  #isCompressed = false;
  #isInMessage = false;
  #window: Buffer = Buffer.alloc(0);

  constructor(wire: Wire, compresses: boolean) {
    this.#wire = wire;
    this.compresses = compresses;
    this.#read();
  }

  sendText(text: string, compress: boolean = false): void {
    const plain = Buffer.from(text, "latin1");
    if (!compress) return this.#wire.send(dataFrame(TEXT, plain, false));
    const deflated = deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH });
    this.#wire.send(dataFrame(TEXT, deflated.subarray(0, deflated.length - FLUSH_TAIL.length), true));
  }

  ping(payload: string): void {
    this.#wire.send(controlFrame(PING, Buffer.from(payload, "latin1"), randomBytes(4)));
  }

  /** Waits until `isDone` holds, the tunnel has ended or the time is over; returns what `isDone` says then. */
  async until(isDone: () => boolean, timeoutMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!isDone() && !this.isOver) {
      if (!(await this.#wire.change(deadlineMs))) break;
      this.#read();
    }
    return isDone();
  }

  /** Lets {@link until} look again at once. */
  wake(): void {
    this.#wire.wake();
  }

  /** As {@link until}, but gives up only when for so long nothing has moved: large messages take their time. */
  async untilStalled(isDone: () => boolean, timeoutMs: number): Promise<boolean> {
    for (;;) {
      const before = this.#wire.transferredBytes;
      if (await this.until(isDone, timeoutMs)) return true;
      if (this.isOver || this.#wire.transferredBytes === before) return false;
    }
  }

  get isOver(): boolean {
    return this.end !== null || this.brokenRule !== null;
  }

  /** Says goodbye, so that no log shows 1006, and waits at most so long for the answer. */
  async close(timeoutMs: number): Promise<void> {
    if (!this.isOver) {
      sayGoodbye(this.#wire);
      await this.until(() => false, timeoutMs);
    }
    this.#wire.destroy();
  }

  #read(): void {
    while (!this.isOver && this.#readFrame());
    if (this.end === null && this.#wire.ending !== null)
      this.#finish(this.#wire.ending, null, "", this.#wire.endedAtMs);
  }

  /** Reads one frame; false while it is not whole. */
  #readFrame(): boolean {
    const { received } = this.#wire;
    if (received.length < 2) return false;
    const first = received[0] ?? 0;
    const second = received[1] ?? 0;
    const rule = brokenHeadRule(first, second, {
      isMasked: false,
      allowsRsv1: this.compresses,
      isInMessage: this.#isInMessage,
    });
    if (rule !== null) return this.#break(rule);
    const head = headBytes(second);
    if (received.length < head) return false;
    const length = payloadBytes(received, 0);
    if (length < 0) return this.#break("impossible-length");
    if (received.length < head + length) return false;
    const payload = this.#wire.take(head + length).subarray(head);
    if ((first & 0x0f) >= CLOSE) this.#onControl(first & 0x0f, payload);
    else this.#onData(first, payload);
    return true;
  }

  #onControl(opcode: number, payload: Buffer): void {
    if (opcode === PONG) this.pongs.push(payload.toString("latin1"));
    if (opcode === PING) {
      this.pingsMs.push(performance.now() - this.openedAtMs);
      this.#wire.send(controlFrame(PONG, payload, randomBytes(4)));
    }
    if (opcode !== CLOSE) return;
    const rule = brokenCloseRule(payload);
    if (rule !== null) {
      this.#break(rule);
      return;
    }
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : null;
    this.#wire.send(controlFrame(CLOSE, payload, randomBytes(4)));
    this.#finish("close-frame", code, payload.subarray(2).toString("utf8"), performance.now());
  }

  #onData(first: number, payload: Buffer): void {
    if (!this.#isInMessage) {
      this.#isText = (first & 0x0f) === TEXT;
      this.#isCompressed = (first & 0x40) !== 0;
      this.#parts = [];
    }
    this.#parts.push(payload);
    this.#isInMessage = (first & 0x80) === 0;
    if (this.#isInMessage) return;
    const whole = Buffer.concat(this.#parts);
    const data = this.#isCompressed ? inflate(whole, this.#window) : whole;
    if (data !== null && this.#isCompressed)
      this.#window = Buffer.concat([this.#window, data]).subarray(-WINDOW_BYTES);
    if (data === null) this.#break("compression");
    else if (this.#isText && !isUtf8(data)) this.#break("utf-8");
    else
      this.messages.push({
        isText: this.#isText,
        isCompressed: this.#isCompressed,
        data: data.toString("latin1"),
      });
  }

  #break(rule: FrameRule | "compression" | "utf-8"): false {
    this.brokenRule = rule;
    return false;
  }

  #finish(by: TunnelEnd["by"], code: number | null, reason: string, atMs: number): void {
    this.end = { by, code, reason, ms: atMs - this.openedAtMs };
  }
}

/** Opens a WebSocket; `tunnel` is null where the handshake failed, and `exchange` says how. */
export async function openTunnel(
  route: Route,
  request: string,
  timeoutMs: number,
): Promise<{ readonly exchange: Exchange; readonly tunnel: Tunnel | null }> {
  const { exchange, wire } = await exchangeAndKeep(route, request, timeoutMs);
  if (wire === null) return { exchange, tunnel: null };
  if (!isAccepted(exchange) || exchange.outcome.kind !== "answer") {
    wire.destroy();
    return { exchange, tunnel: null };
  }
  const compresses = extensionsOf(exchange.outcome.answer).includes("permessage-deflate");
  return { exchange, tunnel: new Tunnel(wire, compresses) };
}

/** `window` is the end of what came before, to which a message may refer (context takeover). */
function inflate(data: Buffer, window: Buffer): Buffer | null {
  try {
    const dictionary = window.length > 0 ? { dictionary: window } : {};
    const whole = Buffer.concat([data, FLUSH_TAIL]);
    return inflateRawSync(whole, { ...dictionary, finishFlush: constants.Z_SYNC_FLUSH });
  } catch {
    return null;
  }
}

/** A whole message in one masked frame. */
function dataFrame(opcode: number, payload: Buffer, isCompressed: boolean): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length <= 0xffff ? 2 : 8;
  const frame = Buffer.alloc(2 + extended + 4 + length);
  frame[0] = 0x80 | (isCompressed ? 0x40 : 0) | opcode;
  frame[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(length, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const key = randomBytes(4);
  key.copy(frame, 2 + extended);
  const body = frame.subarray(6 + extended);
  payload.copy(body);
  unmask(body, key);
  return frame;
}
