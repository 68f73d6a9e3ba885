import { type BalancingMethod, isEligible, type Tries } from "./balancer.ts";
import type { Peer } from "./peer.ts";

/**
 * Smooth weighted round robin as in nginx (ngx_http_upstream_get_peer): with every choice each peer gains its effective
 * weight, the richest is chosen and pays the sum. Weights 5, 1, 1 give a a b a c a a rather than a a a a a b c.
 */
export const roundRobin: BalancingMethod = {
  keyOf: null,
  allowsBackups: true,
  balance: (set) => ({ next: (tries, nowMs) => richest(set.peers, tries, nowMs) }),
};

/** One choice among `peers`, by smooth weighted round robin. */
export function richest(peers: readonly Peer[], tries: Tries, nowMs: number): Peer | null {
  let best: Peer | null = null;
  let total = 0;
  for (const peer of peers) {
    if (!isEligible(peer, tries, nowMs)) continue;
    const { health } = peer;
    health.currentWeight += health.effectiveWeight;
    total += health.effectiveWeight;
    if (health.effectiveWeight < peer.settings.weight) health.effectiveWeight++;
    if (best === null || health.currentWeight > best.health.currentWeight) best = peer;
  }
  if (best !== null) best.health.currentWeight -= total;
  return best;
}
