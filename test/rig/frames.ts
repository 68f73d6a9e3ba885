/** Frames as raw bytes, for tests that look at the wire. Payloads stay legible: the masking key is zero. */

/** Opcodes, as tests name them. */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  /** {@link OPCODE}, or one that is none; text where none is given. */
  readonly opcode?: number;
  /** True unless told otherwise. */
  readonly isFinal?: boolean;
  /** RSV1, RSV2 and RSV3 as the bits 4, 2 and 1. */
  readonly reservedBits?: number;
}

/** A frame of a server. `opcode` 1 is text, 8 Close, 9 ping, 10 pong. */
export function serverFrame(payload: string, opcode: number = OPCODE.text): string {
  return frame("server", payload, { opcode });
}

/** A frame of a client: masked. */
export function clientFrame(payload: string, opcode: number = OPCODE.text): string {
  return frame("client", payload, { opcode });
}

/** A frame of either: a client masks it. The payload is latin1, one character a byte. */
export function frame(by: "client" | "server", payload: string, options: FrameOptions = {}): string {
  const { opcode = OPCODE.text, isFinal = true, reservedBits = 0 } = options;
  const first = String.fromCharCode((isFinal ? 0x80 : 0) | (reservedBits << 4) | opcode);
  const { length } = payload;
  const form = length < 126 ? length : length < 65_536 ? 126 : 127;
  const second = String.fromCharCode((by === "client" ? 0x80 : 0) | form);
  return `${first}${second}${lengthBytes(form, length)}${by === "client" ? "\0\0\0\0" : ""}${payload}`;
}

function lengthBytes(form: number, length: number): string {
  if (form < 126) return "";
  const bytes = Buffer.alloc(form === 126 ? 2 : 8);
  if (form === 126) bytes.writeUInt16BE(length);
  else bytes.writeBigUInt64BE(BigInt(length));
  return bytes.toString("latin1");
}

/** The payload of a Close frame with that code, or without one. */
export function closePayload(code: number | null, reason: string = ""): string {
  if (code === null) return "";
  return `${String.fromCharCode(code >> 8, code & 0xff)}${Buffer.from(reason).toString("latin1")}`;
}

/** A frame as it was read: its payload unmasked. */
export interface Frame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly payload: string;
}

/** The whole frames that `bytes` begins with, and what is left behind them. */
export function readFrames(bytes: string): { readonly frames: readonly Frame[]; readonly rest: string } {
  const buffer = Buffer.from(bytes, "latin1");
  const frames: Frame[] = [];
  let at = 0;
  for (;;) {
    const whole = readFrame(buffer, at);
    if (whole === null) return { frames, rest: bytes.slice(at) };
    frames.push(whole.frame);
    at = whole.end;
  }
}

function readFrame(buffer: Buffer, at: number): { readonly frame: Frame; readonly end: number } | null {
  const first = buffer[at];
  const second = buffer[at + 1];
  if (first === undefined || second === undefined) return null;
  const form = second & 0x7f;
  const maskAt = at + 2 + (form === 126 ? 2 : form === 127 ? 8 : 0);
  const start = maskAt + ((second & 0x80) === 0 ? 0 : 4);
  if (buffer.length < start) return null;
  const length =
    form === 126 ? buffer.readUInt16BE(at + 2) : form === 127 ? Number(buffer.readBigUInt64BE(at + 2)) : form;
  const end = start + length;
  if (buffer.length < end) return null;
  const key = start === maskAt ? Buffer.alloc(4) : buffer.subarray(maskAt, start);
  const payload = Buffer.from(buffer.subarray(start, end));
  for (let i = 0; i < length; i++) payload[i] = (payload[i] ?? 0) ^ (key[i & 3] ?? 0);
  return {
    frame: { opcode: first & 0x0f, isFinal: (first & 0x80) !== 0, payload: payload.toString("latin1") },
    end,
  };
}

/** What a Close frame says; 1005 for one without a code (RFC 6455 section 7.1.5). */
export interface CloseSaid {
  readonly code: number;
  readonly reason: string;
}

export function closeSaid(payload: string): CloseSaid {
  const bytes = Buffer.from(payload, "latin1");
  return bytes.length < 2
    ? { code: 1005, reason: "" }
    : { code: bytes.readUInt16BE(0), reason: bytes.toString("utf8", 2) };
}

/** What a Close frame says, given its bytes, masked or not; null for anything else, and for one without a code. */
export function readClose(bytes: string): CloseSaid | null {
  const [first] = readFrames(bytes).frames;
  return first?.opcode === OPCODE.close && first.payload.length >= 2 ? closeSaid(first.payload) : null;
}
