/** What a process costs, as Linux counts it: processor time and memory, with all of its threads and descendants. */
import { readdirSync, readFileSync } from "node:fs";

/** Processor time used so far, by thread, in nanoseconds. */
export type CpuReading = ReadonlyMap<string, number>;

/** User and system time of every thread of `pid` and its descendants, from `schedstat`. */
export function readCpu(pid: number): CpuReading {
  const reading = new Map<string, number>();
  for (const member of processTree(pid)) {
    for (const thread of readdirSync(`/proc/${member}/task`)) {
      const schedstat = readFileSync(`/proc/${member}/task/${thread}/schedstat`, "latin1");
      reading.set(`${member}/${thread}`, Number.parseInt(schedstat, 10));
    }
  }
  return reading;
}

/** The processor time between two readings, in microseconds. Threads that ended in between count for nothing. */
export function cpuMicrosBetween(before: CpuReading, after: CpuReading): number {
  let nanos = 0;
  for (const [thread, used] of after) nanos += used - (before.get(thread) ?? 0);
  return nanos / 1000;
}

/** Memory held by `pid` and its descendants in bytes: the proportional set size, in which shared pages count once. */
export function readMemoryBytes(pid: number): number {
  let kilobytes = 0;
  for (const member of processTree(pid)) {
    const rollup = readFileSync(`/proc/${member}/smaps_rollup`, "latin1");
    kilobytes += Number(/^Pss: +(\d+) kB$/m.exec(rollup)?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

function processTree(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").split(" ").filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(processTree)];
}
