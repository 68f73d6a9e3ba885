/** `npm run bench`: the scenarios, the contenders, and the loop over both. */
import { fileURLToPath } from "node:url";
import { type Contender, WEBSOCKET } from "./contenders/contender.ts";
import { haproxy } from "./contenders/haproxy.ts";
import { httpProxy3 } from "./contenders/http-proxy-3.ts";
import { nginx } from "./contenders/nginx.ts";
import { wsgate, wsgatePipe } from "./contenders/wsgate.ts";
import { type Entrant, type Figure, measure, measureMemory, type Pace } from "./measure.ts";
import { isChosen, type Options, parseOptions, USAGE } from "./options.ts";
import { header, machineLine, type Result, summary, table, verdictOn, writeReport } from "./report.ts";
import { echo, handshakes, idle, idleForLong, requests, type Scenario, shortened } from "./scenario.ts";
import { openStage, type Stage } from "./stage.ts";

const CONTENDERS: readonly Contender[] = [nginx, haproxy, wsgate, wsgatePipe, httpProxy3];

const KIB = 1024;
const MIB: number = 1024 * 1024;

/** In order of importance: what the time does not suffice for stands last. */
const SCENARIOS: readonly Scenario[] = [
  echo("ws", 64, 100, { timesNginxMax: 2, quick: true }),
  echo("ws", KIB, 100),
  echo("ws", 16 * KIB, 100, { timesNginxMax: 1, quick: true }),
  echo("ws", MIB, 100, { timesNginxMax: 1 }),

  echo("wss", 64, 100, { timesNginxMax: 2, quick: true }),
  echo("wss", KIB, 100),
  echo("wss", 16 * KIB, 100, { timesNginxMax: 1, quick: true }),
  echo("wss", MIB, 100, { timesNginxMax: 1 }),

  requests(100, 64, { timesNginxMax: 2, quick: true }),
  requests(10 * KIB, 64, { timesNginxMax: 2 }),

  handshakes("ws", 32, { quick: true }),
  handshakes("wss", 32),

  idle("ws", 2000),
  idle("wss", 2000),
  idleForLong("ws"),
  idleForLong("wss"),

  echo("ws", 64, 1000, { timesNginxMax: 2 }),
  echo("ws", KIB, 1000),
  echo("ws", 16 * KIB, 1000, { timesNginxMax: 1 }),
  echo("ws", MIB, 1000, { timesNginxMax: 1 }),

  echo("wss", 64, 1000, { timesNginxMax: 2 }),
  echo("wss", KIB, 1000),
  echo("wss", 16 * KIB, 1000, { timesNginxMax: 1 }),
  echo("wss", MIB, 1000, { timesNginxMax: 1 }),
];

const PACE: Pace = { rounds: 5, warmUpMs: 400, roundMs: 400 };
const QUICK_PACE: Pace = { rounds: 3, warmUpMs: 300, roundMs: 300 };
const TIME_MS_MAX = 315_000;
const QUICK_TIME_MS_MAX = 48_000;

const DEFAULT_JSON_FILE: string = fileURLToPath(new URL("../../bench/results/latest.json", import.meta.url));

