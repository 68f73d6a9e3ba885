import { isIPv4, isIPv6 } from "node:net";
import { type BalancerFactory, isEligible, peerAtWeight } from "./balancer.ts";
import { SKIPS_MAX } from "./hash.ts";
import { richest } from "./round-robin.ts";

/**
 * `ip_hash`: clients of one IPv4 /24 network, or of one IPv6 address, go to the same peer, and to the same as with nginx
 * (ngx_http_upstream_ip_hash_module).
 */
export const ipHash: BalancerFactory = (set) => ({
  next(request, tries, nowMs) {
    if (set.peers.length < 2) return richest(set.peers, tries, nowMs);
    const bytes = hashedBytes(request.connection.remoteAddress);
    let hash = tries.hash < 0 ? 89 : tries.hash;
    for (; tries.skips <= SKIPS_MAX; tries.skips++) {
      for (const byte of bytes) hash = (hash * 113 + byte) % 6271;
      tries.hash = hash;
      const peer = peerAtWeight(set, hash % set.totalWeight);
      if (peer !== null && isEligible(peer, tries, nowMs)) return peer;
    }
    return richest(set.peers, tries, nowMs);
  },
});

/** The first three bytes of an IPv4 address, all sixteen of an IPv6 one, zeros for a client on a Unix socket. */
function hashedBytes(address: string): readonly number[] {
  if (isIPv4(address)) return address.split(".", 3).map(Number);
  return isIPv6(address) ? ipv6Bytes(address) : [0, 0, 0];
}

function ipv6Bytes(address: string): readonly number[] {
  const [unzoned = ""] = address.split("%");
  const groups = unzoned.replace(/[\d.]+$/, (tail) => (isIPv4(tail) ? groupsOfIPv4(tail) : tail));
  const [head = "", tail] = groups.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** The last four bytes of an address such as `::ffff:192.0.2.1`, as two groups. */
function groupsOfIPv4(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
}
