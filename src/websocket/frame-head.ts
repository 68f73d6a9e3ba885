/** Operation codes of frames (RFC 6455 section 5.2). Those from 8 on are of control frames. */
export const CONTINUATION = 0x0;
export const TEXT = 0x1;
export const BINARY = 0x2;
export const CLOSE = 0x8;
export const PING = 0x9;
export const PONG = 0xa;

/** Longest payload of a control frame, in bytes (section 5.5). */
export const CONTROL_PAYLOAD_BYTES_MAX = 125;
/** The longest head: two bytes, a length of eight, a masking key of four. */
const HEAD_BYTES_MAX = 14;
/** The longest thing that is looked at whole. */
export const WHOLE_BYTES_MAX: number = HEAD_BYTES_MAX + CONTROL_PAYLOAD_BYTES_MAX;

/** How long the head is of which `second` is the second byte. */
export function headBytes(second: number): number {
  const length = second & 0x7f;
  const extended = length === 126 ? 2 : length === 127 ? 8 : 0;
  return 2 + extended + ((second & 0x80) === 0 ? 0 : 4);
}

/** The length of the payload; -1 for one that no program could hold (above 2^53) or whose first bit is set. */
export function payloadBytes(buffer: Buffer, at: number): number {
  const length = (buffer[at + 1] ?? 0) & 0x7f;
  if (length < 126) return length;
  if (length === 126) return buffer.readUInt16BE(at + 2);
  const high = buffer.readUInt32BE(at + 2);
  return high > 0x1f_ffff ? -1 : high * 0x1_0000_0000 + buffer.readUInt32BE(at + 6);
}

/** Whether a length is written in as few bytes as it could be, which section 5.2 demands. */
export function isMinimal(second: number, length: number): boolean {
  const form = second & 0x7f;
  if (form === 126) return length > 125;
  return form !== 127 || length > 0xffff;
}

/** Shorter payloads are masked byte by byte: a view of their words would cost more than it saves. */
const WORDWISE_BYTES_MIN = 128;
/** A key as the four bytes and as the word that they are in this machine's memory. */
const keyBytes: Uint8Array = new Uint8Array(4);
const keyWord: Uint32Array = new Uint32Array(keyBytes.buffer);

/** Applies a masking key to a payload, or to what comes after `keyAt` bytes of one, in place (section 5.3). */
export function unmask(payload: Buffer, key: Buffer, keyAt = 0): void {
  let at = 0;
  if (payload.length >= WORDWISE_BYTES_MIN) {
    const wordsAt = -payload.byteOffset & 3;
    for (; at < wordsAt; at++) payload[at] = (payload[at] ?? 0) ^ (key[(keyAt + at) & 3] ?? 0);
    at += unmaskWords(payload, at, key, keyAt + at);
  }
  for (; at < payload.length; at++) payload[at] = (payload[at] ?? 0) ^ (key[(keyAt + at) & 3] ?? 0);
}

/** Unmasks the whole words from `start` on, where one begins in memory; returns how many bytes that were. */
function unmaskWords(payload: Buffer, start: number, key: Buffer, keyAt: number): number {
  for (let i = 0; i < 4; i++) keyBytes[i] = key[(keyAt + i) & 3] ?? 0;
  const word = keyWord[0] ?? 0;
  const words = new Uint32Array(payload.buffer, payload.byteOffset + start, (payload.length - start) >>> 2);
  for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ word;
  return words.length * 4;
}

/** A control frame, masked as a client has to if `key` is given. */
export function controlFrame(opcode: number, payload: Buffer, key: Buffer | null): Buffer {
  const frame = Buffer.allocUnsafe(2 + (key === null ? 0 : 4) + payload.length);
  frame[0] = 0x80 | opcode;
  frame[1] = payload.length | (key === null ? 0 : 0x80);
  const body = frame.subarray(frame.length - payload.length);
  payload.copy(body);
  if (key !== null) {
    key.copy(frame, 2);
    unmask(body, key);
  }
  return frame;
}

/** A frame of data whose first byte is `first`, masked as a client has to if `key` is given. */
export function dataFrame(first: number, payload: Buffer, key: Buffer | null): Buffer {
  const { length } = payload;
  const lengthBytes = length < 126 ? 0 : length <= 0xffff ? 2 : 8;
  const headEnd = 2 + lengthBytes;
  const bodyAt = headEnd + (key === null ? 0 : 4);
  const frame = Buffer.allocUnsafe(bodyAt + length);
  frame[0] = first;
  frame[1] = (key === null ? 0 : 0x80) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) frame.writeUInt16BE(length, 2);
  else if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  payload.copy(frame, bodyAt);
  if (key !== null) {
    key.copy(frame, headEnd);
    unmask(frame.subarray(bodyAt), key);
  }
  return frame;
}

/** The payload of a Close frame; the reason is cut to what fits. */
export function closePayload(code: number, reason: string): Buffer {
  let text = Buffer.from(reason, "utf8");
  // A cut must not go through a character.
  for (let cut = reason; text.length > CONTROL_PAYLOAD_BYTES_MAX - 2; ) {
    cut = cut.slice(0, -1);
    text = Buffer.from(cut, "utf8");
  }
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return payload;
}
