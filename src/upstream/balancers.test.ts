import { describe, expect, test } from "vitest";
import { constantTemplate } from "../compile/template.ts";
import { type BalancingMethod, Tries } from "./balancer.ts";
import { consistentHash } from "./consistent-hash.ts";
import { hash } from "./hash.ts";
import { hashedBytes, ipHash } from "./ip-hash.ts";
import { leastConn } from "./least-conn.ts";
import { DEFAULT_SERVER, Peer, type ServerSettings } from "./peer.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round-robin.ts";

const KEY = constantTemplate("");
const METHODS: readonly (readonly [name: string, method: BalancingMethod])[] = [
  ["round robin", roundRobin],
  ["least_conn", leastConn],
  ["hash", hash(KEY)],
  ["hash consistent", consistentHash(KEY)],
  ["ip_hash", ipHash],
  ["random", random(false)],
  ["random two", random(true)],
];

function makePeers(...settings: Partial<ServerSettings>[]): Peer[] {
  return settings.map((setting, index) => {
    const port = 8001 + index;
    return new Peer(
      { host: "192.0.2.1", port },
      { ...DEFAULT_SERVER, server: `192.0.2.1:${port}`, ...setting },
    );
  });
}

function balance(method: BalancingMethod, peers: readonly Peer[]) {
  return method.balance({ peers, totalWeight: peers.reduce((sum, peer) => sum + peer.settings.weight, 0) });
}

/** The next choice of a request; null where none is left. */
function choose(balancer: ReturnType<typeof balance>, tries: Tries, nowMs = 0): Peer | null {
  const peer = balancer.next(tries, nowMs);
  if (peer !== null) tries.tried.push(peer);
  return peer;
}

describe.each(METHODS)("%s", (_name, method) => {
  test("tries every peer once and then has none left, whatever the key", () => {
    for (let i = 0; i < 50; i++) {
      const peers = makePeers({}, { weight: 3 }, {}, { weight: 2 });
      const balancer = balance(method, peers);
      const tries = new Tries(`key ${i}`, 9);
      const chosen = new Set<Peer>();
      for (let peer = choose(balancer, tries); peer !== null; peer = choose(balancer, tries))
        chosen.add(peer);
      expect(chosen.size).toBe(peers.length);
      expect(tries.tried).toHaveLength(peers.length);
    }
  });

  test("passes over peers that are down, resting or busy", () => {
    const peers = makePeers({ down: true }, {}, { max_conns: 1 }, { weight: 5 });
    const [, resting, busy, usable] = peers;
    resting?.begin(0);
    resting?.done("failure", 0);
    busy?.begin(0);
    const balancer = balance(method, peers);
    for (let i = 0; i < 50; i++) {
      expect(balancer.next(new Tries(`key ${i}`, 9), 1)).toBe(usable);
    }
  });

  test("gives each peer its share of many requests", () => {
    const peers = makePeers({ weight: 1 }, { weight: 2 }, { weight: 3 });
    const balancer = balance(method, peers);
    const counts = new Map<Peer | null, number>();
    const total = 6_000;
    for (let i = 0; i < total; i++) {
      const key = method === ipHash ? hashedBytes(`10.${i % 200}.${(i * 7) % 251}.1`) : `key ${i}`;
      const peer = balancer.next(new Tries(key, 9), 0);
      // Requests stay in flight, so that least_conn and random two have something to compare.
      if (method !== roundRobin) peer?.begin(0);
      counts.set(peer, (counts.get(peer) ?? 0) + 1);
    }
    for (const peer of peers) {
      const share = (counts.get(peer) ?? 0) / total;
      expect(Math.abs(share - peer.settings.weight / 6)).toBeLessThan(0.09);
    }
  });
});

test("round robin spreads a heavy peer's turns instead of giving them in a row", () => {
  const peers = makePeers({ weight: 5 }, { weight: 1 }, { weight: 1 });
  const balancer = balance(roundRobin, peers);
  const names = new Map<Peer | null, number>(peers.map((peer, index) => [peer, index]));
  const turns = Array.from({ length: 7 }, () => names.get(balancer.next(new Tries("", 9), 0)));
  expect(turns).toEqual([0, 0, 1, 0, 2, 0, 0]);
});

test("least_conn compares requests in flight with the weight", () => {
  const peers = makePeers({ weight: 1 }, { weight: 3 });
  const [light, heavy] = peers;
  const balancer = balance(leastConn, peers);
  light?.begin(0);
  heavy?.begin(0);
  heavy?.begin(0);
  expect(balancer.next(new Tries("", 9), 0)).toBe(heavy);
  heavy?.begin(0);
  heavy?.begin(0);
  expect(balancer.next(new Tries("", 9), 0)).toBe(light);
});

test("with hash consistent, a peer that goes takes only its own keys with it", () => {
  const all = makePeers({}, {}, {}, {});
  const fewer = all.slice(0, 3);
  const before = balance(consistentHash(KEY), all);
  const after = balance(consistentHash(KEY), fewer);
  const keys = Array.from({ length: 1_000 }, (_, i) => `key ${i}`);
  const stayed = keys.filter((key) => before.next(new Tries(key, 9), 0) !== all[3]);
  const moved = stayed.filter(
    (key) => after.next(new Tries(key, 9), 0) !== before.next(new Tries(key, 9), 0),
  );
  expect(stayed.length).toBeGreaterThan(600);
  expect(moved).toEqual([]);
});

test("ip_hash looks at the network of an IPv4 client and at the whole of an IPv6 address", () => {
  expect(hashedBytes("192.0.2.77")).toBe("\xc0\x00\x02");
  expect(hashedBytes("2001:db8::1")).toBe(`\x20\x01\x0d\xb8${"\0".repeat(11)}\x01`);
  expect(hashedBytes("unix:")).toBe("\0\0\0");
});
