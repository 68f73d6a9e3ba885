/** One row of the benchmark: a piece of work and what it may cost wsgate. */
import type { Work } from "./load/work.ts";

export interface Scenario {
  readonly name: string;
  readonly tls: boolean;
  readonly work: Work;
  /** What the cost is counted per. */
  readonly per: "round trip" | "request" | "handshake" | "idle tunnel";
  /** Whether `--quick` has it too. */
  readonly quick: boolean;
  /** The target, where there is one: wsgate may cost at most so many times what nginx costs. */
  readonly timesNginxMax: number | undefined;
  /** Takes minutes: only for who asks for it by its name. */
  readonly byNameAlone?: boolean;
}

export type Scheme = "ws" | "wss";

interface Row {
  readonly quick?: boolean;
  readonly timesNginxMax?: number;
}

const SIZE_NAMES: ReadonlyMap<number, string> = new Map([
  [1024, "1k"],
  [10 * 1024, "10k"],
  [16 * 1024, "16k"],
  [1024 * 1024, "1m"],
]);

function scenario(name: string, tls: boolean, per: Scenario["per"], work: Work, row: Row): Scenario {
  return { name, tls, per, work, quick: row.quick ?? false, timesNginxMax: row.timesNginxMax };
}

function sizeName(bytes: number): string {
  return SIZE_NAMES.get(bytes) ?? String(bytes);
}

export function echo(scheme: Scheme, messageBytes: number, tunnels: number, row: Row = {}): Scenario {
  const name = `${scheme}-${sizeName(messageBytes)}-${tunnels}`;
  return scenario(name, scheme === "wss", "round trip", { kind: "echo", tunnels, messageBytes }, row);
}

export function requests(bodyBytes: number, connections: number, row: Row = {}): Scenario {
  const work: Work = { kind: "requests", connections, bodyBytes };
  return scenario(`http-${sizeName(bodyBytes)}`, false, "request", work, row);
}

export function handshakes(scheme: Scheme, atOnce: number, row: Row = {}): Scenario {
  return scenario(`handshake-${scheme}`, scheme === "wss", "handshake", { kind: "handshakes", atOnce }, row);
}

export function idle(scheme: Scheme, tunnels: number, row: Row = {}): Scenario {
  return scenario(
    `memory-${scheme}`,
    scheme === "wss",
    "idle tunnel",
    { kind: "idle", tunnels, watchMs: 0 },
    row,
  );
}

/** As many tunnels as a process may have open files for, less a tenth that is opened before; 10,000 in all at most. */
const IDLE_TUNNELS = 9_000;
/** Two intervals of pings, and a little. */
const IDLE_WATCH_MS = 45_000;

/** Memory and processor time of thousands of tunnels that say nothing, for long enough that all are pinged. */
export function idleForLong(scheme: Scheme): Scenario {
  const work: Work = { kind: "idle", tunnels: IDLE_TUNNELS, watchMs: IDLE_WATCH_MS };
  return {
    ...scenario(`idle-${scheme}`, scheme === "wss", "idle tunnel", work, { timesNginxMax: 1 }),
    byNameAlone: true,
  };
}

/** The short form of such a scenario, for `--quick`. */
export function shortened(scenario: Scenario): Scenario {
  const { work } = scenario;
  if (work.kind !== "idle" || work.watchMs === 0) return scenario;
  return { ...scenario, work: { ...work, tunnels: work.tunnels / 10, watchMs: work.watchMs / 10 } };
}
