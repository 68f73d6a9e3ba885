/**
 * The backend behind every contender, a process of its own: on one plain and one TLS port it echoes WebSocket messages and
 * answers `GET /bytes/N`. Answers are built once for each size and sent only when the whole message or request has been
 * read.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as net from "node:net";
import * as tls from "node:tls";
import { FrameReader, isClose, isPing, serverClose, serverMessage, serverPong } from "./frames.ts";

const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ANSWERS_MAX = 64;

/** What a new backend tells whoever started it. */
export interface BackendPorts {
  readonly plain: number;
  readonly tls: number;
}

/** `build(size)`, remembered. */
function bySize(build: (size: number) => Buffer): (size: number) => Buffer {
  const built = new Map<number, Buffer>();
  return (size) => {
    const known = built.get(size);
    if (known !== undefined) return known;
    const made = build(size);
    if (built.size < ANSWERS_MAX) built.set(size, made);
    return made;
  };
}

const echoOf: (size: number) => Buffer = bySize(serverMessage);
const answerOf: (size: number) => Buffer = bySize((size) =>
  Buffer.concat([
    Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${size}\r\n\r\n`),
    Buffer.alloc(size, "x"),
  ]),
);

function serve(socket: net.Socket): void {
  let head = "";
  let frames: FrameReader | undefined;
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    if (frames !== undefined) return frames.read(chunk);
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const key = /\r\nsec-websocket-key: *(\S+)/i.exec(head)?.[1];
    if (key === undefined) {
      socket.write(answerOf(Number(/^GET \/bytes\/(\d+) /.exec(head)?.[1] ?? 0)));
    } else {
      frames = upgrade(socket, key);
      frames.read(Buffer.from(head.slice(end + 4), "latin1"));
    }
    head = "";
  });
}

function upgrade(socket: net.Socket, key: string): FrameReader {
  const accept = createHash("sha1")
    .update(key + WEBSOCKET_GUID)
    .digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  return new FrameReader({
    data: () => {},
    message: (size) => {
      socket.write(echoOf(size));
    },
    control: (opcode, payload) => {
      if (isPing(opcode)) socket.write(serverPong(payload));
      if (isClose(opcode)) socket.end(serverClose(payload));
    },
  });
}

async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const [certificateFile = "", keyFile = ""] = process.argv.slice(2);
const plainServer = net.createServer({ noDelay: true }, serve);
const tlsServer = tls.createServer(
  { noDelay: true, cert: readFileSync(certificateFile), key: readFileSync(keyFile) },
  serve,
);
tlsServer.on("tlsClientError", () => {});
const ports: BackendPorts = { plain: await listen(plainServer), tls: await listen(tlsServer) };
process.on("disconnect", () => process.exit());
process.send?.(ports);
