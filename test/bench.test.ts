import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clientMessage, FrameReader, payloadOf, serverMessage } from "../bench/load/frames.ts";
import { Histogram } from "../bench/load/histogram.ts";
import { cpuMicrosBetween, readCpu, readMemoryBytes } from "../bench/process-cost.ts";
import type { Report } from "../bench/report.ts";
import { requires } from "./rig/requires.ts";

const ROOT: string = fileURLToPath(new URL("..", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bench-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Programs in the test's folder are found before those of the machine. */
function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync("npm", ["run", "--silent", "bench", "--", ...args], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env["PATH"]}` },
  });
}

function benchReport(...args: string[]): Report {
  const file = join(folder, "figures.json");
  const { status, stderr } = bench("--quick", "--json", file, ...args);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return JSON.parse(readFileSync(file, "utf8"));
}

describe.skipIf(process.platform !== "linux")("npm run bench", { timeout: 60_000 }, () => {
  test("measures throughput and latency of the direct run, which has no proxy to charge", () => {
    const { results, notMeasured } = benchReport("--only", "ws-64-100", "--contenders", "direct");
    expect(results.map(({ scenario }) => scenario.name)).toEqual(["ws-64-100"]);
    expect(notMeasured).toEqual([]);
    const [direct, ...others] = results[0]?.figures ?? [];
    expect(others).toEqual([]);
    expect(direct?.failure).toBeUndefined();
    expect(direct?.rounds).toBeGreaterThan(0);
    expect(direct?.cost).toBeUndefined();
    expect(direct?.perSecond?.median).toBeGreaterThan(0);
    expect(direct?.p99Micros?.median).toBeGreaterThanOrEqual(direct?.p50Micros?.median ?? Infinity);
  });

  test("charges nginx for its processor time per round trip", (context) => {
    requires(context, "nginx");
    const { contenders, results } = benchReport("--only", "wss-64-100", "--contenders", "nginx");
    expect(contenders["nginx"]).toMatch(/^\d+\.\d+/);
    const figure = results[0]?.figures.find(({ contender }) => contender === "nginx");
    expect(figure?.failure).toBeUndefined();
    expect(figure?.cost?.min).toBeGreaterThan(0);
    expect(figure?.cost?.median).toBeGreaterThanOrEqual(figure?.cost?.min ?? Infinity);
    expect(figure?.cost?.max).toBeGreaterThanOrEqual(figure?.cost?.median ?? Infinity);
  });

  test("goes on without a contender that does not start, and gives its reason", () => {
    writeFileSync(
      join(folder, "nginx"),
      '#!/bin/sh\n[ "$1" = -v ] && echo nginx/9.9.9 && exit\necho "no, thanks" >&2\nexit 1\n',
      { mode: 0o755 },
    );
    const { contenders, notStarted, results } = benchReport("--only", "ws-64-100", "--contenders", "nginx");
    expect(contenders).toEqual({ nginx: "9.9.9" });
    expect(notStarted).toEqual({ nginx: "no, thanks" });
    expect(results[0]?.figures.map(({ contender }) => contender)).toEqual(["direct"]);
  });

  test("refuses the name of a scenario that does not exist, with the usage", () => {
    const { status, stderr } = bench("--only", "ws-65");
    expect(status).toBe(2);
    expect(stderr).toContain('nothing is called "ws-65"');
    expect(stderr).toContain("usage: npm run bench");
  });
});

describe("the frame reader of the load generator", () => {
  test("finds the same messages wherever the bytes are cut", () => {
    const sizes = [0, 1, 125, 126, 300, 65_536];
    for (const build of [clientMessage, serverMessage]) {
      const stream = Buffer.concat(sizes.map(build));
      for (const cut of [1, 2, 3, 7, 64, 1000, stream.length]) {
        const seen: number[] = [];
        const reader = new FrameReader({
          data: () => {},
          message: (size) => seen.push(size),
          control: () => seen.push(Number.NaN),
        });
        for (let at = 0; at < stream.length; at += cut) reader.read(stream.subarray(at, at + cut));
        expect(seen).toEqual(sizes);
      }
    }
  });

  test("shows each byte of a payload once and in its place", () => {
    const stream = serverMessage(1000);
    const copy = Buffer.alloc(1000);
    let shown = 0;
    const reader = new FrameReader({
      data: (chunk, start, end, offset) => {
        shown += chunk.copy(copy, offset, start, end);
      },
      message: () => {},
      control: () => {},
    });
    for (let at = 0; at < stream.length; at += 13) reader.read(stream.subarray(at, at + 13));
    expect(shown).toBe(1000);
    expect(copy.equals(payloadOf(1000))).toBe(true);
  });
});

test("a quantile is off by at most one part in sixty-four", () => {
  const histogram = new Histogram();
  for (let micros = 1; micros <= 100_000; micros++) histogram.add(micros);
  for (const q of [0.01, 0.5, 0.99]) {
    const exact = 100_000 * q;
    expect(Math.abs(histogram.quantileMicros(q) - exact)).toBeLessThanOrEqual(exact / 64);
  }
});

test.skipIf(process.platform !== "linux")("the cost of a process includes its children", async () => {
  // A shell whose child works while the shell itself waits.
  const shell = spawn("sh", ["-c", `"${process.execPath}" -e "${BUSY}"; true`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = new Promise((resolve) => shell.stdout.once("data", resolve));
  const ended = new Promise((resolve) => shell.once("exit", resolve));
  const pid = shell.pid ?? 0;
  const before = readCpu(pid);
  await said;
  expect(cpuMicrosBetween(before, readCpu(pid))).toBeGreaterThan(100_000);
  expect(readMemoryBytes(pid)).toBeGreaterThan(10_000_000);
  shell.stdout.destroy();
  await ended;
});

/** Uses 0.2 s of processor time, says so, and ends when nobody listens any more. */
const BUSY = `
  while (process.cpuUsage().user < 200000);
  process.stdout.on('error', () => process.exit());
  setInterval(() => process.stdout.write('.'), 10);
`.replaceAll("\n", " ");
