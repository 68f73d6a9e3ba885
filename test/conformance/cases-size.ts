/** Sections 9 and 10 of the list: large messages, whole, in fragments and in pieces, and many small ones. */
import { type Case, valid } from "./case.ts";
import { BINARY, type Frame, fragments, TEXT } from "./frames.ts";

const KIB = 1024;
const MIB: number = 1024 * KIB;

const SIZES: readonly (readonly [name: string, bytes: number])[] = [
  ["64 KiB", 64 * KIB],
  ["256 KiB", 256 * KIB],
  ["1 MiB", MIB],
  ["4 MiB", 4 * MIB],
  ["16 MiB", 16 * MIB],
];

/** Of a message of 1 MiB, in bytes. */
const FRAGMENT_SIZES = [64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB];

/** Of 200 messages each, in bytes. */
const MESSAGE_SIZES = [0, 16, 64, 256, KIB, 4 * KIB];
const MESSAGES = 200;

const KINDS: readonly (readonly [name: string, opcode: number, filling: string])[] = [
  ["text", TEXT, "BAsd7&jh23"],
  ["binary", BINARY, "\xfe\0\x80"],
];

function frame(opcode: number, bytes: number, filling: string): Frame {
  return { opcode, payload: Buffer.alloc(bytes, filling, opcode === TEXT ? "utf8" : "latin1") };
}

export const SIZE_CASES: readonly Case[] = KINDS.flatMap(([kind, opcode, filling], index) => [
  ...SIZES.map(([name, bytes], row) =>
    valid(`9.${index + 1}.${row + 1}`, `${kind} of ${name}`, [frame(opcode, bytes, filling)]),
  ),
  ...FRAGMENT_SIZES.map((bytes, row) =>
    valid(`9.${index + 3}.${row + 1}`, `${kind} of 1 MiB in fragments of ${bytes} bytes`, [
      ...fragments(opcode, frame(opcode, MIB, filling).payload, bytes),
    ]),
  ),
  ...MESSAGE_SIZES.map((bytes, row) =>
    valid(
      `9.${index + 7}.${row + 1}`,
      `${MESSAGES} messages of ${kind}, ${bytes} bytes each`,
      Array.from({ length: MESSAGES }, () => frame(opcode, bytes, filling)),
    ),
  ),
  valid(`10.1.${index + 1}`, `${kind} of 64 KiB in fragments of 1,300 bytes`, [
    ...fragments(opcode, frame(opcode, 64 * KIB, filling).payload, 1300),
  ]),
]);
