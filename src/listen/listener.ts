import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  acceptTransport,
  setSocketOptions,
  type TransportListener,
  type TransportOptions,
  type Transport,
} from "../base/transport.ts";
import { addressKey } from "../compile/listeners.ts";
import type { ListenAddress, ListenerPlan } from "../compile/plan.ts";
import type { ConnectionCounts } from "../observe/connections.ts";
import { type BindError, bindError } from "./bind-error.ts";
import { ClientConnection } from "./client-connection.ts";
import { NO_BYTES } from "./input-pump.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import { Opening } from "./opening.ts";
import type { RequestHandler } from "./request-handler.ts";
import { removeStaleSocket } from "./stale-socket.ts";
import { TlsAcceptor } from "./tls-acceptor.ts";

export interface ListenerOptions {
  readonly handler: RequestHandler;
  readonly counts: ConnectionCounts;
  /** worker_connections, asked at every accept: a reload may change it. */
  readonly connectionsMax: () => number;
  /** In a cluster worker: a handle of this worker's own instead of the primary's. */
  readonly exclusive?: boolean;
  /** Shared by all listeners of a process; one with a secret of its own by default. */
  readonly tls?: TlsAcceptor;
  /** Connections are accepted but wait until {@link Listener.letGo}: for a plan that is not in force yet. */
  readonly isHeld?: boolean;
}

/** How many idle connections make room for a new one. */
const IDLE_CLOSED_MAX = 32;

/** What a listener can do with a connection, whatever it is about. */
interface OpenConnection {
  /** True while it waits for a further request. */
  readonly isIdle: boolean;
  /** Ends it as soon as nothing is under way. */
  retire(): void;
  /** Ends it at once, whatever is under way. */
  closeNow(): void;
}

/** What is left of a connection that has become a tunnel. Idle tunnels are many: nothing of HTTP stays with them. */
class TunnelConnection implements OpenConnection {
  readonly isIdle = false;
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** A tunnel is under way until its own end. */
  retire(): void {}

  closeNow(): void {
    this.#transport.destroy();
  }
}

/** One bound address and the connections accepted on it. */
export class Listener {
  /** What new connections and new requests go by. A reload assigns the next one. */
  plan: ListenerPlan;
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #tls: TlsAcceptor;
  readonly #connections = new Set<OpenConnection>();
  /** Connections that wait for the plan to come into force; null where none has to. */
  #held: Socket[] | null;
  #onEmpty: (() => void) | null = null;

  private constructor(plan: ListenerPlan, options: ListenerOptions) {
    this.plan = plan;
    this.#options = options;
    this.#tls = options.tls ?? new TlsAcceptor();
    this.#held = options.isHeld === true ? [] : null;
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
    return addressKey(this.address);
  }

  /** The plan is in force: serves the connections that have waited, and from now on each as it comes. */
  letGo(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const socket of held) if (!socket.destroyed) this.#serverOnConnection(socket);
  }

  /**
   * Accepts nothing more, closes idle connections, and busy ones after their answer. Resolves when the last connection,
   * tunnels included, is gone.
   */
  close(): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) connection.retire();
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#noteEmpty();
    });
  }

  /** Closes everything at once, whatever is under way. */
  closeNow(): void {
    this.#server.close();
    for (const connection of this.#connections) connection.closeNow();
    for (const socket of this.#held ?? []) socket.destroy();
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
    const reusePort = this.plan.reuseport && knowsReusePort() ? REUSE_PORT : {};
    return { host: address.host, port: address.port, backlog, exclusive, ipv6Only: ipv6only, ...reusePort };
  }

  #serverOnError(error: Error): void {
    this.plan.defaultServer.root.errorLog.write("crit", `accept() failed (${error.message})`);
  }

  #serverOnConnection(socket: Socket): void {
    const { counts } = this.#options;
    // A reset between accept and here must not be an unhandled event.
    socket.on("error", ignoreError);
    if (this.#held !== null) {
      this.#held.push(socket);
      return;
    }
    counts.accepted++;
    if (!this.#hasRoom()) {
      socket.destroy();
      return;
    }
    counts.handled++;
    counts.active++;
    const client = new ClientConnection(this, socket);
    const { ssl, proxy_protocol } = client.listener;
    if (ssl || proxy_protocol || client.offersHttp2) this.#open(client, socket);
    else this.#startHttp1(client, socket, NO_BYTES);
  }

  /** worker_connections, both sides counted. Where it is reached, idle connections make room, as in nginx. */
  #hasRoom(): boolean {
    const { counts, connectionsMax } = this.#options;
    const limit = connectionsMax();
    if (counts.active + counts.upstream < limit) return true;
    const { errorLog } = this.plan.defaultServer.root;
    if (this.#closeIdle() === 0) {
      errorLog.write("alert", `${limit} worker_connections are not enough`);
      return false;
    }
    errorLog.write("warn", `${limit} worker_connections are not enough, reusing connections`);
    return true;
  }

  /** Closes some of the connections that wait for a further request, and returns how many. */
  #closeIdle(): number {
    let closed = 0;
    for (const connection of this.#connections) {
      if (!connection.isIdle) continue;
      connection.closeNow();
      if (++closed === IDLE_CLOSED_MAX) break;
    }
    return closed;
  }

  /** Reads what comes before HTTP. */
  #open(client: ClientConnection, socket: Socket): void {
    const opening = new Opening(client, socket, this.#tls, (top, protocol, early) => {
      // From here on the transport tells of the end: on its way the socket may be emptied, see acceptTransport.
      socket.off("close", onClosed);
      this.#connections.delete(opening);
      if (protocol === "h2") this.#startHttp2(client, top, early);
      else this.#startHttp1(client, top, early);
    });
    const onClosed = (): void => this.#connectionOnClosed(opening);
    socket.once("close", onClosed);
    this.#connections.add(opening);
    opening.start();
  }

  /** `socket` is what HTTP is spoken on: the accepted one, or TLS on it. */
  #startHttp1(client: ClientConnection, socket: Socket | TLSSocket, early: Buffer): void {
    const { handler, counts } = this.#options;
    let open: OpenConnection;
    const onClosed = (): void => {
      if (open instanceof TunnelConnection) counts.writing--;
      this.#connectionOnClosed(open);
    };
    client.open(acceptTransport(socket, UNCLAIMED, { ...transportOptions(client.listener), onClosed }));
    const connection = new Http1Connection(client, handler, counts, () => {
      this.#connections.delete(open);
      open = new TunnelConnection(client.transport);
      this.#connections.add(open);
      counts.writing++;
    });
    open = connection;
    this.#connections.add(connection);
    connection.start(early);
  }

  #startHttp2(client: ClientConnection, socket: Socket | TLSSocket, early: Buffer): void {
    const { handler, counts } = this.#options;
    setSocketOptions(socket, transportOptions(client.listener));
    client.openTls(socket);
    const connection = new Http2Connection(client, handler, counts, socket, () =>
      this.#connectionOnClosed(connection),
    );
    this.#connections.add(connection);
    connection.start(early);
  }

  #connectionOnClosed(connection: OpenConnection): void {
    this.#options.counts.active--;
    this.#connections.delete(connection);
    this.#noteEmpty();
  }

  #noteEmpty(): void {
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}

/** Each worker binds the address itself, and the kernel spreads connections over them. */
const REUSE_PORT = { reusePort: true, exclusive: true };

/** From Node 22.12 and 23.1 on; before, the workers share one socket as without `reuseport`. */
function knowsReusePort(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major >= 24 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
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
