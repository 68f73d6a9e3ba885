/** The loop that times a function: batches of a few milliseconds, the median batch, nanoseconds per call. */

const BATCH_MS = 5;
const BATCHES = 60;
const WARM_UP_MS = 150;

export interface HotFunction {
  readonly name: string;
  /** One call. What it returns is kept, so that it cannot be optimized away. */
  readonly run: () => unknown;
}

export interface Timing {
  readonly medianNanos: number;
  readonly minNanos: number;
  /** Half the distance between the quartiles, as a fraction of the median. */
  readonly spread: number;
}

/** Keeps what was computed last, so that the compiler may not conclude that nobody wants it. */
export let sink: unknown;

export function time(run: () => unknown): Timing {
  const warmUntilMs = performance.now() + WARM_UP_MS;
  let calls = 1;
  while (performance.now() < warmUntilMs) {
    const tookMs = batchMs(run, calls);
    if (tookMs < BATCH_MS)
      calls = Math.ceil(Math.min(calls * 2, (calls * BATCH_MS) / Math.max(tookMs, 0.001)));
  }
  const nanos = Array.from({ length: BATCHES }, () => (batchMs(run, calls) * 1e6) / calls).sort(
    (a, b) => a - b,
  );
  const at = (q: number): number => nanos[Math.floor(q * (nanos.length - 1))] ?? 0;
  return {
    medianNanos: at(0.5),
    minNanos: at(0),
    spread: (at(0.75) - at(0.25)) / 2 / at(0.5),
  };
}

function batchMs(run: () => unknown, calls: number): number {
  const startedAtMs = performance.now();
  for (let i = 0; i < calls; i++) sink = run();
  return performance.now() - startedAtMs;
}
