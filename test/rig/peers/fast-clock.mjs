// Preloaded into a gate (`--import`), lets its time run RIG_CLOCK_FACTOR times as fast, so that a test sees a timeout of
// minutes in seconds. Timers fire after the fraction of their delay, and every clock tells the time that they live in.
import { syncBuiltinESMExports } from "node:module";
import { Socket } from "node:net";
import timers from "node:timers";
import { promisify } from "node:util";

const factor = Number(process.env.RIG_CLOCK_FACTOR);

for (const name of ["setTimeout", "setInterval"]) {
  const original = timers[name];
  /** @type {typeof setTimeout} */
  const faster = (callback, delayMs, ...args) => original(callback, delayMs / factor, ...args);
  faster[promisify.custom] = original[promisify.custom];
  timers[name] = faster;
  globalThis[name] = faster;
}

const setSocketTimeout = Socket.prototype.setTimeout;
Socket.prototype.setTimeout = function setTimeout(delayMs, callback) {
  return setSocketTimeout.call(this, delayMs / factor, callback);
};

const monotonicMs = performance.now.bind(performance);
performance.now = () => monotonicMs() * factor;

const monotonicNs = process.hrtime.bigint.bind(process.hrtime);
process.hrtime.bigint = () => monotonicNs() * BigInt(factor);

const wallMs = Date.now;
const startMs = wallMs();
Date.now = () => startMs + (wallMs() - startMs) * factor;

syncBuiltinESMExports();
