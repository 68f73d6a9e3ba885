import { type BalancingMethod, isEligible } from "./balancer.ts";
import type { Peer } from "./peer.ts";
import { richest } from "./round-robin.ts";

/** `least_conn`: the peer with the fewest requests in flight for its weight; round robin among equals. */
export const leastConn: BalancingMethod = {
  keyOf: null,
  allowsBackups: true,
  balance: (set) => ({
    next(tries, nowMs) {
      let least: Peer[] = [];
      for (const peer of set.peers) {
        if (!isEligible(peer, tries, nowMs)) continue;
        const first = least[0];
        const order = first === undefined ? -1 : compareLoad(peer, first);
        if (order < 0) least = [peer];
        else if (order === 0) least.push(peer);
      }
      return least.length > 1 ? richest(least, tries, nowMs) : (least[0] ?? null);
    },
  }),
};

/** Below 0 where `a` has fewer requests in flight for its weight than `b`. */
export function compareLoad(a: Peer, b: Peer): number {
  return a.health.conns * b.settings.weight - b.health.conns * a.settings.weight;
}
