/** Frames as raw bytes, for tests that look at the wire. Payloads stay legible: the masking key is zero. */

/** A frame of a server. `opcode` 1 is text, 8 Close, 9 ping, 10 pong. */
export function serverFrame(payload: string, opcode: number = 1): string {
  return `${String.fromCharCode(0x80 | opcode, payload.length)}${payload}`;
}

/** A frame of a client: masked. */
export function clientFrame(payload: string, opcode: number = 1): string {
  return `${String.fromCharCode(0x80 | opcode, 0x80 | payload.length)}\0\0\0\0${payload}`;
}

/** What a Close frame says, given its bytes, masked or not; null for anything else. */
export function readClose(bytes: string): { readonly code: number; readonly reason: string } | null {
  const frame = Buffer.from(bytes, "latin1");
  const second = frame[1] ?? 0;
  if (frame[0] !== 0x88 || (second & 0x7f) < 2) return null;
  const isMasked = (second & 0x80) !== 0;
  const key = isMasked ? frame.subarray(2, 6) : Buffer.alloc(4);
  const payload = Buffer.from(
    frame.subarray(isMasked ? 6 : 2).map((byte, index) => byte ^ (key[index & 3] ?? 0)),
  );
  return { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() };
}
