import { expect, test } from "vitest";
import { frame, OPCODE } from "../../test/rig/frames.ts";
import { Random } from "../../test/rig/random.ts";
import { beginsMessage, FrameScanner } from "./frame-scanner.ts";

const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];

/** Where frames begin, as the scanner finds it in a stream that comes in these pieces. */
function beginningsIn(stream: Buffer, cuts: readonly number[]): readonly number[] {
  const scanner = new FrameScanner();
  const found: number[] = [];
  let start = 0;
  for (const end of [...cuts, stream.length]) {
    for (let at = start; at < end; ) {
      if (scanner.isBetweenFrames) found.push(at);
      at = scanner.advance(stream, at, end);
    }
    start = end;
  }
  expect(scanner.isBetweenFrames).toBe(true);
  return found;
}

test.each(["client", "server"] as const)("finds every frame of a %s, wherever the stream is cut", (role) => {
  const frames = SIZES.map((size) => Buffer.from(frame(role, "x".repeat(size)), "latin1"));
  const stream = Buffer.concat(frames);
  let at = 0;
  const expected = frames.map(({ length }) => {
    at += length;
    return at - length;
  });
  expect(beginningsIn(stream, [])).toEqual(expected);
  // Every byte a piece of its own.
  expect(beginningsIn(stream, [...stream.keys()].slice(1))).toEqual(expected);
  const random = new Random(20261121);
  for (let run = 0; run < 50; run++) {
    const cuts = Array.from({ length: 30 }, () => random.below(stream.length));
    expect(
      beginningsIn(
        stream,
        cuts.sort((a, b) => a - b),
      ),
    ).toEqual(expected);
  }
});

test("a message begins with its text or binary frame, and with no other", () => {
  const beginning = [...Array(16).keys()].filter((opcode) => beginsMessage(0x80 | opcode));
  expect(beginning).toEqual([OPCODE.text, OPCODE.binary]);
  expect(beginsMessage(OPCODE.text)).toBe(true);
});
