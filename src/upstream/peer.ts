import type { ConnectionProfile } from "./connection-pool.ts";

/** Where a peer listens: a literal address with its port, or the path of a Unix socket. */
export type PeerAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** One line `server …` of an upstream block, or what stands for it where a proxy_pass names a host itself. */
export interface ServerSettings {
  /** As written, without its parameters: what `hash … consistent` places on its ring. */
  readonly server: string;
  readonly weight: number;
  /** Requests at one time; 0: no limit. */
  readonly max_conns: number;
  /** Failures within `fail_timeout` after which the peer rests; 0: never. */
  readonly max_fails: number;
  /** Milliseconds: both the span in which failures are counted and the length of the rest. */
  readonly fail_timeout: number;
  readonly backup: boolean;
  readonly down: boolean;
}

export const DEFAULT_SERVER: Omit<ServerSettings, "server"> = {
  weight: 1,
  max_conns: 0,
  max_fails: 1,
  fail_timeout: 10_000,
  backup: false,
  down: false,
};

/** How a try at a peer ended. `stale`: a kept connection was found closed, which says nothing about the peer. */
export type PeerOutcome = "success" | "failure" | "stale";

/** What is known of a peer from the tries so far. A reload hands it on, so that tries in flight go on counting. */
export interface PeerHealth {
  currentWeight: number;
  /** Falls with failures and recovers with every choice, up to the peer's weight. */
  effectiveWeight: number;
  /** Tries in flight. */
  conns: number;
  fails: number;
  /** Milliseconds, as `nowMs` gives them: the last failure, and the start of the span in which failures are counted. */
  failedAtMs: number;
  checkedAtMs: number;
}

/** One address that requests can be sent to. A name that resolves to several addresses makes several peers. */
export class Peer {
  /** As nginx prints it: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock`. */
  readonly name: string;
  readonly address: PeerAddress;
  readonly settings: ServerSettings;
  health: PeerHealth;
  /** A peer without an alternative is never given a rest, as in nginx. */
  isAlone = false;
  /** TLS sessions to resume, by how the connection is made. */
  tlsSessions: Map<ConnectionProfile, Buffer> = new Map();

  constructor(address: PeerAddress, settings: ServerSettings) {
    this.name = peerName(address);
    this.address = address;
    this.settings = settings;
    this.health = {
      currentWeight: 0,
      effectiveWeight: settings.weight,
      conns: 0,
      fails: 0,
      failedAtMs: Number.NEGATIVE_INFINITY,
      checkedAtMs: Number.NEGATIVE_INFINITY,
    };
  }

  /** Goes on with what is known of the same peer in the configuration before. */
  inherit(before: Peer): void {
    this.health = before.health;
    this.tlsSessions = before.tlsSessions;
    if (before.settings.weight === this.settings.weight) return;
    this.health.currentWeight = 0;
    this.health.effectiveWeight = this.settings.weight;
  }

  /** Whether a balancer may choose this peer now. */
  isAvailable(nowMs: number): boolean {
    const { settings, health } = this;
    if (settings.down) return false;
    if (settings.max_conns !== 0 && health.conns >= settings.max_conns) return false;
    return this.isAlone || !this.isResting(nowMs);
  }

  /** Whether the peer has failed too often of late. After the rest a single request tries it. */
  isResting(nowMs: number): boolean {
    const { settings, health } = this;
    return (
      settings.max_fails !== 0 &&
      health.fails >= settings.max_fails &&
      nowMs - health.checkedAtMs <= settings.fail_timeout
    );
  }

  /** Counts a try that begins; {@link done} must follow. */
  begin(nowMs: number): void {
    const { health } = this;
    health.conns++;
    if (nowMs - health.checkedAtMs > this.settings.fail_timeout) health.checkedAtMs = nowMs;
  }

  /** Counts a try that has ended. Returns whether this is the failure that sends the peer to rest. */
  done(outcome: PeerOutcome, nowMs: number): boolean {
    const { health, settings } = this;
    health.conns--;
    if (outcome === "stale") return false;
    if (outcome === "success") {
      // A success counts only for a try that began after the last failure (ngx_http_upstream_free_round_robin_peer).
      if (this.isAlone || health.failedAtMs < health.checkedAtMs) health.fails = 0;
      return false;
    }
    if (this.isAlone) return false;
    health.fails++;
    health.failedAtMs = nowMs;
    health.checkedAtMs = nowMs;
    if (settings.max_fails === 0) return false;
    const loss = Math.floor(settings.weight / settings.max_fails);
    health.effectiveWeight = Math.max(0, health.effectiveWeight - loss);
    return health.fails >= settings.max_fails;
  }
}

/** A peer's address as nginx prints it. */
export function peerName(address: PeerAddress): string {
  if ("path" in address) return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
