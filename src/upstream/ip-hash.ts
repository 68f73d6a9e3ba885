import { addressBytes } from "../base/address-bytes.ts";
import type { ByteString } from "../base/bytes.ts";
import { type BalancingMethod, isEligible, peerAtWeight } from "./balancer.ts";
import { SKIPS_MAX } from "./hash.ts";
import { richest } from "./round-robin.ts";

/**
 * `ip_hash`: clients of one IPv4 /24 network, or of one IPv6 address, go to the same peer, and to the same as with nginx
 * (ngx_http_upstream_ip_hash_module).
 */
export const ipHash: BalancingMethod = {
  keyOf: (request) => hashedBytes(request.connection.remoteAddress),
  allowsBackups: false,
  balance: (set) => ({
    next(tries, nowMs) {
      if (set.peers.length < 2) return richest(set.peers, tries, nowMs);
      let hash = tries.hash < 0 ? 89 : tries.hash;
      for (; tries.skips <= SKIPS_MAX; tries.skips++) {
        for (let i = 0; i < tries.key.length; i++) hash = (hash * 113 + tries.key.charCodeAt(i)) % 6271;
        tries.hash = hash;
        const peer = peerAtWeight(set, hash % set.totalWeight);
        if (peer !== null && isEligible(peer, tries, nowMs)) return peer;
      }
      return richest(set.peers, tries, nowMs);
    },
  }),
};

/** The first three bytes of an IPv4 address, all sixteen of an IPv6 one, zeros for a client on a Unix socket. */
export function hashedBytes(address: string): ByteString {
  const bytes = addressBytes(address);
  return bytes === "" ? "\0\0\0" : bytes.length === 4 ? bytes.slice(0, 3) : bytes;
}
