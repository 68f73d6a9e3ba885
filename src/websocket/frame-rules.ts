import { isUtf8 } from "node:buffer";
import { MESSAGE_TOO_BIG, mayBeSent, PROTOCOL_ERROR } from "./close-codes.ts";
import { BINARY, CLOSE, CONTROL_PAYLOAD_BYTES_MAX, PONG, TEXT } from "./frame-head.ts";

/** What is wrong with a frame. */
export interface Violation {
  /** The name by which the log tells it. */
  readonly rule: string;
  /** What the offender is told; a Close frame carries it as its reason. */
  readonly message: string;
  /** The close code that the offender gets. */
  readonly code: number;
}

/** The names of what can be wrong. */
export type FrameRule =
  | "reserved-bits"
  | "reserved-opcode"
  | "unmasked-client-frame"
  | "masked-server-frame"
  | "long-length"
  | "impossible-length"
  | "fragmented-control-frame"
  | "long-control-frame"
  | "unexpected-continuation"
  | "unfinished-message"
  | "close-payload"
  | "close-code"
  | "close-reason";

/** The one table from what is wrong with a frame to what is said about it: somebody "sent a …". */
const MESSAGES: Readonly<Record<FrameRule, string>> = {
  "reserved-bits": "frame with a reserved bit that no extension uses (RFC 6455 section 5.2)",
  "reserved-opcode": "frame with a reserved opcode (RFC 6455 section 5.2)",
  "unmasked-client-frame": "frame that is not masked (RFC 6455 section 5.1)",
  "masked-server-frame": "frame that is masked (RFC 6455 section 5.1)",
  "long-length": "frame with a length that is not in its shortest form (RFC 6455 section 5.2)",
  "impossible-length": "frame with a length above 2^53 (RFC 6455 section 5.2)",
  "fragmented-control-frame": "control frame in fragments (RFC 6455 section 5.5)",
  "long-control-frame": "control frame above 125 bytes (RFC 6455 section 5.5)",
  "unexpected-continuation": "continuation of no message (RFC 6455 section 5.4)",
  "unfinished-message": "new message within a fragmented one (RFC 6455 section 5.4)",
  "close-payload": "Close frame with a payload of one byte (RFC 6455 section 5.5.1)",
  "close-code": "Close frame with a code that may not be sent (RFC 6455 section 7.4)",
  "close-reason": "Close frame with a reason that is not UTF-8 (RFC 6455 section 5.5.1)",
};

export function violationOf(rule: FrameRule): Violation {
  return {
    rule,
    message: MESSAGES[rule],
    code: rule === "impossible-length" ? MESSAGE_TOO_BIG : PROTOCOL_ERROR,
  };
}

/** What a frame's head has to be judged by besides itself. */
export interface FrameContext {
  /** Frames of clients are masked, those of servers are not. */
  readonly isMasked: boolean;
  /** An extension that uses the first reserved bit has been agreed on: permessage-deflate (RFC 7692 section 6). */
  readonly allowsRsv1: boolean;
  /** A fragmented message is under way. */
  readonly isInMessage: boolean;
}

/** The rule that the first two bytes of a frame break, or null. */
export function brokenHeadRule(first: number, second: number, context: FrameContext): FrameRule | null {
  const opcode = first & 0x0f;
  const isFinal = (first & 0x80) !== 0;
  const isControl = opcode >= CLOSE;
  // Only the first frame of a message says that it is compressed.
  const mayHaveRsv1 = context.allowsRsv1 && (opcode === TEXT || opcode === BINARY);
  if ((first & (mayHaveRsv1 ? 0x30 : 0x70)) !== 0) return "reserved-bits";
  if ((opcode > BINARY && opcode < CLOSE) || opcode > PONG) return "reserved-opcode";
  if (((second & 0x80) !== 0) !== context.isMasked) {
    return context.isMasked ? "unmasked-client-frame" : "masked-server-frame";
  }
  if (isControl) {
    if (!isFinal) return "fragmented-control-frame";
    return (second & 0x7f) > CONTROL_PAYLOAD_BYTES_MAX ? "long-control-frame" : null;
  }
  if (opcode === 0) return context.isInMessage ? null : "unexpected-continuation";
  return context.isInMessage ? "unfinished-message" : null;
}

/** The rule that the payload of a Close frame breaks, or null. */
export function brokenCloseRule(payload: Buffer): FrameRule | null {
  if (payload.length === 0) return null;
  if (payload.length === 1) return "close-payload";
  if (!mayBeSent(payload.readUInt16BE(0))) return "close-code";
  return isUtf8(payload.subarray(2)) ? null : "close-reason";
}
