/** HTTP/2 frames as raw bytes, for what no client would send (RFC 9113 section 4.1). */

import type { RawPeer } from "./raw-peer.ts";

export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

export const FRAME_TYPES = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 1;
export const END_HEADERS = 4;

export function http2Frame(
  type: keyof typeof FRAME_TYPES | number,
  flags: number,
  streamId: number,
  payload: Uint8Array | string = "",
): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = typeof type === "number" ? type : FRAME_TYPES[type];
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

/** Four bytes: an error code, a window increment. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block without compression: every field a literal that is never indexed (RFC 7541 section 6.2.3). */
export function headerBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0x10), literal(name), literal(value)]));
}

/** A GET, without the fields that `changes` makes empty and with those that it adds. */
export function requestBlock(changes: Readonly<Record<string, string>> = {}): Buffer {
  const fields = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": "localhost", ...changes };
  return headerBlock(Object.entries(fields).filter(([, value]) => value !== ""));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length: number[] = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** The whole frames in `bytes` (latin1). */
export function readFrames(bytes: string): readonly Frame[] {
  const buffer = Buffer.from(bytes, "latin1");
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= buffer.length; ) {
    const end = at + 9 + buffer.readUIntBE(at, 3);
    if (end > buffer.length) break;
    frames.push({
      type: buffer.readUInt8(at + 3),
      flags: buffer.readUInt8(at + 4),
      streamId: buffer.readUInt32BE(at + 5),
      payload: buffer.subarray(at + 9, end),
    });
    at = end;
  }
  return frames;
}

/** The first frame of its kind that a peer has sent, now or later. */
export async function untilFrame(client: RawPeer, wanted: (frame: Frame) => boolean): Promise<Frame> {
  for (;;) {
    const frame = readFrames(client.inbox.received).find(wanted);
    if (frame !== undefined) return frame;
    await client.bytes(client.inbox.unread.length + 1);
  }
}

/** The error code of the GOAWAY among frames, or null without one. */
export function goawayCode(frames: readonly Frame[]): number | null {
  return frames.find(({ type }) => type === FRAME_TYPES.goaway)?.payload.readUInt32BE(4) ?? null;
}

/** The error code with which a stream was reset, or null. */
export function resetCode(frames: readonly Frame[], streamId: number): number | null {
  const reset = frames.find((frame) => frame.type === FRAME_TYPES.rstStream && frame.streamId === streamId);
  return reset?.payload.readUInt32BE(0) ?? null;
}