async function main(options: Options): Promise<void> {
  const startedAt = new Date();
  const pace = options.quick ? QUICK_PACE : PACE;
  const endMs = startedAt.getTime() + (options.quick ? QUICK_TIME_MS_MAX : TIME_MS_MAX);
  const scenarios = options.quick ? chosenScenarios(options).map(shortened) : chosenScenarios(options);
  const contenders = CONTENDERS.filter(({ name }) =>
    isChosen(options.contenders, (chosen) => chosen === name),
  );
  const versions = new Map(contenders.map((contender) => [contender.name, contender.version() ?? null]));
  const present = contenders.filter(({ name }) => versions.get(name) !== null);
  console.log(header(Object.fromEntries(versions)));

  const stage = await openStage();
  const { entrants, notStarted } = await startAll(present, stage);
  const results: Result[] = [];
  const notMeasured: string[] = [];
  for (const [index, scenario] of scenarios.entries()) {
    // Each may use its share of what is left, so that a slow machine means fewer rounds and not fewer scenarios.
    const nowMs = Date.now();
    if (nowMs > endMs) {
      notMeasured.push(scenario.name);
      continue;
    }
    const deadlineMs = nowMs + (endMs - nowMs) / (scenarios.length - index);
    const figures =
      scenario.work.kind === "idle"
        ? await memoryOfEach(scenario, present, stage)
        : await measure(
            scenario,
            entrants.filter((entrant) => takesPart(entrant, scenario)),
            stage.generator,
            pace,
            deadlineMs,
          );
    const result = { scenario, figures, target: verdictOn(scenario, figures) };
    results.push(result);
    console.log(table(result));
  }
  await stage.close();

  console.log(summary(results));
  if (notMeasured.length > 0) console.log(`not measured, the time is up: ${notMeasured.join(", ")}`);
  const seconds = (Date.now() - startedAt.getTime()) / 1000;
  writeReport(options.jsonFile, {
    startedAt: startedAt.toISOString(),
    seconds,
    machine: machineLine(),
    pace,
    contenders: Object.fromEntries(versions),
    notStarted,
    results,
    notMeasured,
  });
  console.log(`${seconds.toFixed(0)} s; figures written to ${options.jsonFile}`);
}

/** Who is there for tunnels of another protocol has no part in requests. */
function takesPart({ protocol }: Entrant, { work }: Scenario): boolean {
  return protocol === WEBSOCKET || work.kind === "echo" || work.kind === "idle";
}

function chosenScenarios({ quick, only }: Options): Scenario[] {
  return SCENARIOS.filter((scenario) => {
    const named = isChosen(only, (words) => `${scenario.name}-`.startsWith(`${words}-`));
    if (only.length > 0) return named;
    return scenario.byNameAlone !== true && (scenario.quick || !quick);
  });
}

/** One process each, which serves all scenarios; and the reasons of those that do not start. */
async function startAll(
  contenders: readonly Contender[],
  stage: Stage,
): Promise<{ entrants: Entrant[]; notStarted: Record<string, string> }> {
  const entrants: Entrant[] = [stage.direct];
  const notStarted: Record<string, string> = {};
  for (const contender of contenders) {
    const entrant = await stage.start(contender);
    if ("failure" in entrant) {
      notStarted[contender.name] = entrant.failure;
      console.log(`${contender.name} does not start:\n${entrant.failure}\n`);
    } else {
      entrants.push(entrant);
    }
  }
  return { entrants, notStarted };
}

/** Memory is measured in fresh processes, one after the other. */
async function memoryOfEach(
  scenario: Scenario,
  contenders: readonly Contender[],
  stage: Stage,
): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const contender of contenders) {
    const entrant = await stage.start(contender);
    if ("failure" in entrant) continue;
    figures.push(await measureMemory(scenario, entrant, stage.generator));
    await entrant.stop();
  }
  return figures;
}

/** The first name on the command line that stands for nothing. */
function unknownName({ only, contenders }: Options): string | undefined {
  const known = new Set(["direct", ...CONTENDERS.map(({ name }) => name)]);
  return (
    contenders.find((name) => !known.has(name)) ??
    only.find((words) => !SCENARIOS.some(({ name }) => `${name}-`.startsWith(`${words}-`)))
  );
}

function refuse(message: string): void {
  console.error(`bench: ${message}\n\n${USAGE}`);
  process.exitCode = 2;
}

process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
const options = parseOptions(process.argv.slice(2), DEFAULT_JSON_FILE);
const unknown = "error" in options ? undefined : unknownName(options);
if ("error" in options) refuse(options.error);
else if (options.help) console.log(USAGE);
else if (unknown !== undefined) refuse(`nothing is called "${unknown}" here`);
else if (process.platform !== "linux") refuse("CPU time is read from Linux's /proc, which is not here");
else await main(options);
