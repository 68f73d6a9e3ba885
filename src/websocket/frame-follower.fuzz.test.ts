import { createRequire } from "node:module";
import type { Writable } from "node:stream";
import { expect, test } from "vitest";
import { FrameFollower, type FrameSink } from "./frame-follower.ts";
import type { FrameRule } from "./frame-rules.ts";

/** The parser of `ws`, which its types leave out. */
interface WsModule {
  readonly Receiver: new (options: Readonly<Record<string, unknown>>) => Writable;
}
const require = createRequire(import.meta.url);
const { Receiver }: WsModule = require("ws");

/** Small, fast and repeatable (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const RUNS = Number(process.env["WSGATE_FUZZ_RUNS"] ?? 400);
const SEED = Number(process.env["WSGATE_FUZZ_SEED"] ?? 20261121);

class Collector implements FrameSink {
  readonly bytes: Buffer[] = [];
  readonly opcodes: number[] = [];
  rule: FrameRule | null = null;

  onBytes(chunk: Buffer, start: number, end: number): void {
    this.bytes.push(Buffer.from(chunk.subarray(start, end)));
  }
  onDataFrame(opcode: number): boolean {
    this.opcodes.push(opcode);
    return true;
  }
  onControlFrame(opcode: number): boolean {
    this.opcodes.push(opcode);
    return true;
  }
  onRefused(): void {}
  onBoundary(): void {}
  onViolation(rule: FrameRule): void {
    this.rule = rule;
  }
}

interface FrameOptions {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly payload: Buffer;
  readonly isMasked: boolean;
}

function frame({ opcode, isFinal, payload, isMasked }: FrameOptions): Buffer {
  const length = payload.length;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended + (isMasked ? 4 : 0));
  head[0] = (isFinal ? 0x80 : 0) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!isMasked) return Buffer.concat([head, payload]);
  const key = Buffer.from([1, 2, 3, 4]);
  key.copy(head, head.length - 4);
  return Buffer.concat([head, payload.map((byte, index) => byte ^ (key[index & 3] ?? 0))]);
}

/** A valid stream: fragmented messages with control frames in between, lengths of all three forms. */
function randomStream(random: () => number, isMasked: boolean): Buffer {
  const frames: Buffer[] = [];
  const payload = (max: number): Buffer => Buffer.alloc(Math.floor(random() * max), "x");
  let isInMessage = false;
  for (let i = 0; i < 1 + random() * 12; i++) {
    if (random() < 0.3) {
      const opcode = random() < 0.5 ? 9 : 10;
      frames.push(frame({ opcode, isFinal: true, payload: payload(126), isMasked }));
      continue;
    }
    const size = random() < 0.05 ? 70_000 : ([10, 200, 300][Math.floor(random() * 3)] ?? 10);
    const isFinal = random() < 0.6;
    const opcode = isInMessage ? 0 : random() < 0.5 ? 1 : 2;
    frames.push(frame({ opcode, isFinal, payload: payload(size), isMasked }));
    isInMessage = !isFinal;
  }
  return Buffer.concat(frames);
}

/** Feeds a stream in pieces, each in a buffer that is overwritten afterwards, as the shared read buffer is. */
function follow(
  stream: Buffer,
  isMasked: boolean,
  pieces: () => number,
): { out: Buffer; collector: Collector; follower: FrameFollower } {
  const collector = new Collector();
  const follower = new FrameFollower(collector, { isMasked, allowsRsv1: false });
  for (let at = 0; at < stream.length; ) {
    const end = Math.min(stream.length, at + Math.max(1, pieces()));
    const shared = Buffer.from(stream.subarray(at, end));
    follower.read(shared, 0, shared.length);
    shared.fill(0xee);
    at = end;
  }
  return { out: Buffer.concat(collector.bytes), collector, follower };
}

/** What `ws` makes of the same bytes: whether it takes them all. */
function isTakenByWs(stream: Buffer, isServer: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const receiver = new Receiver({
      isServer,
      skipUTF8Validation: true,
      maxPayload: 0,
      binaryType: "nodebuffer",
    });
    receiver.on("error", () => resolve(false));
    receiver.on("conclude", () => {});
    receiver.write(stream, (error) => resolve(error === null || error === undefined));
  });
}

test("a valid stream comes out as it went in, however it is cut, and ends between two frames", () => {
  const random = randomFrom(SEED);
  for (let run = 0; run < RUNS; run++) {
    const isMasked = random() < 0.5;
    const stream = randomStream(random, isMasked);
    const piece = [1, 3, 20, 1000, 100_000][Math.floor(random() * 5)] ?? 1;
    const { out, collector, follower } = follow(stream, isMasked, () => Math.ceil(random() * piece));
    expect(collector.rule, `seed ${SEED}, run ${run}`).toBeNull();
    expect(out.equals(stream), `seed ${SEED}, run ${run}`).toBe(true);
    expect(follower.isBetweenFrames).toBe(true);
  }
});

test("a stream cut at every boundary comes out the same", () => {
  const random = randomFrom(SEED + 1);
  const stream = randomStream(random, true).subarray(0, 2000);
  for (let cut = 0; cut <= stream.length; cut++) {
    let first = true;
    const { out, collector } = follow(stream, true, () => {
      const size = first ? cut : stream.length;
      first = false;
      return size;
    });
    expect(collector.rule).toBeNull();
    expect(stream.subarray(0, out.length).equals(out)).toBe(true);
    // No more than an unfinished head or control frame is kept back.
    expect(stream.length - out.length).toBeLessThan(140);
  }
});

test("what ws refuses is refused, and what it takes is taken, but for the shortest form of lengths", async () => {
  const random = randomFrom(SEED + 2);
  const disagreements: string[] = [];
  let refused = 0;
  for (let run = 0; run < RUNS; run++) {
    const isMasked = random() < 0.5;
    const stream = Buffer.from(randomStream(random, isMasked).subarray(0, 4000));
    // One byte near the beginning of some frame is as good as any.
    const at = Math.floor(random() * Math.min(stream.length, 40));
    stream[at] = Math.floor(random() * 256);
    const { collector, out } = follow(stream, isMasked, () => 1 + Math.floor(random() * 500));
    const isTaken = await isTakenByWs(stream, isMasked);
    if (collector.rule !== null) refused++;
    const isStricter = collector.rule === "long-length";
    // ws judges a head before all of it is there; ours is still kept back then.
    const isUndecided = collector.rule === null && out.length < stream.length;
    if (isTaken !== (collector.rule === null) && !isStricter && !isUndecided) {
      disagreements.push(
        `run ${run}: ws ${isTaken ? "takes" : "refuses"}, we say ${collector.rule ?? "nothing"}`,
      );
    }
  }
  expect(disagreements, `seed ${SEED}`).toEqual([]);
  // The canary: a follower that takes everything would agree with nobody.
  expect(refused).toBeGreaterThan(RUNS / 20);
});
