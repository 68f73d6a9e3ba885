/** One end of a TCP, TLS or Unix connection in the hands of a test: a client, or a backend's accepted connection. */
import { readSync } from "node:fs";
import { connect as connectTcp, type NetConnectOpts, Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, TLSSocket } from "node:tls";
import { nextTurn, within } from "./deadline.ts";
import { Inbox } from "./inbox.ts";
import { obtain } from "./ledger.ts";

export class RawPeer {
  readonly socket: Socket;
  readonly inbox: Inbox;
  /** Settles when the connection is gone in both directions: `end`, or the code of the error that ended it. */
  readonly closed: Promise<string>;

  constructor(socket: Socket, name: string) {
    this.socket = socket;
    this.inbox = new Inbox(name);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.inbox.push(chunk));
    socket.on("end", () => this.inbox.finish(wasReset(socket) ? "ECONNRESET" : "end"));
    socket.on("error", (error: NodeJS.ErrnoException) => this.inbox.finish(error.code ?? error.message));
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.inbox.finish("end");
        resolve(this.inbox.ending ?? "end");
      });
    });
  }

  /** The TCP connection, below TLS if there is any. */
  get #tcp(): Socket {
    const below: unknown = Reflect.get(this.socket, "_parent");
    return below instanceof Socket ? below : this.socket;
  }

  /** Hands `data` (text is latin1: one character, one byte) to the system and resolves when it has taken it. */
  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      // A failure shows as the connection's ending; a test that writes into a reset connection wants to go on.
      if (typeof data === "string") this.socket.write(data, "latin1", () => resolve());
      else this.socket.write(data, () => resolve());
    });
  }

  /** Sends each piece in a write of its own, a turn of the event loop apart. */
  async sendPieces(pieces: Iterable<string | Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      await this.send(piece);
      await nextTurn();
    }
  }

  until(pattern: string | RegExp): Promise<string> {
    return this.inbox.until(pattern);
  }

  exactly(bytes: string): Promise<void> {
    return this.inbox.exactly(bytes);
  }

  bytes(lengthBytes: number): Promise<string> {
    return this.inbox.bytes(lengthBytes);
  }

  toEnd(): Promise<string> {
    return this.inbox.toEnd();
  }

  /** Half-close: sends FIN (with TLS close_notify before it) and goes on reading. */
  end(): void {
    this.socket.end();
  }

  /** Sends RST and drops what was not sent. */
  reset(): void {
    this.#tcp.resetAndDestroy();
    this.socket.destroy();
  }

  /** Sends FIN without TLS's close_notify before it, as a process does that dies. Without TLS as {@link end}. */
  truncate(): void {
    this.#tcp.end();
  }

  /** Takes nothing more of what comes, until {@link resume}. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  async close(): Promise<void> {
    this.socket.destroy();
    await within(this.closed, "a socket of the rig to close");
  }
}

export interface RawClientOptions {
  readonly port?: number;
  readonly host?: string;
  /** Connects to a Unix socket instead. */
  readonly path?: string;
  /** TLS with these options; trust is up to the test (`ca`, or `rejectUnauthorized: false`). */
  readonly tls?: ConnectionOptions;
}

/** A connected client; with TLS, after the TLS handshake. Rejects when the connection or the TLS handshake fails. */
export async function connectRaw(options: RawClientOptions): Promise<RawPeer> {
  const target: NetConnectOpts =
    options.path === undefined
      ? { port: options.port ?? 0, host: options.host ?? "127.0.0.1", allowHalfOpen: true }
      : { path: options.path, allowHalfOpen: true };
  const name = options.path ?? `${options.host ?? "127.0.0.1"}:${options.port}`;
  // TLS options of @types/node lack `allowHalfOpen`, which tls.connect hands on to its socket when it makes one.
  const socket =
    options.tls === undefined
      ? connectTcp(target)
      : connectTls({ ...options.tls, socket: connectTcp(target) });
  const peer = new RawPeer(socket, name);
  obtain(`the client connection to ${name}`, () => peer.close());
  const connected = new Promise<void>((resolve, reject) => {
    socket.once(options.tls === undefined ? "connect" : "secureConnect", () => resolve());
    socket.once("error", reject);
  });
  await within(connected, `a connection to ${name}`);
  return peer;
}

/** Waits until nobody listens on the port any more: workers close their listeners each for itself. */
export async function untilRefused(port: number): Promise<void> {
  const refused = async (): Promise<void> => {
    for (;;) {
      const client = await connectRaw({ port }).catch((error: unknown) => String(error));
      if (typeof client === "string" && client.includes("ECONNREFUSED")) return;
      if (typeof client !== "string") await client.close();
    }
  };
  await within(refused(), `port ${port} to be closed`);
}

/** libuv takes a reset that it finds together with the last bytes for FIN; the kernel tells the next read. */
function wasReset(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, "_handle");
  const descriptor: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : -1;
  if (socket instanceof TLSSocket || typeof descriptor !== "number" || descriptor < 0) return false;
  try {
    readSync(descriptor, Buffer.alloc(1));
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ECONNRESET";
  }
}
