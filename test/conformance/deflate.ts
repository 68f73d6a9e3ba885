/** permessage-deflate as a client does it (RFC 7692 section 7.2), on Node's zlib. */
import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from "node:zlib";

/** What was agreed on, for one direction. */
export interface Side {
  readonly windowBits: number;
  readonly takesContextOver: boolean;
}

/** What an answer's Sec-WebSocket-Extensions means for the side that compresses; null where nothing was agreed on. */
export function sideOf(extensions: string, side: "client" | "server"): Side | null {
  if (!/^permessage-deflate\b/.test(extensions)) return null;
  const bits = new RegExp(`${side}_max_window_bits="?(\\d+)`).exec(extensions)?.[1];
  return {
    windowBits: Number(bits ?? 15),
    takesContextOver: !extensions.includes(`${side}_no_context_takeover`),
  };
}

const TAIL: Buffer = Buffer.from([0, 0, 0xff, 0xff]);

/** Each message compressed, the last four bytes taken off. */
export function compress(messages: readonly Buffer[], side: Side): Promise<Buffer[]> {
  return eachThrough(
    messages,
    side,
    () => createDeflateRaw({ windowBits: side.windowBits }),
    (all) => all.subarray(0, -TAIL.length),
  );
}

export function decompress(messages: readonly Buffer[], side: Side): Promise<Buffer[]> {
  const tailed = messages.map((message) => Buffer.concat([message, TAIL]));
  return eachThrough(
    tailed,
    side,
    () => createInflateRaw({ windowBits: side.windowBits }),
    (all) => all,
  );
}

async function eachThrough(
  messages: readonly Buffer[],
  { takesContextOver }: Side,
  open: () => DeflateRaw | InflateRaw,
  finish: (all: Buffer) => Buffer,
): Promise<Buffer[]> {
  let stream = open();
  const results: Buffer[] = [];
  for (const message of messages) {
    results.push(finish(await through(stream, message)));
    if (takesContextOver) continue;
    stream.close();
    stream = open();
  }
  stream.close();
  return results;
}

function through(stream: DeflateRaw | InflateRaw, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    const onData = (piece: Buffer): void => void pieces.push(piece);
    stream.on("data", onData);
    stream.once("error", reject);
    stream.write(message);
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      stream.off("data", onData);
      stream.off("error", reject);
      resolve(Buffer.concat(pieces));
    });
  });
}
