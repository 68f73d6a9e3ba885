import { type BalancingMethod, isEligible, type PeerSet, peerAtWeight, type Tries } from "./balancer.ts";
import { SKIPS_MAX } from "./hash.ts";
import { compareLoad } from "./least-conn.ts";
import type { Peer } from "./peer.ts";
import { richest } from "./round-robin.ts";

/** `random`: by chance, as the weights say. `random two`: the less busy of two that chance picked. */
export function random(two: boolean): BalancingMethod {
  return {
    keyOf: null,
    allowsBackups: false,
    balance: (set) => ({
      next(tries, nowMs) {
        if (set.peers.length < 2) return richest(set.peers, tries, nowMs);
        const first = pick(set, tries, nowMs, null);
        if (first === null) return richest(set.peers, tries, nowMs);
        const second = two ? pick(set, tries, nowMs, first) : null;
        return second !== null && compareLoad(second, first) < 0 ? second : first;
      },
    }),
  };
}

/** A peer by chance, or null where chance has met too many that would not do. */
function pick(set: PeerSet, tries: Tries, nowMs: number, besides: Peer | null): Peer | null {
  for (let skips = 0; skips <= SKIPS_MAX; skips++) {
    const peer = peerAtWeight(set, Math.floor(Math.random() * set.totalWeight));
    if (peer !== null && peer !== besides && isEligible(peer, tries, nowMs)) return peer;
  }
  return null;
}
