import { dialTransport, type Transport, type TransportListener } from "../base/transport.ts";
import { connectionCounts } from "../observe/connections.ts";
import { type ConnectionProfile, PooledConnection } from "../upstream/connection-pool.ts";
import type { Peer } from "../upstream/peer.ts";
import { Deadline } from "../base/timers.ts";
import { CLOSED_PREMATURELY, connectFailure, type Failure, TIMED_OUT } from "./failure.ts";
import { type UpstreamTls, tlsFailure } from "./upstream-tls.ts";
import { UpstreamReader } from "./upstream-reader.ts";

/** How connections to an upstream are made. */
export interface DialSettings {
  readonly proxy_connect_timeout: number;
  readonly proxy_socket_keepalive: boolean;
}

/** What depends on the request besides. */
export interface DialRoute {
  readonly profile: ConnectionProfile;
  readonly localAddress: string | null;
  readonly localPort: number | null;
  readonly tls: UpstreamTls | null;
  /** The name for SNI and verification; empty without TLS. */
  readonly tlsName: string;
}

export type UpstreamConnection = PooledConnection<UpstreamReader>;

/** Whoever waits for a connection; exactly one of the two is called, unless the dial is cancelled. */
export interface DialListener {
  onDialled(connection: UpstreamConnection): void;
  onDialFailure(failure: Failure): void;
}

/** One attempt to connect to a peer, within proxy_connect_timeout, TLS handshake included. */
export class Dial implements TransportListener {
  readonly #peer: Peer;
  readonly #route: DialRoute;
  readonly #deadline: Deadline = new Deadline();
  readonly #transport: Transport;
  #listener: DialListener | null;

  constructor(peer: Peer, route: DialRoute, settings: DialSettings, listener: DialListener) {
    this.#peer = peer;
    this.#route = route;
    this.#listener = listener;
    connectionCounts.upstream++;
    this.#deadline.arm(settings.proxy_connect_timeout, () => this.#fail(TIMED_OUT));
    this.#transport = dialTransport(
      {
        address: peer.address,
        ...(route.localAddress === null ? {} : { localAddress: route.localAddress }),
        ...(route.localPort === null ? {} : { localPort: route.localPort }),
        ...(settings.proxy_socket_keepalive ? { keepAliveDelaySeconds: 0 } : {}),
        ...(route.tls === null ? {} : route.tls.dialOptions(peer, route.profile, route.tlsName)),
        onConnect: () => this.#onConnect(),
        onClosed: upstreamOnClosed,
      },
      this,
    );
  }

  /** Nobody wants the connection any more. */
  cancel(): void {
    this.#listener = null;
    this.#deadline.disarm();
    this.#transport.destroy();
  }

  /** A peer that speaks before it has been asked says nothing that could be an answer. */
  onBytes(): void {
    this.#fail(CLOSED_PREMATURELY);
  }

  onEnd(): void {
    this.#fail(CLOSED_PREMATURELY);
  }

  onDrain(): void {}

  onClose(error: Error | null): void {
    this.#fail(error === null ? CLOSED_PREMATURELY : this.#failureOf(error));
  }

  #failureOf(error: Error): Failure {
    const isHandshake = this.#route.tls !== null && !("syscall" in error && error.syscall === "connect");
    return isHandshake ? tlsFailure(error, this.#route.tlsName) : connectFailure(error, this.#peer.name);
  }

  #onConnect(): void {
    const listener = this.#listener;
    this.#listener = null;
    this.#deadline.disarm();
    listener?.onDialled(
      new PooledConnection(
        this.#transport,
        this.#peer,
        this.#route.profile,
        new UpstreamReader(),
        performance.now(),
      ),
    );
  }

  #fail(failure: Failure): void {
    const listener = this.#listener;
    this.cancel();
    listener?.onDialFailure(failure);
  }
}

function upstreamOnClosed(): void {
  connectionCounts.upstream--;
}
