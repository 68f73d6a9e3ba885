import { crc32 } from "node:zlib";
import type { Template } from "../compile/template.ts";
import type { BalancingMethod } from "./balancer.ts";
import { SKIPS_MAX } from "./hash.ts";
import type { Peer } from "./peer.ts";
import { richest } from "./round-robin.ts";

const POINTS_PER_WEIGHT = 160;

interface Point {
  readonly hash: number;
  readonly peers: readonly Peer[];
}

/**
 * `hash key consistent`: ketama, with the same ring as nginx (and Cache::Memcached::Fast). A server line owns 160 points
 * for each unit of its weight; a key belongs to the first point at or above its own hash. When a server comes or goes,
 * few keys move.
 */
export function consistentHash(key: Template): BalancingMethod {
  return {
    keyOf: (request) => key.render(request),
    allowsBackups: false,
    balance(set) {
      const ring = makeRing(set.peers);
      return {
        next(tries, nowMs) {
          if (tries.key === "" || set.peers.length < 2) return richest(set.peers, tries, nowMs);
          if (tries.hash < 0) tries.hash = indexOfPoint(ring, crc32(Buffer.from(tries.key, "latin1")));
          for (; tries.skips <= SKIPS_MAX; tries.skips++, tries.hash++) {
            // Where a name has several addresses they share the name's points.
            const peers = ring[tries.hash % ring.length]?.peers ?? [];
            const peer = richest(peers, tries, nowMs);
            if (peer !== null) return peer;
          }
          return richest(set.peers, tries, nowMs);
        },
      };
    },
  };
}

/** The points of all servers by hash; of equal ones the first server's stays. */
function makeRing(peers: readonly Peer[]): readonly Point[] {
  const byServer = new Map<string, Peer[]>();
  for (const peer of peers) {
    const known = byServer.get(peer.settings.server);
    if (known === undefined) byServer.set(peer.settings.server, [peer]);
    else known.push(peer);
  }
  const points = new Map<number, Point>();
  for (const [server, ofServer] of byServer) {
    const weight = Math.max(...ofServer.map((peer) => peer.settings.weight));
    for (const hash of pointsOf(server, weight * POINTS_PER_WEIGHT)) {
      if (!points.has(hash)) points.set(hash, { hash, peers: ofServer });
    }
  }
  return [...points.values()].sort((a, b) => a.hash - b.hash);
}

/** crc32(host, NUL, port, previous hash): the previous hash as four bytes, the least significant first. */
function* pointsOf(server: string, count: number): Generator<number> {
  const { host, port } = splitServer(server);
  const base = crc32(Buffer.from(`${host}\0${port}`, "latin1"));
  const previous = Buffer.alloc(4);
  for (let i = 0; i < count; i++) {
    const hash = crc32(previous, base);
    yield hash;
    previous.writeUInt32LE(hash);
  }
}

/** Host and port as they were written; a server without a port has an empty one. */
function splitServer(server: string): { readonly host: string; readonly port: string } {
  if (server.toLowerCase().startsWith("unix:")) return { host: server.slice(5), port: "" };
  const match = /^(.*):(\d*)$/s.exec(server);
  return match === null ? { host: server, port: "" } : { host: match[1] ?? "", port: match[2] ?? "" };
}

/** The first point at or above `hash`, around the ring. */
function indexOfPoint(ring: readonly Point[], hash: number): number {
  let low = 0;
  let high = ring.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ring[middle]?.hash ?? 0) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}
