import type { Transport, TransportListener } from "../base/transport.ts";
import type { Peer } from "./peer.ts";

/**
 * How a connection was made: TLS settings and name, local address. Only requests that would make theirs in the same way
 * share it.
 */
export type ConnectionProfile = string;

/** `keepalive` and its companions of an upstream block. Times in milliseconds. */
export interface KeepaliveSettings {
  /** Idle connections of the whole group that are kept; 0: none. */
  readonly keepalive: number;
  readonly keepalive_requests: number;
  /** From the opening of the connection. */
  readonly keepalive_time: number;
  readonly keepalive_timeout: number;
}

/** nginx's defaults. */
export const DEFAULT_KEEPALIVE: KeepaliveSettings = {
  keepalive: 32,
  keepalive_requests: 1000,
  keepalive_time: 3_600_000,
  keepalive_timeout: 60_000,
};

/**
 * A connection to a peer that can outlive the request it was made for. `User` is whoever reads it while it is in use; it
 * stays with the connection, so that nothing has to be set up again for the next request.
 */
export class PooledConnection<User> implements TransportListener {
  readonly transport: Transport;
  readonly profile: ConnectionProfile;
  readonly openedAtMs: number;
  readonly user: User;
  /** A reload puts another object in the peer's place. */
  peer: Peer;
  /** Requests that the connection has carried. */
  requests = 0;
  idleSinceMs = 0;
  /** Where the connection waits while it is idle. */
  pool: ConnectionPool<User> | null = null;

  constructor(transport: Transport, peer: Peer, profile: ConnectionProfile, user: User, nowMs: number) {
    this.transport = transport;
    this.peer = peer;
    this.profile = profile;
    this.user = user;
    this.openedAtMs = nowMs;
  }

  /** Nobody has asked for anything: an idle connection that sends bytes cannot be trusted with a request. */
  onBytes(): void {
    this.#drop();
  }

  onEnd(): void {
    this.#drop();
  }

  onClose(): void {
    this.#drop();
  }

  onDrain(): void {}

  #drop(): void {
    this.pool?.remove(this);
    this.transport.destroy();
  }
}

/**
 * The idle connections of a group. The one that was used last is taken first, so that those which are not needed grow
 * old and go.
 */
export class ConnectionPool<User = unknown> {
  readonly #settings: KeepaliveSettings;
  /** The one that has been idle for longest comes first. */
  #idle: PooledConnection<User>[] = [];
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(settings: KeepaliveSettings) {
    this.#settings = settings;
  }

  /** How many connections are idle. */
  get size(): number {
    return this.#idle.length;
  }

  /**
   * An idle connection to the peer; null without one. It is being read, and a pause here would cost two system calls a
   * request: the taker sets the transport's listener before anything can arrive, in the same turn.
   */
  take(peer: Peer, profile: ConnectionProfile): PooledConnection<User> | null {
    const idle = this.#idle;
    for (let i = idle.length - 1; i >= 0; i--) {
      const connection = idle[i];
      if (connection === undefined || connection.peer !== peer || connection.profile !== profile) continue;
      idle.splice(i, 1);
      connection.pool = null;
      return connection;
    }
    return null;
  }

  /** Keeps a connection on which nothing is under way, or closes it where it has served for long enough. */
  put(connection: PooledConnection<User>, nowMs: number): void {
    const settings = this.#settings;
    const isWorthKeeping =
      !this.#isClosed &&
      settings.keepalive > 0 &&
      connection.requests < settings.keepalive_requests &&
      nowMs - connection.openedAtMs <= settings.keepalive_time;
    if (isWorthKeeping) this.#keep(connection, nowMs);
    else connection.transport.destroy();
  }

  remove(connection: PooledConnection<User>): void {
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    connection.pool = null;
  }

  /** Takes over the idle connections of another pool whose peers have a successor here, and closes the others. */
  adopt(previous: ConnectionPool<User>, successorOf: (peer: Peer) => Peer | undefined, nowMs: number): void {
    const inherited = previous.#idle;
    previous.#idle = [];
    for (const connection of inherited) {
      const peer = successorOf(connection.peer);
      connection.pool = null;
      if (peer === undefined) {
        connection.transport.destroy();
      } else {
        connection.peer = peer;
        this.put(connection, nowMs);
      }
    }
  }

  /** Closes what is idle, and from now on whatever is put. */
  close(): void {
    this.#isClosed = true;
    for (const connection of this.#idle.splice(0)) connection.transport.destroy();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #keep(connection: PooledConnection<User>, nowMs: number): void {
    connection.pool = this;
    connection.idleSinceMs = nowMs;
    connection.transport.listener = connection;
    this.#idle.push(connection);
    if (this.#idle.length > this.#settings.keepalive) this.#idle.shift()?.transport.destroy();
    if (this.#timer === null) this.#armTimer(this.#settings.keepalive_timeout);
    connection.transport.resume();
  }

  /** All wait equally long, so one timer for the one that has waited longest serves all. */
  #armTimer(delayMs: number): void {
    this.#timer = setTimeout(() => this.#closeExpired(), delayMs);
    this.#timer.unref();
  }

  #closeExpired(): void {
    this.#timer = null;
    const { keepalive_timeout } = this.#settings;
    const nowMs = performance.now();
    for (let oldest = this.#idle[0]; oldest !== undefined; oldest = this.#idle[0]) {
      const leftMs = oldest.idleSinceMs + keepalive_timeout - nowMs;
      if (leftMs > 0) return this.#armTimer(leftMs);
      this.#idle.shift();
      oldest.pool = null;
      oldest.transport.destroy();
    }
  }
}
