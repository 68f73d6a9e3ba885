/** Holds one conversation with a server, straight or through a proxy, and notes what could be observed of it. */
import { nextTurn, within } from "../rig/deadline.ts";
import type { Opening } from "../rig/fronts.ts";
import type { Inbox } from "../rig/inbox.ts";
import type { Random } from "../rig/random.ts";
import { CLOSE, close, type Frame, frameBytes, FrameJudge, PING, PONG, type SeenFrame } from "./frames.ts";

/** How a stream is cut on its way: in one piece, in pieces of one byte, or at random. */
export type Cut = "whole" | "bytes" | "random";

/** Above so many bytes a stream cut to single bytes would only take time. */
const SINGLE_BYTES_MAX = 2_000;

/** As {@link SeenFrame}, its payload as latin1 text, which compares in no time. */
export interface DataFrame extends Omit<SeenFrame, "payload"> {
  readonly payload: string;
}

export interface Outcome {
  readonly data: readonly DataFrame[];
  readonly pongs: readonly string[];
  /** Code and reason of the Close frame; 1005 for one without a code, null where none came. */
  readonly close: { readonly code: number; readonly reason: string } | null;
  /** The extensions that were agreed on. */
  readonly extensions: string;
}

export interface Conversation {
  /** What is said, which may depend on the extensions that were agreed on. */
  readonly frames: readonly Frame[] | ((extensions: string) => Promise<readonly Frame[]>);
  /** Offers this as Sec-WebSocket-Extensions. */
  readonly extensions?: string;
  /** How many messages come back before this side closes; null: it waits for the server to close. */
  readonly echoes: number | null;
}

/** A way to a server: a tunnel with this offer of extensions. */
export type Open = (extensions: string | undefined) => Promise<Opening>;

/** Opens a tunnel, says it all, closes, and returns what came back. */
export async function converse(
  open: Open,
  conversation: Conversation,
  cut: Cut,
  random: Random,
): Promise<Outcome> {
  const opening = await open(conversation.extensions);
  if (!opening.isOpen) throw new Error(`the handshake was answered ${opening.status}`);
  const { wire } = opening;
  const extensions = opening.header("sec-websocket-extensions") ?? "";
  const listening = new Listening(wire.inbox);

  const frames =
    typeof conversation.frames === "function" ? await conversation.frames(extensions) : conversation.frames;
  const stream = Buffer.concat(frames.map(frameBytes));
  for (const piece of pieces(stream, cut, random)) {
    if (listening.isOver) break;
    await wire.send(piece);
    if (cut !== "whole") await nextTurn();
  }
  if (!frames.some(({ opcode }) => opcode === CLOSE)) {
    const pings = frames.filter(({ opcode }) => opcode === PING).length;
    await listening.untilEchoed(conversation.echoes, pings);
    await wire.send(frameBytes(close(1000)));
  }
  // The server closes the connection first (RFC 6455 section 7.1.1).
  await listening.untilOver();
  wire.end();
  return { ...outcomeOf(listening.judge), extensions };
}

/** Reads frames until the other side has ended. */
class Listening {
  readonly judge = new FrameJudge();
  isOver = false;
  #wake = (): void => {};
  #fault: unknown;

  constructor(inbox: Inbox) {
    this.#listen(inbox).catch((error: unknown) => {
      this.#fault = error;
      this.#end();
    });
  }

  /** Until all that is due has come back, or the server closes; null: only the latter. */
  untilEchoed(echoes: number | null, pings: number): Promise<void> {
    return this.#until(
      () =>
        this.#count((frame) => frame.opcode === CLOSE) > 0 ||
        (echoes !== null &&
          this.#count((frame) => frame.opcode < CLOSE && frame.isFinal) >= echoes &&
          this.#count((frame) => frame.opcode === PONG) >= pings),
    );
  }

  async untilOver(): Promise<void> {
    await this.#until(() => false);
    if (this.#fault !== undefined) throw this.#fault;
  }

  async #listen(inbox: Inbox): Promise<void> {
    for (let some = await inbox.some(); some !== ""; some = await inbox.some()) {
      this.judge.push(Buffer.from(some, "latin1"));
      this.#wake();
    }
    this.#end();
  }

  #end(): void {
    this.isOver = true;
    this.#wake();
  }

  #until(isDone: () => boolean): Promise<void> {
    const done = async (): Promise<void> => {
      while (!isDone() && !this.isOver) await new Promise<void>((resolve) => (this.#wake = resolve));
    };
    return within(done(), () => `frames; so far ${this.judge.frames.map(show).join(", ")}`);
  }

  #count(isCounted: (frame: SeenFrame) => boolean): number {
    return this.judge.frames.filter(isCounted).length;
  }
}

function* pieces(stream: Buffer, cut: Cut, random: Random): Generator<Buffer> {
  const single = cut === "bytes" && stream.length <= SINGLE_BYTES_MAX;
  for (let at = 0; at < stream.length; ) {
    const size =
      cut === "whole" ? stream.length : single ? 1 : 1 + random.below(Math.max(20, stream.length / 10));
    yield stream.subarray(at, at + size);
    at += size;
  }
}

function outcomeOf({ frames, isBetweenFrames }: FrameJudge): Omit<Outcome, "extensions"> {
  if (!isBetweenFrames) throw new Error("the stream ends within a frame");
  const last = frames.findIndex(({ opcode }) => opcode === CLOSE);
  if (last >= 0 && last < frames.length - 1) throw new Error("frames came after the Close frame");
  return {
    data: frames.filter(({ opcode }) => opcode < CLOSE).map(legible),
    pongs: frames.filter(({ opcode }) => opcode === PONG).map(({ payload }) => payload.toString("latin1")),
    close: closeOf(frames[last]),
  };
}

/** The payload as latin1 text. */
export function legible(frame: SeenFrame): DataFrame {
  return { ...frame, payload: frame.payload.toString("latin1") };
}

function closeOf(frame: SeenFrame | undefined): Outcome["close"] {
  if (frame === undefined) return null;
  const { payload } = frame;
  if (payload.length === 0) return { code: 1005, reason: "" };
  return { code: payload.readUInt16BE(0), reason: payload.toString("latin1", 2) };
}

function show({ opcode, isFinal, reserved, payload }: SeenFrame): string {
  return `${opcode} ${isFinal ? "final" : "more"} ${reserved} ${payload.toString("latin1")}`;
}
