import { connect, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { lstatSync, unlinkSync } from "node:fs";
import { acceptTransport, type TransportListener, type TransportOptions } from "../base/transport.ts";
import type { ListenAddress, ListenerPlan } from "../compile/plan.ts";
import type { ConnectionCounts } from "../observe/connections.ts";
import { addressText, type BindError, bindError } from "./bind-error.ts";
import { ClientConnection, nextConnectionSerial } from "./client-connection.ts";
import { Http1Connection } from "./http1-connection.ts";
import type { RequestHandler } from "./request-handler.ts";

export interface ListenerOptions {
  readonly handler: RequestHandler;
  readonly counts: ConnectionCounts;
  /** worker_connections, asked at every accept: a reload may change it. */
  readonly connectionsMax: () => number;
  /** In a cluster worker: a handle of this worker's own instead of the primary's. */
  readonly exclusive?: boolean;
}

/** One bound address and the connections accepted on it. */
export class Listener {
  /** What new connections and new requests go by. A reload assigns the next one. */
  plan: ListenerPlan;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Http1Connection>();
  #onEmpty: (() => void) | null = null;

  private constructor(plan: ListenerPlan, options: ListenerOptions) {
    this.plan = plan;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    this.#server.on("connection", (socket) => this.#serverOnConnection(socket));
  }

  /** Binds the plan's address. Resolves with an error where the system refuses. */
  static async open(plan: ListenerPlan, options: ListenerOptions): Promise<Listener | BindError> {
    const { address } = plan;
    const listener = new Listener(plan, options);
    let error = await listener.#listen(address);
    if (error?.code === "EADDRINUSE" && address.kind === "unix" && (await removeStaleSocket(address.path))) {
      error = await listener.#listen(address);
    }
    return error ?? listener;
  }

  /** Where it listens in fact: the port that the system chose for port 0. */
  get address(): ListenAddress {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") return this.plan.address;
    return { kind: "inet", host: bound.address, port: bound.port };
  }

  /** As messages print it. */
  get addressText(): string {
    return addressText(this.address);
  }

  /**
   * Accepts nothing more, closes idle connections, and busy ones after their answer. Resolves when the last connection,
   * tunnels included, is gone.
   */
  close(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections.values()) connection.retire();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#noteEmpty();
    });
  }

  /** Closes everything at once, whatever is under way. */
  closeNow(): void {
    this.#server.close();
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  #listen(address: ListenAddress): Promise<BindError | null> {
    const server = this.#server;
    return new Promise((resolve) => {
      const onError = (error: Error): void => resolve(bindError(address, error));
      server.once("error", onError);
      server.listen(this.#listenOptions(address), () => {
        server.off("error", onError);
        // EMFILE and its kind, at accept: this connection is lost, the listener lives.
        server.on("error", (error) => this.#serverOnError(error));
        resolve(null);
      });
    });
  }

  #listenOptions(address: ListenAddress): ListenOptions {
    const { backlog, ipv6only } = this.plan;
    const exclusive = this.#options.exclusive ?? false;
    // nginx makes its sockets accessible for everybody; the folder decides who gets there.
    if (address.kind === "unix") {
      return { path: address.path, backlog, exclusive, readableAll: true, writableAll: true };
    }
    return { host: address.host, port: address.port, backlog, exclusive, ipv6Only: ipv6only };
  }

  #serverOnError(error: Error): void {
    this.plan.defaultServer.root.errorLog.write("crit", `accept() failed (${error.message})`);
  }

  #serverOnConnection(socket: Socket): void {
    const { counts, connectionsMax } = this.#options;
    // A reset between accept and here must not be an unhandled event.
    socket.on("error", ignoreError);
    counts.accepted++;
    const limit = connectionsMax();
    if (counts.active + counts.upstream >= limit) {
      this.plan.defaultServer.root.errorLog.write("alert", `${limit} worker_connections are not enough`);
      socket.destroy();
      return;
    }
    counts.handled++;
    counts.active++;
    this.#serve(socket);
  }

  #serve(socket: Socket): void {
    const { handler, counts } = this.#options;
    const transport = acceptTransport(socket, UNCLAIMED, transportOptions(this.plan));
    const client = new ClientConnection(this, transport, {
      serial: nextConnectionSerial(),
      openedAtMs: performance.now(),
      proxyProtocol: null,
      tlsServer: null,
    });
    const connection = new Http1Connection(client, handler, counts);
    this.#connections.set(socket, connection);
    // The socket's own event, because a tunnel takes the transport's listener away from the connection.
    socket.once("close", () => {
      counts.active--;
      connection.release();
      this.#connections.delete(socket);
      this.#noteEmpty();
    });
    connection.start();
  }

  #noteEmpty(): void {
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}

/** A socket without a listener of its own yet; it is paused, so that nothing can happen to it. */
const UNCLAIMED: TransportListener = {
  onBytes: ignore,
  onEnd: ignore,
  onDrain: ignore,
  onClose: ignore,
};

function ignore(): void {}

function ignoreError(): void {}

function transportOptions({ so_keepalive, defaultServer }: ListenerPlan): TransportOptions {
  return {
    noDelay: defaultServer.root.core.tcp_nodelay,
    ...(so_keepalive === null || so_keepalive === 0
      ? {}
      : { keepAliveDelaySeconds: Math.ceil(so_keepalive / 1000) }),
  };
}

/** Removes the file of a Unix socket that nobody listens on any more; true if it did. */
async function removeStaleSocket(path: string): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket()) return false;
    if (await isAnswered(path)) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Whether somebody accepts connections there; anything but a clear refusal counts as yes. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}
