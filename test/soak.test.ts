/**
 * Tunnels in masses that open, talk and die in all the ways there are, over every front, with reloads in between: afterwards
 * nothing is left of them, and the log has said the truth of each. `npm run soak -- --minutes 10` goes on for longer, for the
 * last third of the time with two workers of which one is killed again and again.
 */
import assert from "node:assert/strict";
import { expect, test } from "vitest";
import { FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import type { Proxy } from "./rig/proxy-process.ts";
import { fuzzSeed, Random } from "./rig/random.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";
import { type Crew, linesOf, lookIntoCrew, openCrew, playCrewRound } from "./soak/crew.ts";
import {
  countSockets,
  type House,
  type Left,
  lookInto,
  openHouse,
  readCounts,
  untilSockets,
} from "./soak/house.ts";
import { playRound, portOf, throughPort } from "./soak/round.ts";

useRig();

const MINUTES = Number(process.env["WSGATE_SOAK_MINUTES"] ?? 0);
const TUNNELS_A_ROUND = MINUTES > 0 ? 1_000 : 250;
const TUNNELS_A_CREW_ROUND = MINUTES > 0 ? 240 : 60;
/** In the first rounds code is compiled and tables grow. */
const WARM_UP_ROUNDS = 2;
const ROUNDS_MIN = 5;
const CREW_ROUNDS_MIN: number = MINUTES > 0 ? ROUNDS_MIN : 1;
/** A tunnel that is forgotten keeps some thousand bytes. */
const GROWTH_BYTES_A_TUNNEL_MAX = 300;
const SHUT_DOWN = [101, 200].map((status) => `${status} proxy shutdown 1012 [the proxy is going down]`);
const NOTHING = { deadlines: 0, tunnels: 0, requests: 0, transports: 0 };
const SEED: number = fuzzSeed("WSGATE_SOAK_SEED");

test("of thousands of tunnels that end in every way nothing is left, and each end is told as it was", {
  timeout: (MINUTES + 2) * 60_000,
}, async () => {
  const random = new Random(SEED);
  const house = await openHouse();
  const sockets = countSockets(house.gate.pid);
  const untilMs = performance.now() + MINUTES * 40_000;
  const left: Left[] = [];
  let expected: string[] = [];
  for (let round = 0; round < ROUNDS_MIN || performance.now() < untilMs; round++) {
    expected = expected.concat(await playRound(house, random, TUNNELS_A_ROUND));
    await untilSockets(house.gate, sockets);
    left.push(await lookInto(house.gate));
    await expectAllTold(house, expected);
  }

  await report(house.gate, left);
  for (const { deadlines, tunnels, requests, transports } of left) {
    expect({ deadlines, tunnels, requests, transports }).toEqual(NOTHING);
  }
  expectNoGrowth(
    left.map((each) => [each]),
    TUNNELS_A_ROUND,
  );
  await expectShutDown(house);
});

test("of tunnels that end with a worker, by drains and with their server nothing is left, and all are counted", {
  timeout: (MINUTES + 2) * 60_000,
}, async () => {
  const random = new Random(SEED);
  const crew = await openCrew();
  const untilMs = performance.now() + MINUTES * 20_000;
  const left: (readonly Left[])[] = [];
  for (let round = 0; round < CREW_ROUNDS_MIN || performance.now() < untilMs; round++) {
    await playCrewRound(crew, random, TUNNELS_A_CREW_ROUND);
    left.push(await lookIntoCrew(crew));
    await expectAllCounted(crew);
  }
  await report(crew.gate, left);
  for (const { deadlines, tunnels, requests, transports } of left.flat()) {
    expect({ deadlines, tunnels, requests, transports }).toEqual(NOTHING);
  }
  if (MINUTES > 0) expectNoGrowth(left, TUNNELS_A_CREW_ROUND);
  await crew.gate.stop("SIGQUIT");
});

/** Each tunnel has a line, but for those that died with their worker; the counters know of these as well. */
async function expectAllCounted({ gate, tunnels, expected, crashed }: Crew): Promise<void> {
  expect(linesOf(gate).toSorted()).toEqual(expected.toSorted());
  expect(expected.length + crashed).toBe(tunnels);
  const counts = await readCounts(gate);
  expect(counts.get("wsgate_tunnels_open")).toBe(0);
  expect(counts.get("wsgate_tunnels_opened_total")).toBe(tunnels);
  const ended = [...counts].filter(([name]) => name.startsWith("wsgate_tunnels_ended_total "));
  expect(Object.fromEntries(ended)).toEqual({
    ...tally(expected),
    "wsgate_tunnels_ended_total proxy worker-crash": crashed,
  });
}

/** What a long soak has seen. */
async function report(gate: Proxy, left: readonly unknown[]): Promise<void> {
  if (MINUTES === 0) return;
  const counts = [...(await readCounts(gate))].filter(([name]) =>
    /^wsgate_tunnels_(opened|ended)/.test(name),
  );
  console.log(counts.map(([name, value]) => `${name} ${value}`).join("\n"));
  console.log(left.map((round) => JSON.stringify(round)).join("\n"));
}

/** Neither the heap nor the buffers of any process have grown since the warm-up. */
function expectNoGrowth(left: readonly (readonly Left[])[], tunnelsARound: number): void {
  const [steady = [], ...later] = left.slice(WARM_UP_ROUNDS);
  for (const [index, first] of steady.entries()) {
    const last = later.at(-1)?.[index];
    assert(last !== undefined);
    const growthBytes = (last.dataBytes - first.dataBytes) / (later.length * tunnelsARound);
    expect(growthBytes, `left: ${JSON.stringify(left)}`).toBeLessThan(GROWTH_BYTES_A_TUNNEL_MAX);
    expect(last.bufferBytes - first.bufferBytes, `left: ${JSON.stringify(left)}`).toBeLessThan(100_000);
  }
}

/** The access log and the counters agree with what was done. */
async function expectAllTold({ gate }: House, expected: readonly string[]): Promise<void> {
  const told = gate
    .read("logs/ends.log")
    .trimEnd()
    .split("\n")
    .map((line) => line.slice(line.indexOf(" ") + 1));
  expect(told.toSorted()).toEqual(expected.toSorted());

  const tunnels = expected.filter((line) => !line.endsWith("- - - [-]"));
  const counts = await readCounts(gate);
  expect(counts.get("wsgate_tunnels_open")).toBe(0);
  expect(counts.get("wsgate_tunnels_opened_total")).toBe(tunnels.length);
  const ended = [...counts].filter(([name]) => name.startsWith("wsgate_tunnels_ended_total "));
  expect(Object.fromEntries(ended)).toEqual(tally(tunnels));
}

/** The lines by who and why, as the counters name them. */
function tally(lines: readonly string[]): Readonly<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const line of lines) {
    const [, , by = "", why = ""] = line.split(" ");
    const name = `wsgate_tunnels_ended_total ${by} ${why}`;
    sums[name] = (sums[name] ?? 0) + 1;
  }
  return sums;
}

/** At QUIT those that are still open are asked to go, and go. */
async function expectShutDown({ gate, plain }: House): Promise<void> {
  const endings = [];
  for (let index = 0; index < 40; index++) {
    const front = FRONTS[index % FRONTS.length];
    if (front === undefined) continue;
    const opening = await front.open(throughPort(gate, portOf(front)), "/stay");
    const { wire } = await plain.tunnel("/stay");
    const upstream = new WebSocketPeer(wire, "server");
    endings.push(new WebSocketPeer(opening.wire, "client").ended, upstream.ended);
  }
  await gate.stop("SIGQUIT");
  const codes = (await Promise.all(endings)).map(({ close }) => close?.code);
  expect(new Set(codes)).toEqual(new Set([1012]));
  const told = [...gate.read("logs/ends.log").matchAll(/^\S+ \/stay (.*)$/gm)].map(([, line]) => line);
  expect(new Set(told)).toEqual(new Set(SHUT_DOWN));
  expect(told).toHaveLength(40);
}
