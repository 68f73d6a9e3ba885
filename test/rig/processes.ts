/** Processes as a test looks at them from outside. */
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
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

/** Environment that loads modules of test/rig/peers into a gate and all of its processes before anything else. */
export function preloading(...names: readonly string[]): Readonly<Record<string, string>> {
  const paths = names.map((name) => fileURLToPath(new URL(`./peers/${name}`, import.meta.url)));
  return { NODE_OPTIONS: paths.map((path) => `--import ${path}`).join(" ") };
}

/** Memory of a process that is in RAM (Linux). */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

/** Waits until a process has had nothing to do for a tenth of a second (Linux). */
export async function untilIdle(pid: number): Promise<void> {
  const idle = async (): Promise<void> => {
    for (let before = -1; ; ) {
      const ticks = cpuTicks(pid);
      if (ticks === before) return;
      before = ticks;
      await setTimeout(100);
    }
  };
  await within(idle(), `process ${pid} to be idle`);
}

function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
