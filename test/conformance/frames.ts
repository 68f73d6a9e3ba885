/** Frames as a client writes them by hand, right and wrong, and a parser of what servers send that shares nothing with the proxy's. */

export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** A frame of a client: final, without reserved bits, masked and with the shortest length, unless it says otherwise. */
export interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly isFinal?: boolean;
  /** The three reserved bits as a number: 4 is RSV1. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** Writes the length in so many bytes (0, 2, 8), however short it is. */
  readonly lengthBytes?: 0 | 2 | 8;
}

const MASKING_KEY: Buffer = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** The bytes of a frame (RFC 6455 section 5.2). */
export function frameBytes({ opcode, payload, ...form }: Frame): Buffer {
  const { isFinal = true, reserved = 0, isMasked = true } = form;
  const lengthBytes = form.lengthBytes ?? (payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? payload.length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(payload.length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(payload.length), 2);
  if (!isMasked) return Buffer.concat([head, payload]);
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) masked[i] = (masked[i] ?? 0) ^ (MASKING_KEY[i & 3] ?? 0);
  return Buffer.concat([head, MASKING_KEY, masked]);
}

export function text(payload: string | Buffer, form: Partial<Frame> = {}): Frame {
  return { opcode: TEXT, payload: bytes(payload), ...form };
}

export function binary(payload: string | Buffer, form: Partial<Frame> = {}): Frame {
  return { opcode: BINARY, payload: bytes(payload), ...form };
}

export function continuation(payload: string | Buffer, form: Partial<Frame> = {}): Frame {
  return { opcode: CONTINUATION, payload: bytes(payload), ...form };
}

export function ping(payload: string | Buffer = "", form: Partial<Frame> = {}): Frame {
  return { opcode: PING, payload: bytes(payload), ...form };
}

export function pong(payload: string | Buffer = "", form: Partial<Frame> = {}): Frame {
  return { opcode: PONG, payload: bytes(payload), ...form };
}

/** A Close frame with a code and a reason, without a code, or with whatever bytes. */
export function close(code?: number | Buffer, reason: string | Buffer = ""): Frame {
  if (code === undefined) return { opcode: CLOSE, payload: Buffer.alloc(0) };
  if (typeof code !== "number") return { opcode: CLOSE, payload: code };
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return { opcode: CLOSE, payload: Buffer.concat([head, bytes(reason)]) };
}

/** One message in frames of so many bytes. */
export function fragments(opcode: number, payload: Buffer, fragmentBytes: number): Frame[] {
  const count = Math.max(1, Math.ceil(payload.length / fragmentBytes));
  return Array.from({ length: count }, (_, index) => ({
    opcode: index === 0 ? opcode : CONTINUATION,
    payload: payload.subarray(index * fragmentBytes, (index + 1) * fragmentBytes),
    isFinal: index === count - 1,
  }));
}

function bytes(payload: string | Buffer): Buffer {
  return typeof payload === "string" ? Buffer.from(payload) : payload;
}

/** A frame of a server as it stood on the wire. */
export interface SeenFrame {
  readonly opcode: number;
  readonly isFinal: boolean;
  readonly reserved: number;
  readonly payload: Buffer;
}

/** Reads a server's frames, in whatever pieces they come. Throws at what a client would have to refuse. */
export class FrameJudge {
  readonly frames: SeenFrame[] = [];
  #pieces: Buffer[] = [];
  #bytes = 0;
  #neededBytes = 2;

  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    while (this.#bytes >= this.#neededBytes && this.#readOne()) {
      // One after the other.
    }
  }

  /** Whether the stream stands between two frames. */
  get isBetweenFrames(): boolean {
    return this.#bytes === 0;
  }

  #readOne(): boolean {
    const all = Buffer.concat(this.#pieces);
    this.#pieces = [all];
    const first = all.readUInt8(0);
    const second = all.readUInt8(1);
    if (second > 127) throw new Error("a server's frame is masked");
    const extended = second === 126 ? 2 : second === 127 ? 8 : 0;
    if (all.length < 2 + extended) return this.#waitFor(2 + extended);
    const length =
      extended === 0 ? second : extended === 2 ? all.readUInt16BE(2) : Number(all.readBigUInt64BE(2));
    if (extended === (length > 65_535 ? 0 : 8) || (extended === 2 && length < 126)) {
      throw new Error(`a length of ${length} is not in its shortest form`);
    }
    const end = 2 + extended + length;
    if (all.length < end) return this.#waitFor(end);
    this.frames.push({
      opcode: first & 0x0f,
      isFinal: first > 127,
      reserved: (first >> 4) & 7,
      payload: all.subarray(2 + extended, end),
    });
    this.#pieces = end === all.length ? [] : [all.subarray(end)];
    this.#bytes = all.length - end;
    this.#neededBytes = 2;
    return true;
  }

  #waitFor(lengthBytes: number): false {
    this.#neededBytes = lengthBytes;
    return false;
  }
}
