import assert from "node:assert/strict";
import { afterEach, expect, test, vi } from "vitest";
import { SendDeadline } from "./send-deadline.ts";
import { armedDeadlines } from "./timers.ts";

afterEach(() => {
  vi.useRealTimers();
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

/** For how long `timeoutMs` after a last byte was taken, `takenAfterMs` after the wait began. */
async function timeToStall(timeoutMs: number, takenAfterMs: number): Promise<number> {
  const sink = { pendingBytes: 1000 };
  let stalledAtMs = Number.NaN;
  const deadline = new SendDeadline(sink, () => {
    stalledAtMs = performance.now();
  });
  deadline.arm(timeoutMs);
  await vi.advanceTimersByTimeAsync(takenAfterMs);
  const takenAtMs = performance.now();
  sink.pendingBytes--;
  await vi.advanceTimersByTimeAsync(timeoutMs * 2);
  expect(deadline.isArmed).toBe(false);
  return stalledAtMs - takenAtMs;
}

test.each([
  { timeoutMs: 1_000, intervalMs: 10 },
  { timeoutMs: 30_000, intervalMs: 100 },
  { timeoutMs: 60_000, intervalMs: 500 },
])(
  "a stall of $timeoutMs ms is never noticed early, and at most three looks at the clock late",
  async (each) => {
    const { timeoutMs, intervalMs } = each;
    for (const part of [0.01, 0.5, 0.99]) {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
      const took = await timeToStall(timeoutMs, timeoutMs * part);
      expect(took).toBeGreaterThanOrEqual(timeoutMs);
      expect(took).toBeLessThanOrEqual(timeoutMs + 3 * intervalMs);
      vi.useRealTimers();
    }
  },
);

test("what is written meanwhile is not taken for something that was taken, nor hides it", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
  const sink = { pendingBytes: 1000 };
  let stalls = 0;
  const deadline = new SendDeadline(sink, () => stalls++);
  deadline.arm(1_000);
  await vi.advanceTimersByTimeAsync(500);
  sink.pendingBytes = 9000;
  await vi.advanceTimersByTimeAsync(490);
  sink.pendingBytes = 8000;
  await vi.advanceTimersByTimeAsync(900);
  expect(stalls).toBe(0);
  sink.pendingBytes = 20_000;
  await vi.advanceTimersByTimeAsync(200);
  expect(stalls).toBe(1);
});
