import { crc32 } from "node:zlib";
import type { Template } from "../compile/template.ts";
import { type BalancingMethod, isEligible, peerAtWeight } from "./balancer.ts";
import { richest } from "./round-robin.ts";

/** After so many peers that would not do, the choice is left to round robin. */
export const SKIPS_MAX = 20;

/**
 * `hash key`: a key goes to the same peer as with nginx (ngx_http_upstream_hash_module). Where that peer will not do, the
 * key is hashed again with the number of the round before it, and the hashes are added up.
 */
export function hash(key: Template): BalancingMethod {
  return {
    keyOf: (request) => key.render(request),
    allowsBackups: false,
    balance: (set) => ({
      next(tries, nowMs) {
        if (tries.key === "" || set.peers.length < 2) return richest(set.peers, tries, nowMs);
        while (tries.skips <= SKIPS_MAX) {
          const round = tries.rounds === 0 ? "" : String(tries.rounds);
          const roundHash = (crc32(Buffer.from(round + tries.key, "latin1")) >>> 16) & 0x7fff;
          tries.hash = Math.max(tries.hash, 0) + roundHash;
          tries.rounds++;
          const peer = peerAtWeight(set, tries.hash % set.totalWeight);
          if (peer !== null && isEligible(peer, tries, nowMs)) return peer;
          tries.skips++;
        }
        return richest(set.peers, tries, nowMs);
      },
    }),
  };
}
