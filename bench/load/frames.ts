/**
 * The WebSocket frames of the benchmark (RFC 6455 section 5.2), built once and sent many times, and the one reader that
 * load generator and backend share.
 */

const FIN = 0x80;
const MASKED = 0x80;
const OPCODE_BINARY = 0x2;
const OPCODE_CLOSE = 0x8;
const OPCODE_PING = 0x9;
const OPCODE_PONG = 0xa;
const CONTROL_BIT = 0x8;

/** Any value would do: nobody between the two ends may tell the difference. */
const MASKING_KEY: Buffer = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** What a message of `size` bytes consists of. Both ends know it, so each can build its frames in advance. */
export function payloadOf(size: number): Buffer {
  const payload = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) payload[i] = (i * 31 + (i >> 8)) & 0xff;
  return payload;
}

/** The frame a client sends: masked. */
export function clientMessage(size: number): Buffer {
  return maskedFrame(OPCODE_BINARY, payloadOf(size));
}

/** The frame the echo backend answers with: not masked. */
export function serverMessage(size: number): Buffer {
  const payload = payloadOf(size);
  return Buffer.concat([frameHead(OPCODE_BINARY, size, 0), payload]);
}

/** Close with 1000, as the client of the handshake scenarios says it. */
export const CLIENT_CLOSE: Buffer = maskedFrame(OPCODE_CLOSE, Buffer.from([0x03, 0xe8]));

export function isPing(opcode: number): boolean {
  return opcode === OPCODE_PING;
}

export function isClose(opcode: number): boolean {
  return opcode === OPCODE_CLOSE;
}

export function clientPong(payload: Buffer): Buffer {
  return maskedFrame(OPCODE_PONG, payload);
}

export function serverPong(payload: Buffer): Buffer {
  return Buffer.concat([frameHead(OPCODE_PONG, payload.length, 0), payload]);
}

export function serverClose(payload: Buffer): Buffer {
  return Buffer.concat([frameHead(OPCODE_CLOSE, payload.length, 0), payload]);
}

function maskedFrame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([
    frameHead(opcode, payload.length, MASKED),
    MASKING_KEY,
    masked(payload, MASKING_KEY),
  ]);
}

/** RFC 6455 section 5.3; the same function masks and unmasks. */
function masked(payload: Buffer, key: Buffer): Buffer {
  return Buffer.from(payload.map((byte, i) => byte ^ (key[i & 3] ?? 0)));
}

function frameHead(opcode: number, length: number, mask: number): Buffer {
  if (length < 126) return Buffer.from([FIN | opcode, mask | length]);
  if (length < 65_536) return Buffer.from([FIN | opcode, mask | 126, length >> 8, length & 0xff]);
  const head = Buffer.alloc(10);
  head[0] = FIN | opcode;
  head[1] = mask | 127;
  head.writeUIntBE(length, 4, 6);
  return head;
}

export interface FrameHandlers {
  /** Bytes `start` to `end` of `chunk` belong to a data frame and lie `offset` bytes into its payload, as they came. */
  data(chunk: Buffer, start: number, end: number, offset: number): void;
  /** A whole message of `size` bytes has been read. The benchmark's messages are never fragmented. */
  message(size: number): void;
  /** A control frame, its payload unmasked. */
  control(opcode: number, payload: Buffer): void;
}

/**
 * Follows one direction of a tunnel, however the bytes are cut.
 *
 *   head     collecting the 2 to 14 bytes before the payload
 *   payload  counting down; data is shown to the handler in place, control payload is collected
 */
export class FrameReader {
  readonly #handlers: FrameHandlers;
  readonly #head: Buffer = Buffer.alloc(14);
  #state: "head" | "payload" = "head";
  #headHas = 0;
  #headNeeds = 2;
  #opcode = 0;
  #size = 0;
  #read = 0;
  #control: Buffer = Buffer.alloc(0);

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  read(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      at = this.#state === "head" ? this.#readHead(chunk, at) : this.#readPayload(chunk, at);
    }
  }

  #readHead(chunk: Buffer, start: number): number {
    let at = start;
    while (at < chunk.length && this.#headHas < this.#headNeeds) {
      this.#head[this.#headHas++] = chunk[at++] ?? 0;
      if (this.#headHas === 2) this.#headNeeds = headLength(this.#head[1] ?? 0);
    }
    if (this.#headHas === this.#headNeeds) this.#startPayload();
    return at;
  }

  #startPayload(): void {
    const length = (this.#head[1] ?? 0) & 0x7f;
    this.#opcode = (this.#head[0] ?? 0) & 0x0f;
    this.#size =
      length < 126 ? length : length === 126 ? this.#head.readUInt16BE(2) : this.#head.readUIntBE(4, 6);
    this.#read = 0;
    this.#state = "payload";
    if ((this.#opcode & CONTROL_BIT) !== 0) this.#control = Buffer.alloc(this.#size);
    if (this.#size === 0) this.#endFrame();
  }

  #readPayload(chunk: Buffer, start: number): number {
    const end = Math.min(chunk.length, start + this.#size - this.#read);
    if ((this.#opcode & CONTROL_BIT) === 0) this.#handlers.data(chunk, start, end, this.#read);
    else chunk.copy(this.#control, this.#read, start, end);
    this.#read += end - start;
    if (this.#read === this.#size) this.#endFrame();
    return end;
  }

  #endFrame(): void {
    this.#state = "head";
    this.#headHas = 0;
    if ((this.#opcode & CONTROL_BIT) === 0) {
      this.#headNeeds = 2;
      this.#handlers.message(this.#size);
      return;
    }
    const key = this.#head.subarray(this.#headNeeds - 4, this.#headNeeds);
    const payload = ((this.#head[1] ?? 0) & MASKED) === 0 ? this.#control : masked(this.#control, key);
    this.#headNeeds = 2;
    this.#handlers.control(this.#opcode, payload);
  }
}

function headLength(second: number): number {
  const length = second & 0x7f;
  const extended = length === 126 ? 2 : length === 127 ? 8 : 0;
  return 2 + extended + ((second & MASKED) === 0 ? 0 : 4);
}
