// Not the global one, which a test may have put its own clock in place of.
import { performance } from "node:perf_hooks";

/** How long the rig waits for anything before it gives up, in milliseconds; generous, since test machines are busy. */
export const DEADLINE_MS = 20_000;

/**
 * `promise`, or an error that says in words what was being waited for. `what` may be a function, so that the message
 * can show what had arrived by then.
 */
export async function within<T>(
  promise: Promise<T>,
  what: string | (() => string),
  limitMs: number = DEADLINE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(
        new Error(`the rig waited ${limitMs} ms in vain for ${typeof what === "string" ? what : what()}`),
      );
    }, limitMs);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** One turn of the event loop, so that what was written before travels on its own. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Resolves in the first turn of the event loop in which it is so, for what nothing tells of. By the clock, since a
 * thread or another process may have to wait for its turn much longer than many turns of an idle event loop take.
 */
export async function untilSo(what: string, isSo: () => boolean): Promise<void> {
  for (const startedMs = performance.now(); !isSo(); await nextTurn()) {
    if (performance.now() - startedMs > DEADLINE_MS)
      throw new Error(`the rig waited ${DEADLINE_MS} ms in vain for ${what}`);
  }
}
