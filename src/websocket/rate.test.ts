import { expect, test } from "vitest";
import { TokenBucket } from "./rate.ts";

test("holds as much as its burst after any silence, and no more", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 5 }, 0);
  expect(bucket.available(0)).toBe(5);
  bucket.take(5);
  expect(bucket.available(0)).toBe(0);
  expect(bucket.available(3_600_000)).toBe(5);
});

test("fills by its rate, fractions included, however often it is looked at", () => {
  const bucket = new TokenBucket({ perSecond: 3, burst: 100 }, 0);
  bucket.take(100);
  let taken = 0;
  for (let nowMs = 0; nowMs <= 10_000; nowMs++) {
    const available = bucket.available(nowMs);
    bucket.take(available);
    taken += available;
  }
  expect(taken).toBe(30);
});

test("says how long a wait will be, and is right", () => {
  const bucket = new TokenBucket({ perSecond: 30 / 60, burst: 1 }, 1000);
  bucket.take(1);
  expect(bucket.waitMs(1, 1000)).toBe(2000);
  expect(bucket.available(2999)).toBe(0);
  expect(bucket.available(3000)).toBe(1);
});

test("who waits may come late by as much as a timer does, and loses nothing", () => {
  const bucket = new TokenBucket({ perSecond: 1000, burst: 1 }, 0);
  let taken = 1;
  bucket.take(1);
  for (let nowMs = 0; nowMs <= 3000; nowMs += 30) {
    for (; bucket.available(nowMs) > 0; taken++) bucket.take(1);
    bucket.waitMs(1, nowMs);
  }
  expect(taken).toBeGreaterThanOrEqual(3000);
  expect(taken).toBeLessThanOrEqual(3001);
});

test("nobody gathers tokens by waiting long: beyond the lateness of timers the burst is the limit", () => {
  const bucket = new TokenBucket({ perSecond: 1000, burst: 10 }, 0);
  bucket.take(10);
  bucket.waitMs(1, 0);
  expect(bucket.available(60_000)).toBe(51);
  bucket.take(51);
  expect(bucket.available(120_000)).toBe(10);
});
