import { type FrameRule, violationOf } from "../../src/websocket/frame-rules.ts";
import { closePayload, frame, OPCODE } from "../rig/frames.ts";
import type { WebSocketPeer } from "../rig/websocket-peer.ts";
import { closed, type End, levelFor, onEitherSide, seenBy, type Side } from "./rows.ts";

interface Breach {
  /** The side that the rule is for; either where none is named. */
  readonly side?: Side;
  readonly what: string;
  /** The close code that the offender gets. */
  readonly code: number;
  readonly bytes: (by: WebSocketPeer) => string;
}

/** How each rule can be broken: a rule that the program adds wants a line here. */
const BREACHES: Readonly<Record<FrameRule, Breach>> = {
  "reserved-bits": {
    what: "a frame with a reserved bit that no extension uses",
    code: 1002,
    bytes: (by) => by.frame("x", { reservedBits: 1 }),
  },
  "reserved-opcode": {
    what: "a frame with a reserved opcode",
    code: 1002,
    bytes: (by) => by.frame("x", { opcode: 3 }),
  },
  "unmasked-client-frame": {
    side: "client",
    what: "a frame that is not masked",
    code: 1002,
    bytes: () => frame("server", "x"),
  },
  "masked-server-frame": {
    side: "upstream",
    what: "a frame that is masked",
    code: 1002,
    bytes: () => frame("client", "x"),
  },
  "long-length": {
    what: "a length that is not in its shortest form",
    code: 1002,
    bytes: (by) => withLength(by, 126, "\0\x05"),
  },
  "impossible-length": {
    what: "a length above 2^53",
    code: 1009,
    bytes: (by) => withLength(by, 127, "\x7f\xff\xff\xff\xff\xff\xff\xff"),
  },
  "fragmented-control-frame": {
    what: "a ping in fragments",
    code: 1002,
    bytes: (by) => by.frame("x", { opcode: OPCODE.ping, isFinal: false }),
  },
  "long-control-frame": {
    what: "a ping of more than 125 bytes",
    code: 1002,
    bytes: (by) => by.frame("x".repeat(126), { opcode: OPCODE.ping }),
  },
  "unexpected-continuation": {
    what: "a continuation of no message",
    code: 1002,
    bytes: (by) => by.frame("x", { opcode: OPCODE.continuation }),
  },
  "unfinished-message": {
    what: "a new message before the last one is whole",
    code: 1002,
    bytes: (by) => by.frame("x", { isFinal: false }) + by.frame("x"),
  },
  "close-payload": {
    what: "a Close frame with a payload of one byte",
    code: 1002,
    bytes: (by) => by.frame("x", { opcode: OPCODE.close }),
  },
  "close-code": {
    what: "a Close frame with a code that may not be sent, such as 1006",
    code: 1002,
    bytes: (by) => by.frame(closePayload(1006), { opcode: OPCODE.close }),
  },
  "close-reason": {
    what: "a Close frame with a reason that is not UTF-8",
    code: 1002,
    bytes: (by) => by.frame(`${closePayload(1000)}\xff`, { opcode: OPCODE.close }),
  },
};

const RULES = Object.keys(BREACHES).filter(isRule);

function isRule(name: string): name is FrameRule {
  return name in BREACHES;
}

function withLength(by: WebSocketPeer, form: number, lengthBytes: string): string {
  const second = (by.role === "client" ? 0x80 : 0) | form;
  return `\x82${String.fromCharCode(second)}${lengthBytes}${by.role === "client" ? "\0\0\0\0" : ""}`;
}

const CORRUPT = "message that cannot be inflated (RFC 7692 section 7.2.2)";

/** What wsgate itself decompresses. */
const corruptMessage: End = {
  name: "deflate-data-by-client",
  what: "the client sends a compressed message that cannot be inflated, and it is wsgate that inflates",
  settings: "websocket_compression offload;",
  headers: { "sec-websocket-extensions": "permessage-deflate" },
  act: ({ client }) => client.sendFrame("\xff\xff\xff", { reservedBits: 4 }),
  client: closed(1007, CORRUPT),
  upstream: closed(1001, `client sent a ${CORRUPT}`),
  endedBy: "proxy",
  end: "violation",
  code: 1007,
  reason: CORRUPT,
  log: ["info", `client sent a ${CORRUPT} (rule "deflate-data")`],
};

/** Ends by a frame that breaks a rule of RFC 6455, or of RFC 7692. */
export const violations: readonly End[] = [
  ...RULES.flatMap((rule) => {
    const { side } = BREACHES[rule];
    return side === undefined ? onEitherSide((by) => endBy(rule, by)) : [endBy(rule, side)];
  }),
  corruptMessage,
];

function endBy(rule: FrameRule, by: Side): End {
  const { what, code, bytes } = BREACHES[rule];
  const { message } = violationOf(rule);
  const told = `${by} sent a ${message}`;
  return {
    name: `${rule}-by-${by}`,
    what: `the ${by} sends ${what}`,
    act: (stage) => stage[by].wire.send(bytes(stage[by])),
    ...seenBy(by, closed(code, message), closed(1001, told)),
    endedBy: "proxy",
    end: "violation",
    code: by === "client" ? code : 1001,
    reason: by === "client" ? message : told,
    log: [levelFor(by), `${told} (rule "${rule}")`],
  };
}
