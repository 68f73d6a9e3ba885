import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { fuzzSeed, Random } from "../../../test/rig/random.ts";
import { emitJavaScript } from "./emit.ts";
import { whyNotJavaScript } from "./exactness.ts";
import { parsePattern } from "./parse.ts";
import { riskOf } from "./risk.ts";

/**
 * What the analysis calls harmless must be so: random patterns of the kind that V8's linear engine does not take are run
 * on subjects made to annoy them, in a thread that can be stopped. RISK_SEED and RISK_PATTERNS
 * repeat and lengthen a run.
 */
const seed = fuzzSeed("RISK_SEED");
const patternCount = Number(process.env["RISK_PATTERNS"] ?? 1_000);
/** For one pattern with all of its subjects, which takes milliseconds. */
const limitMs = 5_000;

const subjects = ["a", "ab", "aab", "b", "aaaab"].map((unit) => `${unit.repeat(1_500 / unit.length)}!`);

test(`no pattern judged harmless keeps V8 busy (RISK_SEED=${seed})`, async () => {
  const random = new Random(seed);
  const jobs = Array.from({ length: patternCount }, () => jobFor(randomPattern(random))).filter(
    (job) => job !== undefined,
  );
  expect(jobs.length).toBeGreaterThan(patternCount / 20);
  expect(await stuckOn(jobs)).toBeUndefined();
});

test("a pattern that does would be named", async () => {
  const job = { pattern: "(a+)+$", source: "^(?!x)(a+)+$", subjects };
  expect(await stuckOn([job], 500)).toBe("(a+)+$");
});

type Job = { readonly pattern: string; readonly source: string; readonly subjects: readonly string[] };

function jobFor(pattern: string): Job | undefined {
  const { root, groupCount } = parsePattern(pattern, false);
  if (whyNotJavaScript(root) !== undefined) return undefined;
  const risk = riskOf(root);
  if (risk === "steep") return undefined;
  const { source } = emitJavaScript(root, groupCount);
  // Only short subjects come to V8 where the time may grow with the square.
  return {
    pattern,
    source,
    subjects: risk === "none" ? subjects : subjects.map((subject) => subject.slice(-128)),
  };
}

/** The pattern that took the thread longer than the limit; undefined if it came to the end. */
async function stuckOn(
  jobs: readonly Job[],
  limitPerPatternMs: number = limitMs,
): Promise<string | undefined> {
  let current: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
    for (const { pattern, source, subjects } of workerData) {
      parentPort.postMessage(pattern);
      for (const subject of subjects) new RegExp(source).exec(subject);
    }`,
    { eval: true, workerData: jobs },
  );
  // A thread that has not got going yet is busy with no pattern.
  worker.on("message", (pattern: string) => {
    current = pattern;
    clearTimeout(timer);
    timer = setTimeout(() => void worker.terminate(), limitPerPatternMs);
  });
  const code = await new Promise<number>((resolve, reject) => worker.on("exit", resolve).on("error", reject));
  clearTimeout(timer);
  return code === 0 ? undefined : current;
}

const atoms = "a a b [ab] . [^b] ab aa c".split(" ");
const openings = "(?: (?: ( (?= (?! (?>".split(" ");
const quantifiers = "* + ? {2} {3} {1,2} {0,5} {2,} {12} {1,20} *? +? ++ *+".split(" ");
const frames = ["^(?:#)$", "^(?!zz)(?:#)$", "(?:#)(?!z)$", "(?<!z)#"];

function randomPattern(random: Random): string {
  return random.pick(frames).replace("#", () => randomChoice(random, 3));
}

function randomChoice(random: Random, depth: number): string {
  const branchCount = random.below(3) === 0 ? 1 + random.below(3) : 1;
  return Array.from({ length: branchCount }, () => randomSequence(random, depth)).join("|");
}

function randomSequence(random: Random, depth: number): string {
  return Array.from({ length: 1 + random.below(4) }, () => randomItem(random, depth)).join("");
}

function randomItem(random: Random, depth: number): string {
  const isGroup = depth > 0 && random.below(2) === 0;
  const text = isGroup ? `${random.pick(openings)}${randomChoice(random, depth - 1)})` : random.pick(atoms);
  return random.below(3) === 0 ? text : text + random.pick(quantifiers);
}
