/** Processes as a test looks at them from outside. */
import { fileURLToPath } from "node:url";
import { nextTurn, within } from "./deadline.ts";
import type { GrowingText } from "./log.ts";

/** The IDs of the workers that a gate has started, according to its log, and that are still there. */
export function workersOf({ stderr }: { readonly stderr: GrowingText }): readonly number[] {
  const started = [...stderr.text.matchAll(/start worker process (\d+)/g)].map(([, pid]) => Number(pid));
  return started.filter(isAlive);
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Waits until none of the processes is there any more. */
export async function untilGone(...pids: readonly number[]): Promise<void> {
  const gone = async (): Promise<void> => {
    while (pids.some(isAlive)) await nextTurn();
  };
  await within(gone(), `the end of ${pids.join(", ")}`);
}

/** Environment that loads a module of test/rig/peers into a gate and all of its processes before anything else. */
export function preloading(name: string): Readonly<Record<string, string>> {
  return { NODE_OPTIONS: `--import ${fileURLToPath(new URL(`./peers/${name}`, import.meta.url))}` };
}
