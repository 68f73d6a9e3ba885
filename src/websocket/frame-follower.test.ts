import { describe, expect, test } from "vitest";
import { FrameFollower, type FrameSink } from "./frame-follower.ts";
import type { FrameRule } from "./frame-rules.ts";

class Recorder implements FrameSink {
  readonly passed: Buffer[] = [];
  readonly controls: string[] = [];
  readonly ends: (FrameRule | "refused")[] = [];
  limitBytes: number = Number.POSITIVE_INFINITY;
  swallows = false;

  onBytes(chunk: Buffer, start: number, end: number): void {
    this.passed.push(Buffer.from(chunk.subarray(start, end)));
  }
  onDataFrame(_opcode: number, _isFinal: boolean, length: number): boolean {
    return length <= this.limitBytes;
  }
  onControlFrame(opcode: number, payload: Buffer): boolean {
    this.controls.push(`${opcode} ${payload.toString("latin1")}`);
    return !this.swallows;
  }
  onBoundary(): void {
    this.passed.push(Buffer.from("|"));
  }
  onRefused(): void {
    this.ends.push("refused");
  }
  onViolation(rule: FrameRule): void {
    this.ends.push(rule);
  }
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(" ", ""), "hex");
}

function feed(
  recorder: Recorder,
  hex: string,
  options: { isMasked?: boolean; allowsRsv1?: boolean; byByte?: boolean } = {},
): string {
  const follower = new FrameFollower(recorder, {
    isMasked: options.isMasked ?? false,
    allowsRsv1: options.allowsRsv1 ?? false,
  });
  const input = bytes(hex);
  const step = options.byByte === true ? 1 : input.length;
  for (let at = 0; at < input.length; at += step) follower.read(input, at, Math.min(at + step, input.length));
  return Buffer.concat(recorder.passed).toString("hex");
}

const HELLO = "81 05 48656c6c6f";

describe("a frame that breaks a rule", () => {
  const cases: readonly (readonly [rule: FrameRule, hex: string, isMasked?: boolean])[] = [
    ["reserved-bits", "c1 00"],
    ["reserved-bits", "a1 00"],
    ["reserved-opcode", "83 00"],
    ["reserved-opcode", "8b 00"],
    ["unmasked-client-frame", "81 00", true],
    ["masked-server-frame", "81 80 00000000"],
    ["long-length", "82 7e 0010"],
    ["long-length", "82 7f 000000000000ffff"],
    ["impossible-length", "82 7f 8000000000000000"],
    ["fragmented-control-frame", "09 00"],
    ["long-control-frame", "89 7e 0080"],
    ["unexpected-continuation", "80 00"],
    ["unfinished-message", "01 00 81 00"],
    ["close-payload", "88 01 03"],
    ["close-code", "88 02 03ed"],
    ["close-code", "88 02 0000"],
    ["close-reason", "88 03 03e8 ff"],
  ];
  for (const [rule, hex, isMasked = false] of cases) {
    for (const byByte of [false, true]) {
      test(`${rule} (${hex})${byByte ? ", byte by byte" : ""} ends the stream after what came before it`, () => {
        const recorder = new Recorder();
        const before = isMasked ? "81 85 00000000 48656c6c6f" : HELLO;
        const passed = feed(recorder, `${before} ${hex} ${before}`, { isMasked, byByte });
        expect(recorder.ends).toEqual([rule]);
        expect(passed.startsWith(before.replaceAll(" ", ""))).toBe(true);
        // The offending frame has not reached the other side, nor has anything behind it.
        expect(`${before} ${hex}`.replaceAll(" ", "").startsWith(passed)).toBe(true);
        expect(passed.length).toBeLessThan(`${before} ${hex}`.replaceAll(" ", "").length);
      });
    }
  }
});

test("a compressed message may set the first reserved bit where the extension was agreed on, its continuation may not", () => {
  const recorder = new Recorder();
  feed(recorder, "41 01 00 00 01 00", { allowsRsv1: true });
  expect(recorder.ends).toEqual([]);
  feed(recorder, "41 01 00 c0 01 00", { allowsRsv1: true });
  expect(recorder.ends).toEqual(["reserved-bits"]);
});

test("the payload of a client's control frame is told unmasked and passed on as it came", () => {
  const recorder = new Recorder();
  const ping = "89 85 01020304 49676f686e";
  expect(feed(recorder, ping, { isMasked: true, byByte: true })).toBe(ping.replaceAll(" ", ""));
  expect(recorder.controls).toEqual(["9 Hello"]);
});

test("a control frame that is swallowed leaves no byte behind, whether it comes whole or cut", () => {
  for (const byByte of [false, true]) {
    const recorder = new Recorder();
    recorder.swallows = true;
    expect(feed(recorder, `${HELLO} 8a 02 6869 ${HELLO}`, { byByte })).toBe(
      `${HELLO}${HELLO}`.replaceAll(" ", ""),
    );
  }
});

test("whatever comes behind a Close frame is dropped, and judged by no rule", () => {
  for (const byByte of [false, true]) {
    const recorder = new Recorder();
    const close = `${HELLO} 88 02 03e8`;
    expect(feed(recorder, `${close} ${HELLO} ff ff ff 8a 00`, { byByte })).toBe(close.replaceAll(" ", ""));
    expect(recorder.ends).toEqual([]);
  }
});

test("a frame beyond a limit is not passed on, not even its head", () => {
  const recorder = new Recorder();
  recorder.limitBytes = 5;
  expect(feed(recorder, `${HELLO} 82 06 000000000000 ${HELLO}`)).toBe(HELLO.replaceAll(" ", ""));
  expect(recorder.ends).toEqual(["refused"]);
});

test("it knows that the stream behind it does not stand between two frames while a payload is under way", () => {
  const follower = new FrameFollower(new Recorder(), { isMasked: false, allowsRsv1: false });
  const states: boolean[] = [];
  for (const byte of bytes(HELLO)) {
    follower.read(Buffer.from([byte]), 0, 1);
    states.push(follower.isBetweenFrames);
  }
  expect(states).toEqual([true, false, false, false, false, false, true]);
});

describe("a boundary that is awaited in the middle of a frame", () => {
  const stream = `${HELLO} 89 00 ${HELLO}`;

  test.each([1, 2, 3, 5, 7, 9, 16])("is told once, in its place, in pieces of %i bytes", (step) => {
    const recorder = new Recorder();
    const follower = new FrameFollower(recorder, { isMasked: false, allowsRsv1: false });
    const input = bytes(stream);
    follower.read(input, 0, 3);
    follower.awaitBoundary();
    for (let at = 3; at < input.length; at += step)
      follower.read(input, at, Math.min(at + step, input.length));
    expect(Buffer.concat(recorder.passed).toString("latin1")).toBe("\x81\x05Hello|\x89\x00\x81\x05Hello");
  });
});
