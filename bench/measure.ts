/** Measures one scenario: everybody in turn, several times over, medians. */
import type { Generator } from "./load/processes.ts";
import type { Sample, Session, Target, Work } from "./load/work.ts";
import { cpuMicrosBetween, readCpu, readMemoryBytes } from "./process-cost.ts";
import type { Scenario } from "./scenario.ts";

/** After the last answer a proxy may still have something to put away, which belongs to the round. */
const AFTERMATH_MS = 10;
const WARM_UP_TURNS_MAX = 5;
/** Above this a message keeps a proxy's loops turning by itself. */
const LARGE_MESSAGE_BYTES: number = 64 * 1024;
const MEMORY_POLL_MS = 250;
const MEMORY_POLLS_MAX = 12;
/** Memory has settled when it changes by less than this from one poll to the next. */
const MEMORY_SETTLED_BYTES: number = 128 * 1024;

export interface Pace {
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly roundMs: number;
}

/** Whoever is measured. The direct run has no process between client and backend. */
export interface Entrant {
  readonly name: string;
  readonly pid: number | undefined;
  /** What its tunnels are asked for as. */
  readonly protocol: string;
  readonly plainPort: number;
  readonly tlsPort: number;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Figure {
  readonly contender: string;
  /** How many rounds the figures come from. */
  readonly rounds: number;
  /** CPU microseconds per unit, or bytes per idle tunnel; absent for the direct run. */
  readonly cost?: Spread;
  /** Of idle tunnels: processor time as a share of one core. */
  readonly cpuShare?: number;
  readonly perSecond?: Spread;
  readonly p50Micros?: Spread;
  readonly p99Micros?: Spread;
  /** Why there are no figures. */
  readonly failure?: string;
}

interface Round {
  readonly sample: Sample;
  readonly costMicros: number | undefined;
}

/** One entrant on its way through a scenario. */
interface Course {
  readonly entrant: Entrant;
  readonly rounds: Round[];
  session?: Session;
  failure?: string;
}

/**
 * Opens the scenario's connections through every entrant, warms each up, then measures in turn: A B C A B C. Whoever fails
 * is left out of what follows and reported with the reason. After `deadlineMs` no further round begins, but there is always one.
 */
export async function measure(
  scenario: Scenario,
  entrants: readonly Entrant[],
  generator: Generator,
  pace: Pace,
  deadlineMs: number,
): Promise<Figure[]> {
  const courses = entrants.map((entrant): Course => ({ entrant, rounds: [] }));
  await each(courses, async (course) => {
    course.session = await generator.open(targetOf(scenario, course.entrant), scenario.work);
  });
  const warmUntilMs = (Date.now() + deadlineMs) / 2;
  await each(courses, (course) => warmUp(course, scenario.work, pace.warmUpMs, warmUntilMs));
  for (let round = 0; round < pace.rounds && (round === 0 || Date.now() < deadlineMs); round++) {
    await each(courses, (course) => runRound(course, pace.roundMs));
  }
  await each(courses, ({ session }) => session?.close());
  return courses.map(figureOf);
}

async function each(
  courses: readonly Course[],
  step: (course: Course) => Promise<unknown> | undefined,
): Promise<void> {
  for (const course of courses) {
    if (course.failure !== undefined) continue;
    try {
      await step(course);
    } catch (reason) {
      course.failure = messageOf(reason);
    }
  }
}

/**
 * Runs until the code in question has been compiled for good, which takes a number of calls rather than a time; on a busy
 * machine that may be long.
 */
async function warmUp({ session }: Course, work: Work, turnMs: number, deadlineMs: number): Promise<void> {
  let units = 0;
  for (let turn = 0; turn < WARM_UP_TURNS_MAX && (turn === 0 || Date.now() < deadlineMs); turn++) {
    units += (await session?.run(turnMs))?.units ?? 0;
    if (units >= warmUpUnits(work)) return;
  }
}

function warmUpUnits(work: Work): number {
  if (work.kind === "handshakes") return 1_000;
  return work.kind === "echo" && work.messageBytes > LARGE_MESSAGE_BYTES ? 0 : 5_000;
}

async function runRound({ entrant, session, rounds }: Course, roundMs: number): Promise<void> {
  if (session === undefined) return;
  const before = entrant.pid === undefined ? undefined : readCpu(entrant.pid);
  const sample = await session.run(roundMs);
  if (entrant.pid === undefined || before === undefined) {
    rounds.push({ sample, costMicros: undefined });
    return;
  }
  await pause(AFTERMATH_MS);
  rounds.push({ sample, costMicros: cpuMicrosBetween(before, readCpu(entrant.pid)) / sample.units });
}

function figureOf({ entrant, rounds, failure }: Course): Figure {
  if (failure !== undefined || rounds.length === 0) {
    return { contender: entrant.name, rounds: rounds.length, failure: failure ?? "nothing was measured" };
  }
  const costs = rounds.flatMap((round) => round.costMicros ?? []);
  return {
    contender: entrant.name,
    rounds: rounds.length,
    ...(costs.length > 0 && { cost: spreadOf(costs) }),
    perSecond: spreadOf(rounds.map(({ sample }) => sample.units / sample.seconds)),
    p50Micros: spreadOf(rounds.map(({ sample }) => sample.p50Micros)),
    p99Micros: spreadOf(rounds.map(({ sample }) => sample.p99Micros)),
  };
}

/**
 * What an idle tunnel weighs in a process that has just been started. A tenth of the tunnels is opened first, so that what
 * the first ones bring about (pools, compiled code, a grown heap) is not counted.
 */
export async function measureMemory(
  scenario: Scenario,
  entrant: Entrant,
  generator: Generator,
): Promise<Figure> {
  if (entrant.pid === undefined || scenario.work.kind !== "idle")
    return { contender: entrant.name, rounds: 0 };
  const target = targetOf(scenario, entrant);
  try {
    const { tunnels, watchMs } = scenario.work;
    const first: Work = { kind: "idle", tunnels: Math.ceil(tunnels / 10), watchMs };
    const sessions = [await generator.open(target, first)];
    const before = await settledMemoryBytes(entrant.pid);
    sessions.push(await generator.open(target, scenario.work));
    await settledMemoryBytes(entrant.pid);
    const cpuShare = await cpuShareOf(entrant.pid, watchMs);
    const after = await settledMemoryBytes(entrant.pid);
    for (const session of sessions) await session.close();
    const cost = spreadOf([(after - before) / tunnels]);
    return { contender: entrant.name, rounds: 1, cost, ...(cpuShare === null ? {} : { cpuShare }) };
  } catch (reason) {
    return { contender: entrant.name, rounds: 0, failure: messageOf(reason) };
  }
}

/** Null where nobody watches. */
async function cpuShareOf(pid: number, watchMs: number): Promise<number | null> {
  if (watchMs === 0) return null;
  const before = readCpu(pid);
  await pause(watchMs);
  return cpuMicrosBetween(before, readCpu(pid)) / (watchMs * 1000);
}

async function settledMemoryBytes(pid: number): Promise<number> {
  let last = readMemoryBytes(pid);
  for (let poll = 0; poll < MEMORY_POLLS_MAX; poll++) {
    await pause(MEMORY_POLL_MS);
    const now = readMemoryBytes(pid);
    if (Math.abs(now - last) < MEMORY_SETTLED_BYTES) return now;
    last = now;
  }
  return last;
}

function targetOf({ tls }: Scenario, { protocol, plainPort, tlsPort }: Entrant): Target {
  return { port: tls ? tlsPort : plainPort, tls, protocol };
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? 0;
  const lower = sorted[(sorted.length - 1) >> 1] ?? 0;
  return { median: (upper + lower) / 2, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 };
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
