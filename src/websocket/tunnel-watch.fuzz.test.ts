/** Random frames, cut at random, both ways at once, with pings and limits on: what comes out is what went in, but for what is ours. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fuzzSeed, Random } from "../../test/rig/random.ts";
import { StubTransport } from "../../test/rig/stub-transport.ts";
import { NO_WATCH } from "../../test/rig/tunnel-times.ts";
import { armedDeadlines } from "../base/timers.ts";
import { relay, type TunnelSide } from "./relay.ts";
import { TunnelWatch, type WatchSettings } from "./tunnel-watch.ts";

/** The parser of `ws`, which its types leave out. */
interface WsModule {
  readonly Receiver: new (options: Readonly<Record<string, unknown>>) => Writable;
}
const { Receiver }: WsModule = createRequire(import.meta.url)("ws");

const RUNS = Number(process.env["WSGATE_FUZZ_RUNS"] ?? 100);
const SEED: number = fuzzSeed("WSGATE_FUZZ_SEED");

const PING = 9;
const PONG = 10;
const CLOSE = 8;
const PINGING: WatchSettings = { ...NO_WATCH, websocket_ping_interval: 20 };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly bytes: Buffer;
}

function frame(opcode: number, payload: Buffer, isFinal: boolean, isMasked: boolean): Frame {
  const extended = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + (isMasked ? 4 : 0));
  head[0] = (isFinal ? 0x80 : 0) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (extended === 0 ? payload.length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(payload.length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(payload.length), 2);
  const key = Buffer.from([0x12, 0, 0xff, 0x80]);
  if (isMasked) key.copy(head, head.length - 4);
  const body = isMasked ? payload.map((byte, index) => byte ^ (key[index & 3] ?? 0)) : payload;
  return { opcode, payload, bytes: Buffer.concat([head, body]) };
}

/** Messages in up to four fragments, with control frames anywhere. */
function randomFrames(random: Random, isMasked: boolean): Frame[] {
  const frames: Frame[] = [];
  let isInMessage = false;
  for (let count = 5 + random.below(30); count > 0 || isInMessage; count--) {
    if (random.below(4) === 0) {
      frames.push(
        frame(random.below(2) === 0 ? PING : PONG, Buffer.alloc(random.below(126), "x"), true, isMasked),
      );
      continue;
    }
    const size = random.below(random.below(20) === 0 ? 70_000 : 400);
    const isFinal = random.below(3) > 0;
    const opcode = isInMessage ? 0 : 1 + random.below(2);
    frames.push(frame(opcode, Buffer.alloc(size, "m"), isFinal, isMasked));
    isInMessage = !isFinal;
  }
  return frames;
}

