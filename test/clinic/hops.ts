/** What may stand between a browser and a server and do harm: hops that work on the bytes that pass. */
import { connect, createServer, type Socket } from "node:net";
import { serve, type Served } from "./serve.ts";

export interface Harm {
  /** What becomes of bytes on their way to the server; null ends the connection with a reset. */
  readonly toServer?: (bytes: string) => string | null;
  readonly toClient?: (bytes: string) => string | null;
  /** Ends every connection at this age. */
  readonly lifetimeMs?: number;
}

/** Passes bytes on to a port of 127.0.0.1, and does the harm. */
export async function startHop(serverPort: number, harm: Harm): Promise<Served> {
  const server = createServer((client) => {
    const upstream = connect(serverPort, "127.0.0.1");
    client.on("error", () => {});
    upstream.on("error", () => {});
    const age =
      harm.lifetimeMs === undefined
        ? undefined
        : setTimeout(() => {
            client.destroy();
            upstream.destroy();
          }, harm.lifetimeMs);
    client.once("close", () => {
      clearTimeout(age);
      upstream.destroy();
    });
    upstream.once("close", () => client.end());
    passOn(client, upstream, client, harm.toServer);
    passOn(upstream, client, client, harm.toClient);
  });
  return serve(server, "a hop");
}

/** Passes bytes on, but those of a client that offers HTTP/2 only once another client has come and gone. */
export async function startLateHop(serverPort: number): Promise<Served> {
  let onGone: () => void = () => {};
  const otherIsGone = new Promise<void>((resolve) => {
    onGone = resolve;
  });
  const server = createServer((client) => {
    const upstream = connect(serverPort, "127.0.0.1");
    client.on("error", () => {});
    upstream.on("error", () => {});
    client.once("close", () => upstream.destroy());
    client.once("data", (hello: Buffer) => {
      client.pause();
      const begin = (): void => {
        upstream.write(hello);
        client.pipe(upstream).pipe(client);
      };
      if (hello.includes("\x02h2")) void otherIsGone.then(begin);
      else {
        client.once("close", onGone);
        begin();
      }
    });
  });
  return serve(server, "a hop that keeps HTTP/2 back");
}

function passOn(from: Socket, to: Socket, client: Socket, change: Harm["toServer"]): void {
  from.on("data", (chunk: Buffer) => {
    const changed = change === undefined ? chunk.toString("latin1") : change(chunk.toString("latin1"));
    if (changed === null) client.resetAndDestroy();
    else if (changed !== "" && to.writable) to.write(Buffer.from(changed, "latin1"));
  });
  from.on("end", () => to.end());
}

const CLOSE = 0x88;
const PING = 0x89;
const COMPRESSED_TEXT = 0xc1;

/** Whether the bytes are a ping of the doctor's, and what it may have sent with it. */
export function isPing(bytes: string): boolean {
  return beginsWithSmallFrame(bytes, PING);
}

/** The same of a compressed message. */
export function isCompressed(bytes: string): boolean {
  return beginsWithSmallFrame(bytes, COMPRESSED_TEXT);
}

/**
 * Whether a small masked frame stands first, and a control frame behind it, if anything. To look at the first byte would not
 * do: a piece of a large message may begin with any, as the mask has it.
 */
function beginsWithSmallFrame(bytes: string, firstByte: number): boolean {
  const payloadBytes = bytes.charCodeAt(1) - 0x80;
  if (bytes.charCodeAt(0) !== firstByte || payloadBytes < 0 || payloadBytes > 125) return false;
  const end = 2 + 4 + payloadBytes;
  return bytes.length === end || [CLOSE, PING].includes(bytes.charCodeAt(end));
}
