/** The figures as a person reads them and as a program does. */
import { mkdirSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import { dirname } from "node:path";
import type { Figure, Pace, Spread } from "./measure.ts";
import type { Scenario } from "./scenario.ts";

const REFERENCE = "nginx";
const PEER = "http-proxy-3";
const OURS = "wsgate";

export interface Result {
  readonly scenario: Scenario;
  readonly figures: readonly Figure[];
  readonly target: Verdict | null;
}

/** What `--json` writes. */
export interface Report {
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: string;
  readonly pace: Pace;
  /** Versions by name; null for those that are not installed. */
  readonly contenders: Readonly<Record<string, string | null>>;
  /** Why those that are installed and yet took no part did not start, by name. */
  readonly notStarted: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
  /** Names of scenarios that the time did not suffice for. */
  readonly notMeasured: readonly string[];
}

/** What came of a target. */
export interface Verdict {
  readonly timesNginxMax: number;
  readonly timesNginx: number;
  readonly met: boolean;
}

export function machineLine(): string {
  const cpus = os.cpus();
  return `${cpus.length} × ${cpus[0]?.model.trim() ?? "unknown CPU"}, Linux ${os.release()}, Node ${process.versions.node}`;
}

export function header(contenders: Report["contenders"]): string {
  const present = Object.entries(contenders).flatMap(([name, version]) =>
    version ? `${name} ${version}` : [],
  );
  const missing = Object.entries(contenders).flatMap(([name, version]) => (version ? [] : name));
  return `wsgate benchmark: ${machineLine()}
contenders: ${present.join(", ") || "none"}${missing.length > 0 ? `\nmissing:    ${missing.join(", ")}` : ""}

CPU is user and system time of the proxy's own processes and threads, per unit of work; "×nginx" compares it with nginx in
the same run. ± is half the distance between the best and the worst round, "?" where there was one alone. "direct" has no
proxy: it is the floor of latency and the ceiling of this load generator.

What these figures do not mean: they are no promise of throughput. Generator, backend and proxy share this machine's cores
and its loopback device, so messages per second and latency tell as much about the generator as about the proxy; a faster
one keeps a proxy busier, which makes each unit cheaper. Loopback charges the sender for the kernel's work on the receiving
side. Other programs running here disturb all columns, the ratios least. bench/README.md has more.
`;
}

/** One scenario as a table, a contender to a line. */
export function table({ scenario, figures, target }: Result): string {
  const memory = scenario.per === "idle tunnel";
  const title = memory
    ? `${scenario.name}: memory per idle tunnel`
    : `${scenario.name}: CPU per ${scenario.per}`;
  const heads = memory
    ? ["", "kB", "×nginx", `×${PEER}`, "CPU %"]
    : ["", "CPU µs", "±", "×nginx", `×${PEER}`, "per second", "p50 µs", "p99 µs"];
  const lines = figures.map((figure) => {
    const ratios = [REFERENCE, PEER].map((name) => ratioText(figure, figures, name));
    if (figure.failure !== undefined) return [figure.contender, `failed: ${figure.failure}`];
    if (memory) {
      const share = figure.cpuShare === undefined ? "" : (figure.cpuShare * 100).toFixed(1);
      return [figure.contender, fixed(figure.cost, 1, 1 / 1024), ...ratios, share];
    }
    return [
      figure.contender,
      fixed(figure.cost, 1),
      spreadText(figure),
      ...ratios,
      fixed(figure.perSecond, 0),
      fixed(figure.p50Micros, 0),
      fixed(figure.p99Micros, 0),
    ];
  });
  const widths = heads.map((head) => Math.max(8, head.length));
  widths[0] = Math.max(13, ...figures.map((figure) => figure.contender.length));
  const rows = [heads, ...lines].map((cells) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  return `${title}\n${rows.map((row) => `  ${row}`).join("\n")}\n${target === null ? "" : `  ${verdictText(target)}\n`}`;
}

/** Whether wsgate keeps this scenario's target; null when there is none or either figure is missing. */
export function verdictOn(scenario: Scenario, figures: readonly Figure[]): Verdict | null {
  const ours = figures.find((figure) => figure.contender === OURS);
  const timesNginx = ours && ratio(ours, figures, REFERENCE);
  if (scenario.timesNginxMax === undefined || timesNginx === undefined) return null;
  return { timesNginxMax: scenario.timesNginxMax, timesNginx, met: timesNginx <= scenario.timesNginxMax };
}

/** The targets and what came of them, in one line each. */
export function summary(results: readonly Result[]): string {
  const verdicts = results.flatMap(({ scenario, target }) =>
    target === null ? [] : `  ${scenario.name.padEnd(14)} ${verdictText(target)}`,
  );
  if (verdicts.length === 0) return "";
  return `targets\n${verdicts.join("\n")}\n`;
}

export function writeReport(file: string, report: Report): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
}

function verdictText({ met, timesNginx, timesNginxMax }: Verdict): string {
  return `${met ? "target met:   " : "TARGET MISSED:"} ${OURS} at ${timesNginx.toFixed(2)} × nginx, at most ${timesNginxMax} wanted`;
}

function ratio(figure: Figure, figures: readonly Figure[], to: string): number | undefined {
  const other = figures.find((candidate) => candidate.contender === to);
  if (figure.cost === undefined || other?.cost === undefined || other.cost.median <= 0) return undefined;
  return figure.cost.median / other.cost.median;
}

function ratioText(figure: Figure, figures: readonly Figure[], to: string): string {
  return ratio(figure, figures, to)?.toFixed(2) ?? "";
}

/** One round has no spread, and must not look as if it were exact. */
function spreadText({ cost, rounds }: Figure): string {
  if (cost === undefined) return "";
  return rounds < 2 ? "?" : `${(((cost.max - cost.min) / 2 / cost.median) * 100).toFixed(0)} %`;
}

function fixed(spread: Spread | undefined, digits: number, factor = 1): string {
  if (spread === undefined) return "";
  const value = spread.median * factor;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