/** The whole frames at the beginning of `bytes`, and what is left. */
function split(bytes: Buffer): { readonly frames: readonly Frame[]; readonly rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const second = bytes.readUInt8(at + 1);
    const extended = (second & 127) < 126 ? 0 : (second & 127) === 126 ? 2 : 8;
    const head = 2 + extended + (second > 127 ? 4 : 0);
    if (bytes.length - at < head) break;
    const length =
      extended === 0
        ? second & 127
        : extended === 2
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    const end = at + head + length;
    if (bytes.length < end) break;
    const key = bytes.subarray(at + head - 4, at + head);
    const body = bytes.subarray(at + head, end);
    const payload = second > 127 ? Buffer.from(body.map((byte, i) => byte ^ (key[i & 3] ?? 0))) : body;
    frames.push({ opcode: bytes.readUInt8(at) & 15, payload, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** One side: what it has to say, and what it has heard. */
class Side {
  readonly transport = new StubTransport();
  readonly isMasked: boolean;
  /** What it has said, but for its answers to pings of ours. */
  readonly said: Buffer[] = [];
  answers = 0;
  #frames: Frame[];
  #queue: Buffer = Buffer.alloc(0);
  /** Pings of ours that are still to be answered, and up to where was looked for them. */
  readonly #pings: Frame[] = [];
  #looked = 0;
  #rest: Buffer = Buffer.alloc(0);

  constructor(isMasked: boolean, frames: readonly Frame[]) {
    this.isMasked = isMasked;
    this.#frames = [...frames];
  }

  get isDone(): boolean {
    return this.#frames.length === 0 && this.#queue.length === 0;
  }

  get heard(): Buffer {
    return Buffer.concat(this.transport.written);
  }

  /** The next piece, in memory that somebody else uses afterwards, as the shared read buffer is. */
  say(random: Random): void {
    while (this.#queue.length === 0 || random.below(4) === 0) {
      const next = this.#answer() ?? this.#next();
      if (next === null) break;
      this.#queue = Buffer.concat([this.#queue, next]);
    }
    const size = 1 + random.below([1, 5, 200, 100_000][random.below(4)] ?? 1);
    const shared = Buffer.from(this.#queue.subarray(0, size));
    this.#queue = this.#queue.subarray(size);
    if (shared.length > 0) this.transport.listener.onBytes(shared, 0, shared.length);
    shared.fill(0xee);
  }

  #next(): Buffer | null {
    const next = this.#frames.shift();
    if (next === undefined) return null;
    this.said.push(next.bytes);
    return next.bytes;
  }

  /** Of pings that are ours, one that is still to be answered. */
  #answer(): Buffer | null {
    const { frames, rest } = split(
      Buffer.concat([this.#rest, ...this.transport.written.slice(this.#looked)]),
    );
    this.#looked = this.transport.written.length;
    this.#rest = rest;
    this.#pings.push(...frames.filter(isOurs));
    const ping = this.#pings.shift();
    if (ping === undefined) return null;
    this.answers++;
    return frame(PONG, ping.payload, true, this.isMasked).bytes;
  }
}

/** Pings of the other side are filled with one letter. */
function isOurs({ opcode, payload }: Frame): boolean {
  return opcode === PING && payload.length === 8 && payload.toString("latin1") !== "xxxxxxxx";
}

interface Played {
  readonly client: Side;
  readonly upstream: Side;
  readonly ends: string[];
}

function play(random: Random, settings: WatchSettings): Played {
  const client = new Side(true, randomFrames(random, true));
  const upstream = new Side(false, randomFrames(random, false));
  const ends: string[] = [];
  const watch = new TunnelWatch(settings, {
    allowsRsv1: false,
    observer: null,
    times: () => ({
      proxy_read_timeout: 60_000,
      proxy_send_timeout: 60_000,
      send_timeout: 60_000,
      websocket_idle_timeout: null,
      websocket_max_duration: null,
    }),
    onOffence: ({ by, violation }) => ends.push(`${by} ${violation.rule}`),
    onClosingTimeout: () => {},
  });
  watch.fromClient.sink = upstream.transport;
  watch.fromUpstream.sink = client.transport;
  const tunnel = relay(client.transport, upstream.transport, {
    clientFilter: watch.filterFrom("client"),
    upstreamFilter: watch.filterFrom("upstream"),
    readTimeoutMs: 60_000,
    clientSendTimeoutMs: 60_000,
    upstreamSendTimeoutMs: 60_000,
    onEnding: () => watch.stop(),
    onEnd: () => watch.release(),
  });
  watch.start(tunnel);
  while (tunnel.isOpen && !(client.isDone && upstream.isDone)) {
    (random.below(2) === 0 ? client : upstream).say(random);
    vi.advanceTimersByTime(random.below(15));
  }
  tunnel.destroy("shutdown");
  return { client, upstream, ends };
}

/** What a side has heard, without what is ours: pings, and at the end a Close frame. */
function heardFrom(other: Side, itself: Side): { readonly bytes: Buffer; readonly close: Frame | undefined } {
  const { frames, rest } = split(itself.heard);
  const close = frames.find(({ opcode }) => opcode === CLOSE);
  assert(close === undefined || frames.at(-1) === close, "nothing stands behind a Close frame");
  for (const { bytes } of frames) {
    assert.equal((bytes[1] ?? 0) > 127, other.isMasked, "a client's frames are masked, a server's are not");
  }
  const theirs = frames.filter((frame) => frame !== close && !isOurs(frame));
  return { bytes: Buffer.concat([...theirs.map(({ bytes }) => bytes), rest]), close };
}

/** What `ws` makes of bytes: the messages, and the code it would close with. */
async function readByWs(
  bytes: Buffer,
  isServer: boolean,
  maxPayload: number,
): Promise<readonly [string[], number]> {
  const receiver = new Receiver({
    isServer,
    maxPayload,
    skipUTF8Validation: true,
    allowSynchronousEvents: true,
  });
  const messages: string[] = [];
  let code = 0;
  receiver.on("message", (data: Buffer) => messages.push(data.toString("latin1")));
  const read = new Promise<void>((resolve) => {
    receiver.on("error", (error: Error) => {
      const status = Object.getOwnPropertySymbols(error).find(
        ({ description }) => description === "status-code",
      );
      code = status === undefined ? 1002 : Number(Reflect.get(error, status));
      resolve();
    });
    receiver.write(bytes, () => resolve());
  });
  await read;
  return [messages, code];
}

test("both directions come out byte for byte, and pings stand between frames alone", async () => {
  const random = new Random(SEED);
  let pings = 0;
  for (let run = 0; run < RUNS; run++) {
    const { client, upstream, ends } = play(random, PINGING);
    const name = `seed ${SEED}, run ${run}`;
    expect(ends, `of ${name}`).toEqual([]);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      const said = Buffer.concat(from.said);
      const { bytes } = heardFrom(from, to);
      assert(bytes.equals(said), name);
      const [messages, code] = await readByWs(to.heard, from.isMasked, 0);
      assert.deepEqual([messages, code], [(await readByWs(said, from.isMasked, 0))[0], 0], name);
      pings += to.answers;
    }
    assert.equal(armedDeadlines(), 0, name);
  }
  // The canary: without pings nothing could have stood in the wrong place.
  expect(pings).toBeGreaterThan(RUNS);
});

const MAX_BYTES = 700;

test("a message above its limit ends the tunnel where ws ends it, after all that came before it", async () => {
  const random = new Random(SEED + 1);
  let ended = 0;
  for (let run = 0; run < RUNS; run++) {
    const { client, upstream, ends } = play(random, { ...PINGING, websocket_max_message_size: MAX_BYTES });
    const name = `seed ${SEED}, run ${run}`;
    const [end] = ends;
    const by: TunnelSide | null = end === undefined ? null : end.startsWith("client") ? "client" : "upstream";
    for (const side of ["client", "upstream"] as const) {
      const [from, to] = side === "client" ? [client, upstream] : [upstream, client];
      const said = Buffer.concat(from.said);
      const { bytes, close } = heardFrom(from, to);
      assert(said.subarray(0, bytes.length).equals(bytes), name);
      const [messages, code] = await readByWs(said, from.isMasked, MAX_BYTES);
      if (by === side) {
        assert.equal(code, 1009, name);
        assert.deepEqual((await readByWs(bytes, from.isMasked, 0))[0], messages, name);
      }
      if (by === null) assert.equal(code, 0, name);
      // The offender is told 1009, the other side 1001, unless a frame of its peer is under way to it.
      const told = close?.payload.readUInt16BE(0);
      if (told !== undefined && by !== null) assert.equal(told, by === side ? 1001 : 1009, name);
    }
    if (by !== null) ended++;
    assert.equal(armedDeadlines(), 0, name);
  }
  expect(ended).toBeGreaterThan(RUNS / 10);
});
