import { describe, expect, test } from "vitest";
import { DEFAULT_KEEPALIVE } from "./connection-pool.ts";
import { Tries } from "./balancer.ts";
import { DEFAULT_SERVER, type Peer, type ServerSettings } from "./peer.ts";
import { PeerGroup } from "./peer-group.ts";
import { roundRobin } from "./round-robin.ts";

function makeGroup(...servers: Partial<ServerSettings>[]): PeerGroup {
  const group = new PeerGroup("app", true, roundRobin, DEFAULT_KEEPALIVE);
  group.setServers(
    servers.map((server, index) => ({
      settings: { ...DEFAULT_SERVER, server: `server${index}`, ...server },
      addresses: [{ host: "192.0.2.1", port: 8000 + index }],
    })),
  );
  return group;
}

function newTries(): Tries {
  return new Tries("", 99);
}

/** One try that ends as told; which peer it was. */
function tryOnce(group: PeerGroup, outcome: "success" | "failure", nowMs: number): number | null {
  const tries = newTries();
  const peer = group.choose(tries, nowMs);
  if (peer === null) return null;
  group.settle(peer, tries, outcome, nowMs);
  return group.peers.indexOf(peer);
}

function peerAt(group: PeerGroup, index: number): Peer {
  const peer = group.peers[index];
  if (peer === undefined) throw new Error(`there is no peer ${index}`);
  return peer;
}

describe("max_fails and fail_timeout", () => {
  test("a peer that failed max_fails times rests for fail_timeout, and then one request tries it", () => {
    const group = makeGroup({ max_fails: 2, fail_timeout: 1_000 }, { backup: true });
    expect(tryOnce(group, "failure", 0)).toBe(0);
    expect(tryOnce(group, "failure", 10)).toBe(0);
    expect(tryOnce(group, "success", 20)).toBe(1);
    expect(tryOnce(group, "success", 1_010)).toBe(1);
    const first = newTries();
    const second = newTries();
    expect(group.choose(first, 1_011)).toBe(peerAt(group, 0));
    expect(group.choose(second, 1_012)).toBe(peerAt(group, 1));
  });

  test("the failures are forgotten by a success that began after the last of them", () => {
    const group = makeGroup({ max_fails: 2, fail_timeout: 1_000 }, { backup: true });
    tryOnce(group, "failure", 0);
    tryOnce(group, "success", 5);
    expect(peerAt(group, 0).health.fails).toBe(1);
    tryOnce(group, "success", 1_001);
    expect(peerAt(group, 0).health.fails).toBe(0);
  });

  test("the only peer of a group never rests", () => {
    const group = makeGroup({});
    for (let i = 0; i < 5; i++) expect(tryOnce(group, "failure", i)).toBe(0);
  });

  test("max_fails=0 never rests", () => {
    const group = makeGroup({ max_fails: 0 }, { down: true });
    for (let i = 0; i < 5; i++) expect(tryOnce(group, "failure", i)).toBe(0);
  });

  test("a kept connection that was found closed is no failure of the peer", () => {
    const group = makeGroup({}, {});
    const tries = newTries();
    const peer = group.choose(tries, 0);
    if (peer === null) throw new Error("there are two peers");
    group.settle(peer, tries, "stale", 0);
    expect(peer.health).toMatchObject({ fails: 0, conns: 0 });
    expect(tries.tried).toEqual([]);
    expect(tries.left).toBe(99);
  });
});

test("backups serve only when no primary peer is left, for the same request too", () => {
  const group = makeGroup({}, {}, { backup: true });
  const tries = newTries();
  const order = [0, 1, 2].map(() => {
    const peer = group.choose(tries, 0);
    if (peer !== null) group.settle(peer, tries, "failure", 0);
    return peer === null ? null : group.peers.indexOf(peer);
  });
  expect(order).toEqual([0, 1, 2]);
  expect(group.choose(tries, 0)).toBeNull();
});

test("max_conns counts the tries in flight", () => {
  const group = makeGroup({ max_conns: 2 });
  const tries = newTries();
  expect(group.choose(tries, 0)).not.toBeNull();
  expect(group.choose(tries, 0)).not.toBeNull();
  expect(group.choose(tries, 0)).toBeNull();
  group.settle(peerAt(group, 0), tries, "success", 0);
  expect(group.choose(tries, 0)).not.toBeNull();
});

describe("a reload", () => {
  test("hands on what is known of peers that stay, and tries in flight go on counting", () => {
    const before = makeGroup({ max_conns: 1, fail_timeout: 1_000 }, { backup: true });
    const tries = newTries();
    const inFlight = before.choose(tries, 0);
    const after = makeGroup({ max_conns: 1, fail_timeout: 1_000 }, { backup: true });
    after.adopt(before);
    expect(after.choose(newTries(), 1)).toBe(peerAt(after, 1));
    if (inFlight === null) throw new Error("a peer was free");
    before.settle(inFlight, tries, "failure", 2);
    expect(peerAt(after, 0).health).toMatchObject({ conns: 0, fails: 1 });
    expect(peerAt(after, 0).isResting(3)).toBe(true);
  });

  test("goes on with the round where it stood", () => {
    const before = makeGroup({}, {}, {});
    expect(tryOnce(before, "success", 0)).toBe(0);
    const after = makeGroup({}, {}, {});
    after.adopt(before);
    expect(tryOnce(after, "success", 0)).toBe(1);
  });

  test("begins anew with a peer whose weight has changed", () => {
    const before = makeGroup({ weight: 1 }, { weight: 5 });
    tryOnce(before, "success", 0);
    const after = makeGroup({ weight: 4 }, { weight: 5 });
    after.adopt(before);
    expect(peerAt(after, 0).health).toMatchObject({ effectiveWeight: 4, currentWeight: 0 });
  });
});
