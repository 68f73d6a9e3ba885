import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test, vi } from "vitest";
import { armedDeadlines, Deadline } from "./timers.ts";

afterEach(() => {
  vi.useRealTimers();
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

/** Arms a deadline and resolves with the milliseconds until it was called. */
function timeToCall(deadline: Deadline, timeoutMs: number): Promise<number> {
  const startMs = performance.now();
  return new Promise((resolve) => deadline.arm(timeoutMs, () => resolve(performance.now() - startMs)));
}

function blockFor(durationMs: number): void {
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs);
}

test("is never early, and at most three looks at the clock late", async () => {
  for (const { intervalMs, timeoutsMs } of [
    { intervalMs: 10, timeoutsMs: [1, 9, 10, 11, 25, 100, 3_999] },
    { intervalMs: 100, timeoutsMs: [4_000, 4_001, 39_999] },
    { intervalMs: 500, timeoutsMs: [40_000, 60_000] },
  ]) {
    for (const timeoutMs of timeoutsMs) {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
      const elapsed = timeToCall(new Deadline(), timeoutMs);
      await vi.advanceTimersByTimeAsync(timeoutMs + 3 * intervalMs);
      expect(armedDeadlines(), `${timeoutMs} ms`).toBe(0);
      expect(await elapsed).toBeGreaterThanOrEqual(timeoutMs);
      vi.useRealTimers();
    }
  }
});

test("a timeout much longer than a turn of its wheel is called after hours, not after a turn", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
  const elapsed = timeToCall(new Deadline(), 3_600_000);
  await vi.advanceTimersByTimeAsync(3_600_000 - 1);
  expect(armedDeadlines()).toBe(1);
  await vi.advanceTimersByTimeAsync(1_501);
  expect(await elapsed).toBeGreaterThanOrEqual(3_600_000);
});

test("counts from the last touch, not from the arming", async () => {
  const deadline = new Deadline();
  const startMs = performance.now();
  let touchedMs = 0;
  const touching = setInterval(() => {
    deadline.touch();
    touchedMs = performance.now();
    if (touchedMs - startMs > 250) clearInterval(touching);
  }, 20);
  const elapsedMs = await timeToCall(deadline, 100);
  expect(elapsedMs).toBeGreaterThanOrEqual(350);
  expect(startMs + elapsedMs - touchedMs).toBeGreaterThanOrEqual(100);
});

test("what had arrived while the process was blocked is read before anything is called due", async () => {
  const deadline = new Deadline();
  const server = createServer((socket) => socket.on("data", () => deadline.touch()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address !== "string");
  const client = connect({ port: address.port, host: "127.0.0.1" });
  await Promise.all([once(client, "connect"), once(server, "connection")]);
  let isCalled = false;
  deadline.arm(60, () => {
    isCalled = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.write("still there");
  blockFor(150);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(isCalled).toBe(false);
  expect(deadline.isArmed).toBe(true);
  deadline.disarm();
  client.destroy();
  server.close();
});

test("a disarmed deadline is not called, a touch does not arm it, and arming again replaces the timeout", async () => {
  const deadline = new Deadline();
  const calls: string[] = [];
  deadline.arm(10, () => calls.push("disarmed"));
  deadline.disarm();
  deadline.touch();
  expect(deadline.isArmed).toBe(false);
  deadline.arm(10, () => calls.push("replaced"));
  deadline.arm(60_000, () => calls.push("long"));
  const elapsedMs = await timeToCall(deadline, 40);
  expect(elapsedMs).toBeGreaterThanOrEqual(40);
  expect(calls).toEqual([]);
});

test("a callback may arm its own deadline and disarm one that is due in the same moment", async () => {
  const [first, second, third] = [new Deadline(), new Deadline(), new Deadline()];
  const calls: string[] = [];
  await new Promise<void>((resolve) => {
    first.arm(20, () => {
      calls.push("first");
      second.disarm();
      first.arm(20, () => {
        calls.push("first again");
        resolve();
      });
    });
    second.arm(20, () => calls.push("second"));
    third.arm(20, () => calls.push("third"));
  });
  expect(calls).toEqual(["first", "third", "first again"]);
});

test("ten thousand deadlines of mixed timeouts all come, none early", async () => {
  const early: number[] = [];
  const startMs = performance.now();
  await new Promise<void>((resolve) => {
    let left = 10_000;
    for (let i = 0; i < 10_000; i++) {
      const timeoutMs = 1 + ((i * 7919) % 300);
      new Deadline().arm(timeoutMs, () => {
        if (performance.now() - startMs < timeoutMs) early.push(timeoutMs);
        if (--left === 0) resolve();
      });
    }
    expect(armedDeadlines()).toBe(10_000);
  });
  expect(early).toEqual([]);
});

test("a process ends when nothing is armed any more, without waiting for a timer", () => {
  const module = fileURLToPath(new URL("../../dist/base/timers.js", import.meta.url));
  const script = `
    const { Deadline } = await import(${JSON.stringify(module)});
    const deadline = new Deadline();
    deadline.arm(60_000, () => console.log("called"));
    deadline.disarm();
    new Deadline().arm(30, () => console.log("short"));
    process.on("exit", () => console.log("ended"));
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 10_000 });
  expect(output.toString()).toBe("short\nended\n");
});
