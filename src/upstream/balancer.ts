import type { ByteString } from "../base/bytes.ts";
import type { Request } from "../compile/request.ts";
import type { Peer } from "./peer.ts";

/**
 * The peers that a balancer chooses from: the primary ones of a group, or its backups, which come into play only when
 * no primary peer is left.
 */
export interface PeerSet {
  readonly peers: readonly Peer[];
  readonly totalWeight: number;
}

/** What one request remembers between its tries, so that no peer is tried twice. */
export class Tries {
  /** What balancers hash: requests with equal keys go to the same peer. */
  readonly key: ByteString;
  /** How many tries there may still be, the one in hand included. */
  left: number;
  readonly tried: Peer[] = [];
  usesBackups = false;
  /** For balancers that hash: the hash so far, how often it was taken, and how many peers were passed over. */
  hash = -1;
  rounds = 0;
  skips = 0;

  constructor(key: ByteString, triesMax: number) {
    this.key = key;
    this.left = triesMax;
  }
}

/** A way to choose among the peers of one set. */
export interface Balancer {
  /** The peer to try next, or null where none is left. Peers that are not available or were tried are passed over. */
  next(tries: Tries, nowMs: number): Peer | null;
}

/** A load balancing method of an upstream block. */
export interface BalancingMethod {
  /** The key that it hashes; null where it hashes none. */
  readonly keyOf: ((request: Request) => ByteString) | null;
  /** Makes the balancer for a set of peers whose addresses are known. */
  readonly balance: (set: PeerSet) => Balancer;
  /** Whether nginx lets the group have backups. */
  readonly allowsBackups: boolean;
}

/** Whether a balancer may choose `peer` for a request that has made `tries`. */
export function isEligible(peer: Peer, tries: Tries, nowMs: number): boolean {
  return peer.isAvailable(nowMs) && !tries.tried.includes(peer);
}

/** The peer whose share of the total weight `point` falls into. */
export function peerAtWeight(set: PeerSet, point: number): Peer | null {
  let rest = point;
  for (const peer of set.peers) {
    if (rest < peer.settings.weight) return peer;
    rest -= peer.settings.weight;
  }
  return null;
}
