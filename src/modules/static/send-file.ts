import type { FileHandle } from "node:fs/promises";
import type { Request } from "../../compile/request.ts";
import type { ByteRange } from "./ranges.ts";

/** How much is read from a file at a time. */
const CHUNK_BYTES = 64 * 1024;

/** A piece of an answer's body: text, or bytes of the file. */
export type Piece = ByteRange | string;

/** Sends pieces one after the other, as fast as the client takes them. False: the client has gone, or the file has shrunk. */
export async function sendPieces(
  request: Request,
  file: FileHandle,
  pieces: readonly Piece[],
): Promise<boolean> {
  const client = new WritableClient(request);
  for (const piece of pieces) {
    if (typeof piece === "string") {
      const bytes = Buffer.from(piece, "latin1");
      if (!(await client.write(bytes, bytes.length))) return false;
    } else if (!(await sendRange(client, file, piece))) return false;
  }
  return true;
}

async function sendRange(
  client: WritableClient,
  file: FileHandle,
  { start, end }: ByteRange,
): Promise<boolean> {
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - start));
  for (let position = start; position < end; ) {
    const { bytesRead } = await file.read(chunk, 0, Math.min(chunk.length, end - position), position);
    if (bytesRead === 0 || !(await client.write(chunk, bytesRead))) return false;
    position += bytesRead;
  }
  return true;
}

/** The client's end of a request, to be written to with `await`. */
class WritableClient {
  readonly #request: Request;
  #gone = false;
  #wake: (() => void) | null = null;

  constructor(request: Request) {
    this.#request = request;
    request.onClientGone = () => {
      this.#gone = true;
      this.#wake?.();
    };
    request.onWritable = () => this.#wake?.();
  }

  /** Waits until there is room again. False when the client has gone. */
  async write(chunk: Buffer, length: number): Promise<boolean> {
    if (this.#gone) return false;
    if (this.#request.downstream.write(chunk, 0, length)) return true;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = null;
    return !this.#gone;
  }
}
