import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { type DrainReason, type DrainRules, type DrainSettings, TunnelRegister } from "./register.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
});

afterEach(() => {
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
  vi.useRealTimers();
});

const SETTINGS: DrainSettings = { timeMs: 30_000, code: 1012, spreads: true };

/** A tunnel that ends as soon as it is asked to. */
class Obedient {
  readonly rules: DrainRules;
  readonly asked: { readonly atMs: number; readonly reason: DrainReason; readonly timeoutMs: number }[] = [];
  #end: () => void = () => {};

  constructor(register: TunnelRegister<Obedient>, settings: DrainSettings | null = SETTINGS) {
    this.rules = { websocket_drain: settings, websocket_removal: "keep" };
    this.#end = register.add(this);
  }

  close(reason: DrainReason, code: number, timeoutMs: number): void {
    assert.equal(code, this.rules.websocket_drain?.code ?? 1012);
    this.asked.push({ atMs: performance.now(), reason, timeoutMs });
    this.#end();
  }

  destroy(): void {}

  shutdown(): void {
    this.close("shutdown", 1012, 0);
  }
}

function make(
  count: number,
  register: TunnelRegister<Obedient>,
  settings?: DrainSettings | null,
): Obedient[] {
  // Tunnels of one location have their settings in common.
  return Array.from({ length: count }, () => new Obedient(register, settings));
}

/** When each was asked, in milliseconds after `startMs`. */
function moments(tunnels: readonly Obedient[], startMs: number): number[] {
  return tunnels.map(({ asked }) => Math.round((asked[0]?.atMs ?? Number.NaN) - startMs));
}

describe("a drain", () => {
  test("asks thousands evenly over the time but for its end, and in no order that they know", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(5000, register);
    const startMs = performance.now();
    register.drainAll("drain");
    await vi.advanceTimersByTimeAsync(30_000);
    const asked = moments(tunnels, startMs);
    expect(Math.max(...asked)).toBeLessThanOrEqual(20_050);
    // 250 in each second of twenty: the slots see to it, chance has its say only within one.
    for (let second = 0; second < 20; second++) {
      const inSecond = asked.filter((ms) => Math.floor(ms / 1000) === second).length;
      expect(inSecond, `second ${second}`).toBeGreaterThan(235);
      expect(inSecond, `second ${second}`).toBeLessThan(265);
    }
    // The oldest half is not asked before the younger one.
    const early = asked.slice(0, 2500).filter((ms) => ms < 10_000).length;
    expect(early).toBeGreaterThan(1100);
    expect(early).toBeLessThan(1400);
  });

  test("leaves every tunnel the rest of the time for its handshake", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(50, register);
    const startMs = performance.now();
    register.drainAll("drain");
    await vi.advanceTimersByTimeAsync(30_000);
    for (const { asked } of tunnels) {
      const [{ atMs, timeoutMs } = { atMs: Number.NaN, timeoutMs: 0 }] = asked;
      expect(timeoutMs).toBeCloseTo(30_000 - (atMs - startMs), 0);
      expect(timeoutMs).toBeGreaterThan(9_900);
    }
  });

  test("asks all at once where it is not spread", () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(50, register, { ...SETTINGS, spreads: false });
    register.drainAll("drain");
    expect(tunnels.every(({ asked }) => asked.length === 1)).toBe(true);
  });

  test("goes by each tunnel's own time, and leaves alone what is not to be drained", async () => {
    const register = new TunnelRegister<Obedient>();
    const quick = make(20, register, { ...SETTINGS, timeMs: 300 });
    const slow = make(20, register, { ...SETTINGS, timeMs: 60_000 });
    const [stays] = make(1, register, null);
    const startMs = performance.now();
    register.drainAll("drain");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(Math.max(...moments(quick, startMs))).toBeLessThanOrEqual(250);
    expect(Math.max(...moments(slow, startMs))).toBeGreaterThan(47_400);
    expect(stays?.asked).toEqual([]);
    expect(register.size).toBe(1);
  });

  test("fits into a time that is given", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(20, register);
    const startMs = performance.now();
    register.drainAll("shutdown", 3000);
    await vi.advanceTimersByTimeAsync(3000);
    expect(Math.max(...moments(tunnels, startMs))).toBeLessThanOrEqual(2050);
    expect(tunnels[0]?.asked[0]).toMatchObject({ reason: "shutdown" });
  });

  test("does not wait for tunnels that have ended by themselves", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(20, register);
    register.drainAll("drain");
    const isEmpty = register.untilEmpty();
    for (const tunnel of tunnels) if (tunnel.asked.length === 0) tunnel.shutdown();
    expect(await isEmpty).toBe(true);
    expect(armedDeadlines()).toBe(0);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(tunnels.every(({ asked }) => asked.length === 1)).toBe(true);
  });

  test("of a few lets the others be", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(20, register);
    register.drain(tunnels.slice(0, 5), "drain");
    await vi.advanceTimersByTimeAsync(30_000);
    expect(register.size).toBe(15);
    expect(register.isRefusing).toBe(false);
    for (const tunnel of tunnels.slice(5)) tunnel.shutdown();
  });
});

describe("two drains", () => {
  test("ask a tunnel at the earlier of two moments, and no tunnel is forgotten", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(100, register);
    const startMs = performance.now();
    register.drain(tunnels.slice(0, 60), "drain");
    await vi.advanceTimersByTimeAsync(5000);
    register.drainAll("shutdown", 1500);
    await vi.advanceTimersByTimeAsync(1500);
    expect(register.size).toBe(0);
    expect(Math.max(...moments(tunnels, startMs))).toBeLessThanOrEqual(6100);
    expect(tunnels.every(({ asked }) => asked.length === 1)).toBe(true);
  });
});

describe("while all are drained", () => {
  test("a tunnel whose handshake was under way is asked as soon as it opens", () => {
    const register = new TunnelRegister<Obedient>();
    register.drainAll("drain");
    expect(register.isRefusing).toBe(true);
    const [late] = make(1, register);
    expect(late?.asked).toHaveLength(1);
  });

  test("a welcome ends that, but those who were to be asked still are", async () => {
    const register = new TunnelRegister<Obedient>();
    const tunnels = make(10, register);
    register.drainAll("drain");
    const isEmpty = register.untilEmpty();
    register.welcome();
    expect(await isEmpty).toBe(false);
    const [welcome] = make(1, register);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(tunnels.every(({ asked }) => asked.length === 1)).toBe(true);
    expect(welcome?.asked).toEqual([]);
  });
});

test("the end of everything asks each once, and forgets what a drain had in mind", async () => {
  const register = new TunnelRegister<Obedient>();
  const tunnels = make(10, register);
  register.drainAll("drain");
  await register.shutdownAll();
  await vi.advanceTimersByTimeAsync(30_000);
  expect(tunnels.every(({ asked }) => asked.length === 1)).toBe(true);
});
