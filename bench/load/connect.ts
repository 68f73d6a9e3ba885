/** Client connections of the load generator: raw sockets that all read into one shared buffer. */
import { createHash, randomBytes } from "node:crypto";
import * as net from "node:net";
import * as tls from "node:tls";
import { CLIENT_CLOSE, clientPong, type FrameHandlers, FrameReader, isPing } from "./frames.ts";
import type { Target } from "./work.ts";

const READ_BUFFER_BYTES: number = 256 * 1024;
const HEAD_BYTES_MAX: number = 16 * 1024;
const OPEN_AT_ONCE = 50;
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Safe to share: whatever is read is dealt with before the next read. */
const readBuffer: Buffer = Buffer.allocUnsafe(READ_BUFFER_BYTES);

/** The client decides what is negotiated, so that it is the same with every contender. No session is ever resumed. */
const secureContext: tls.SecureContext = tls.createSecureContext({
  minVersion: "TLSv1.3",
  ciphers: "TLS_AES_128_GCM_SHA256",
  ecdhCurve: "X25519",
});

export interface Connection {
  readonly socket: net.Socket;
  /** Resolves when the socket is closed, however that came about. */
  readonly closed: Promise<void>;
}

/** Connects, through TLS if so asked; `onBytes` must not keep the chunk. Rejects when the connection cannot be made. */
export async function connect(target: Target, onBytes: (chunk: Buffer) => void): Promise<Connection> {
  const onread: net.OnReadOpts = {
    buffer: readBuffer,
    callback: (length) => {
      onBytes(readBuffer.subarray(0, length));
      return true;
    },
  };
  const options = { host: "127.0.0.1", port: target.port, noDelay: true, onread };
  const socket = target.tls
    ? tls.connect({ ...options, secureContext, rejectUnauthorized: false })
    : net.connect(options);
  let failure: Error | undefined;
  socket.on("error", (error) => {
    failure = error;
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const opened = new Promise<void>((resolve) => {
    socket.once(target.tls ? "secureConnect" : "connect", () => resolve());
  });
  await Promise.race([opened, closed]);
  if (failure !== undefined) throw failure;
  return { socket, closed };
}

export interface Tunnel extends Connection {
  /** Closes it as RFC 6455 section 7 wants: a Close frame, then the other side ends the connection. */
  close(): Promise<void>;
}

/** Connects and upgrades; resolves when the 101 has been read and its key checked. Pings are answered. */
export async function openTunnel(
  target: Target,
  handlers: Pick<FrameHandlers, "data" | "message">,
): Promise<Tunnel> {
  const key = randomBytes(16).toString("base64");
  const frames = new FrameReader({
    ...handlers,
    control: (opcode, payload) => {
      if (isPing(opcode)) connection.socket.write(clientPong(payload));
    },
  });
  let head: Buffer | undefined = Buffer.alloc(0);
  let resolveUpgraded: (refusal: Error | undefined) => void;
  const upgraded = new Promise<Error | undefined>((resolve) => {
    resolveUpgraded = resolve;
  });

  function onBytes(chunk: Buffer): void {
    if (head === undefined) return frames.read(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) {
      if (head.length > HEAD_BYTES_MAX) resolveUpgraded(new Error("the answer's head does not end"));
      return;
    }
    const rest = head.subarray(end + 4);
    resolveUpgraded(refusalIn(head.toString("latin1", 0, end), key));
    head = undefined;
    frames.read(rest);
  }

  const connection = await connect(target, onBytes);
  connection.socket.write(
    `GET /echo HTTP/1.1\r\nHost: bench.test\r\nConnection: Upgrade\r\nUpgrade: ${target.protocol}\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  const early = connection.closed.then(
    () => new Error("the connection ended before the upgrade was answered"),
  );
  const refusal = await Promise.race([upgraded, early]);
  if (refusal !== undefined) {
    connection.socket.destroy();
    throw refusal;
  }
  const close = async (): Promise<void> => {
    connection.socket.write(CLIENT_CLOSE);
    await connection.closed;
  };
  return { ...connection, close };
}

function refusalIn(head: string, key: string): Error | undefined {
  const accept = createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
  if (!head.startsWith("HTTP/1.1 101 ")) return new Error(`upgrade refused: ${head.split("\r\n", 1)[0]}`);
  if (!head.includes(accept)) return new Error("a 101 with a wrong Sec-WebSocket-Accept");
  return undefined;
}

/** Opens `count` of something, a few at a time, so that no listener's queue overflows; the result is in order of index. */
export async function openMany<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  let next = 0;
  const openSome = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      opened[index] = await open(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(OPEN_AT_ONCE, count) }, openSome));
  return opened;
}
