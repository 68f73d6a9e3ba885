import { assert } from "../base/assert.ts";
import type { Stateful } from "../compile/plan.ts";
import type { Request } from "../compile/request.ts";
import { type Balancer, type BalancingMethod, type PeerSet, Tries } from "./balancer.ts";
import { ConnectionPool, type KeepaliveSettings } from "./connection-pool.ts";
import { Peer, type PeerAddress, type PeerOutcome, type ServerSettings } from "./peer.ts";

/** A server line and the addresses that its name stands for. */
export interface ResolvedServer {
  readonly settings: ServerSettings;
  readonly addresses: readonly PeerAddress[];
}

/** Peers of one kind with the balancer that chooses among them. */
interface Rank {
  readonly set: PeerSet;
  readonly balancer: Balancer;
}

/**
 * An `upstream` block, or the peers of a host that a proxy_pass names itself. It is made while the configuration is
 * checked and filled once the names have been resolved, before the plan is complete.
 */
export class PeerGroup<User = unknown> implements Stateful {
  readonly key: string;
  readonly name: string;
  /** False for a group that stands for a host in a proxy_pass. */
  readonly isExplicit: boolean;
  readonly pool: ConnectionPool<User>;
  peers: readonly Peer[] = [];

  #primary: Rank | null = null;
  #backup: Rank | null = null;
  /** Peers that the configuration has not marked as down. */
  #peersUp = 0;
  readonly #method: BalancingMethod;

  constructor(name: string, isExplicit: boolean, method: BalancingMethod, keepalive: KeepaliveSettings) {
    this.key = `upstream:${name}`;
    this.name = name;
    this.isExplicit = isExplicit;
    this.pool = new ConnectionPool(keepalive);
    this.#method = method;
  }

  /** Makes the peers; once, and before anything is chosen. */
  setServers(servers: readonly ResolvedServer[]): void {
    assert(this.peers.length === 0, "a group is filled once");
    this.peers = servers.flatMap(({ settings, addresses }) =>
      addresses.map((address) => new Peer(address, settings)),
    );
    const [only] = this.peers;
    if (only !== undefined && this.peers.length === 1) only.isAlone = true;
    this.#peersUp = this.peers.filter((peer) => !peer.settings.down).length;
    this.#primary = this.#rank(this.peers.filter((peer) => !peer.settings.backup));
    this.#backup = this.#rank(this.peers.filter((peer) => peer.settings.backup));
  }

  /** What a request needs for its first choice. `triesMax` 0: as many tries as there are peers. */
  startTries(request: Request, triesMax: number): Tries {
    const key = this.#method.keyOf?.(request) ?? "";
    return new Tries(key, triesMax === 0 ? this.#peersUp : Math.min(this.#peersUp, triesMax));
  }

  /**
   * The peer for the next try, or null: no live upstreams. Every choice must be followed by {@link settle}.
   */
  choose(tries: Tries, nowMs: number): Peer | null {
    let peer: Peer | null = null;
    if (!tries.usesBackups) peer = this.#primary?.balancer.next(tries, nowMs) ?? null;
    if (peer === null && this.#backup !== null) {
      tries.usesBackups = true;
      peer = this.#backup.balancer.next(tries, nowMs);
    }
    if (peer === null) return null;
    // A peer without an alternative may be tried again, after a kept connection turned out to be closed.
    if (!peer.isAlone) tries.tried.push(peer);
    peer.begin(nowMs);
    return peer;
  }

  /** Ends a try. Returns whether the peer has now failed so often that it is given a rest. */
  settle(peer: Peer, tries: Tries, outcome: PeerOutcome, nowMs: number): boolean {
    if (outcome === "stale") {
      if (tries.tried.at(-1) === peer) tries.tried.pop();
    } else {
      tries.left = peer.isAlone ? 0 : tries.left - 1;
    }
    return peer.done(outcome, nowMs);
  }

  adopt(previous: Stateful): void {
    if (!(previous instanceof PeerGroup)) return;
    const successors = new Map<Peer, Peer>();
    for (const peer of this.peers) {
      const before = previous.peers.find((candidate) => isSamePeer(candidate, peer));
      if (before === undefined) continue;
      successors.set(before, peer);
      peer.inherit(before);
    }
    this.pool.adopt(previous.pool, (peer) => successors.get(peer), performance.now());
  }

  retire(): void {
    this.pool.close();
  }

  #rank(peers: readonly Peer[]): Rank | null {
    if (peers.length === 0) return null;
    const set = { peers, totalWeight: peers.reduce((sum, peer) => sum + peer.settings.weight, 0) };
    return { set, balancer: this.#method.balance(set) };
  }
}

function isSamePeer(a: Peer, b: Peer): boolean {
  return (
    a.name === b.name && a.settings.server === b.settings.server && a.settings.backup === b.settings.backup
  );
}
