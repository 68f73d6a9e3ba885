/** Sections 1 to 5 of the list: framing, pings and pongs, reserved bits, opcodes, fragmentation. */
import { broken, type Case, valid } from "./case.ts";
import {
  binary,
  CONTINUATION,
  continuation,
  type Frame,
  fragments,
  ping,
  pong,
  TEXT,
  text,
} from "./frames.ts";

const LENGTHS = [0, 125, 126, 127, 128, 65_535, 65_536];

function framing(): Case[] {
  return [text, binary].flatMap((message, kind) => [
    ...LENGTHS.map((length, index) =>
      valid(`1.${kind + 1}.${index + 1}`, `a message of ${length} bytes`, [message("*".repeat(length))]),
    ),
    valid(`1.${kind + 1}.8`, "a message of 65,536 bytes in fragments of 997", [
      ...fragments(message("").opcode, Buffer.alloc(65_536, "*"), 997),
    ]),
  ]);
}

const LENGTH_FORMS: Case[] = [
  broken(
    "1.x.1",
    "a length of 125 in two bytes",
    "5.2",
    [text("*".repeat(125), { lengthBytes: 2 })],
    "passes",
  ),
  broken(
    "1.x.2",
    "a length of 65,535 in eight bytes",
    "5.2",
    [text("*".repeat(65_535), { lengthBytes: 8 })],
    "passes",
  ),
  broken("1.x.3", "a frame that is not masked", "5.1", [text("*", { isMasked: false })]),
  broken("1.x.4", "a ping that is not masked", "5.1", [ping("*", { isMasked: false })]),
];

const PINGS: Case[] = [
  valid("2.1", "a ping without a payload", [ping()]),
  valid("2.2", "a ping with text", [ping("Hello, world!")]),
  valid("2.3", "a ping with bytes that are no UTF-8", [ping(Buffer.from("00fffefdfcfb00ff", "hex"))]),
  valid("2.4", "a ping of 125 bytes", [ping(Buffer.alloc(125, 0xfe))]),
  broken("2.5", "a ping of 126 bytes", "5.5", [ping(Buffer.alloc(126, 0xfe))]),
  valid("2.7", "a pong nobody asked for, without a payload", [pong()]),
  valid("2.8", "a pong nobody asked for, with one", [pong("unsolicited pong payload")]),
  valid("2.9", "a pong nobody asked for, and then a ping", [pong("unsolicited"), ping("ping")]),
  valid(
    "2.10",
    "ten pings",
    numbered(10, (index) => ping(`payload-${index}`)),
  ),
];

const RESERVED_BITS: Case[] = [
  broken("3.1", "RSV 1 on a text message", "5.2", [text("small", { reserved: 1 })]),
  broken("3.2", "RSV 2 on the second message, a ping behind it", "5.2", [
    text("small"),
    text("small", { reserved: 2 }),
    ping(),
  ]),
  broken("3.3", "RSV 3 on the second message", "5.2", [
    text("small"),
    text("small", { reserved: 3 }),
    ping(),
  ]),
  broken("3.4", "RSV 4 on the second message", "5.2", [
    text("small"),
    text("small", { reserved: 4 }),
    ping(),
  ]),
  broken("3.5", "RSV 5 on a binary message", "5.2", [binary(Buffer.alloc(8, 0xff), { reserved: 5 })]),
  broken("3.6", "RSV 6 on a ping", "5.2", [ping("ping", { reserved: 6 })]),
  broken("3.7", "RSV 7 on a Close frame", "5.2", [
    { opcode: 8, payload: Buffer.from([3, 232]), reserved: 7 },
  ]),
];

function opcodes(): Case[] {
  return [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => {
    const section = opcode < 8 ? 1 : 2;
    const id = `4.${section}.${opcode < 8 ? opcode - 2 : opcode - 10}`;
    // In the list the odd ones come alone and the even ones between a message and a ping.
    const payload = Buffer.from(opcode % 2 === 0 ? "reserved" : "");
    const frames = opcode % 2 === 0 ? [text("before"), { opcode, payload }, ping()] : [{ opcode, payload }];
    return broken(id, `opcode ${opcode}`, "5.2", frames);
  });
}

const first = text("fragment1", { isFinal: false });
const second = continuation("fragment2");

const FRAGMENTS: Case[] = [
  broken("5.1", "a ping in two fragments", "5.5", [ping("fragment1", { isFinal: false }), second]),
  broken("5.2", "a pong in two fragments", "5.5", [pong("fragment1", { isFinal: false }), second]),
  valid("5.3", "a message in two fragments", [first, second]),
  valid("5.6", "a ping between two fragments", [first, ping("ping"), second]),
  valid("5.9", "a message in fragments of a byte", fragments(TEXT, Buffer.from("Hello, world!"), 1)),
  broken("5.9x", "a continuation of no message, final", "5.4", [
    continuation("non-continuation payload"),
    text("Hello"),
  ]),
  broken("5.10", "a continuation of no message, and a message behind it", "5.4", [
    continuation("non-continuation payload", { isFinal: true }),
    text("Hello, world!"),
  ]),
  broken("5.12", "a continuation of no message that is not final", "5.4", [
    continuation("non-continuation payload", { isFinal: false }),
    text("Hello, world!"),
  ]),
  broken("5.15", "a continuation after a message in two fragments", "5.4", [
    first,
    second,
    continuation("fragment3", { isFinal: false }),
    text("fragment4"),
  ]),
  broken("5.16", "a continuation of no message, again and again", "5.4", repeated()),
  broken("5.18", "two first fragments", "5.4", [first, text("fragment2")]),
  valid("5.19", "five fragments with pings between them", [
    first,
    continuation("fragment2", { isFinal: false }),
    ping("pongme 1!"),
    continuation("fragment3", { isFinal: false }),
    continuation("fragment4", { isFinal: false }),
    ping("pongme 2!"),
    continuation("fragment5"),
  ]),
  valid("5.x.1", "a message of empty fragments", [
    text("", { isFinal: false }),
    continuation("", { isFinal: false }),
    continuation(""),
  ]),
  valid("5.x.2", "empty fragments around a full one", [
    text("", { isFinal: false }),
    continuation("middle", { isFinal: false }),
    continuation(""),
  ]),
  valid("5.x.3", "a pong between two fragments", [
    binary("one", { isFinal: false }),
    pong("!"),
    continuation("two"),
  ]),
];

function repeated(): Frame[] {
  return [1, 2].flatMap(() => [
    { opcode: CONTINUATION, payload: Buffer.from("fragment1"), isFinal: false },
    text("fragment2", { isFinal: false }),
    continuation("fragment3"),
  ]);
}

function numbered(count: number, make: (index: number) => Frame): Frame[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

export const FRAMING_CASES: readonly Case[] = [
  ...framing(),
  ...LENGTH_FORMS,
  ...PINGS,
  ...RESERVED_BITS,
  ...opcodes(),
  ...FRAGMENTS,
];
