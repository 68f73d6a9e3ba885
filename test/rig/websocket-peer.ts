/** One end of a WebSocket in the hands of a test: it behaves as RFC 6455 says, until the test has it do otherwise. */
import {
  type CloseSaid,
  closePayload,
  closeSaid,
  frame,
  type FrameOptions,
  OPCODE,
  readFrames,
} from "./frames.ts";
import { within } from "./deadline.ts";
import type { Inbox } from "./inbox.ts";

/** A byte stream in the hands of a test, whatever it runs over: a raw connection, or a stream of an HTTP/2 one. */
export interface BytePeer {
  readonly inbox: Inbox;
  send(data: string | Uint8Array): Promise<void>;
  /** FIN without TLS's close_notify, where there is TLS below. */
  truncate?(): void;
  /** Half-close: FIN, or END_STREAM. */
  end(): void;
  /** RST, or RST_STREAM. */
  reset(): void;
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

/** How the other side has ended the connection, as this one saw it. */
export interface Ending {
  /** The Close frame that came; null without one, which a browser calls 1006. */
  readonly close: CloseSaid | null;
  /** FIN, or RST where the connection broke. */
  readonly last: "FIN" | "RST";
  /** The connection ended in the middle of a frame. */
  readonly isCut: boolean;
}

/**
 * Reads frames from its construction to the end of the connection. It answers pings and Close frames, and ends the
 * connection when the other side has: unless it is mute.
 */
export class WebSocketPeer<Wire extends BytePeer = BytePeer> {
  readonly wire: Wire;
  readonly role: "client" | "server";
  /** Answers neither pings nor Close frames, like a process that hangs. */
  isMute = false;
  /** The payloads of the data frames that came. */
  readonly payloads: string[] = [];
  readonly pings: string[] = [];
  readonly pongs: string[] = [];
  readonly ended: Promise<Ending>;
  /** A Close frame has come. */
  readonly closeCame: Promise<void>;
  #onClose: () => void = () => {};
  readonly #onPing: (() => void)[] = [];
  readonly #onPayload: (() => void)[] = [];
  #hasEnded = false;
  #close: CloseSaid | null = null;
  #hasSentClose = false;

  constructor(wire: Wire, role: "client" | "server") {
    this.wire = wire;
    this.role = role;
    this.closeCame = new Promise((resolve) => {
      this.#onClose = resolve;
    });
    this.ended = this.#readToEnd();
    // A test that has failed before it came to look does not fail twice.
    this.ended.catch(() => {});
  }

  /** The bytes of a frame that this side may send. */
  frame(payload: string, options: FrameOptions = {}): string {
    return frame(this.role, payload, options);
  }

  async sendFrame(payload: string, options: FrameOptions = {}): Promise<void> {
    if (this.#hasEnded) return;
    if (options.opcode === OPCODE.close) this.#hasSentClose = true;
    await this.wire.send(this.frame(payload, options));
  }

  /** Begins the closing handshake; `null` for a Close frame without a code. */
  sendClose(code: number | null, reason: string = ""): Promise<void> {
    return this.sendFrame(closePayload(code, reason), { opcode: OPCODE.close });
  }

  /** So many pings have come in all. */
  pinged(count: number): Promise<void> {
    return untilSoMany("pings", this.pings, count, this.#onPing);
  }

  /** So many data frames have come in all. */
  told(count: number): Promise<void> {
    return untilSoMany("data frames", this.payloads, count, this.#onPayload);
  }

  /** Half-close. */
  end(): void {
    this.#hasEnded = true;
    this.wire.end();
  }

  async #readToEnd(): Promise<Ending> {
    const { inbox } = this.wire;
    let rest = "";
    for (;;) {
      const some = await inbox.some();
      if (some === "") break;
      const read = readFrames(rest + some);
      rest = read.rest;
      for (const { opcode, payload } of read.frames) this.#take(opcode, payload);
    }
    this.end();
    return { close: this.#close, last: inbox.ending === "end" ? "FIN" : "RST", isCut: rest !== "" };
  }

  #take(opcode: number, payload: string): void {
    if (opcode === OPCODE.pong) this.pongs.push(payload);
    else if (opcode === OPCODE.ping) this.#takePing(payload);
    else if (opcode === OPCODE.close) this.#takeClose(payload);
    else this.#takeData(payload);
  }

  #takeData(payload: string): void {
    this.payloads.push(payload);
    for (const resolve of this.#onPayload.splice(0)) resolve();
  }

  #takePing(payload: string): void {
    this.pings.push(payload);
    for (const resolve of this.#onPing.splice(0)) resolve();
    if (!this.isMute) void this.sendFrame(payload, { opcode: OPCODE.pong });
  }

  #takeClose(payload: string): void {
    this.#close ??= closeSaid(payload);
    this.#onClose();
    if (this.isMute) return;
    if (!this.#hasSentClose) void this.sendFrame(payload.slice(0, 2), { opcode: OPCODE.close });
    // The server closes first (section 7.1.1).
    if (this.role === "server") this.end();
  }
}

function untilSoMany(
  what: string,
  list: readonly string[],
  count: number,
  waiting: (() => void)[],
): Promise<void> {
  const come = async (): Promise<void> => {
    while (list.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return within(come(), () => `${count} ${what}; there were ${list.length}`);
}
