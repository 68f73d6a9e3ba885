import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runsInLinearTime } from "./regexp-guard.ts";

/** As the program runs it: built, in a process of its own. */
const guard = new URL("../../dist/base/regexp-guard.js", import.meta.url).href;

const catastrophic = ["^(a+)+$", "^(?:a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(?:x+x+)+y"];

function match(patterns: readonly string[], imports: string): { ended: boolean; output: string } {
  const script = `${imports}
    for (const pattern of ${JSON.stringify(patterns)}) {
      const found = new RegExp(pattern).test("a".repeat(8_000) + "!" + "x".repeat(8_000));
      process.stdout.write(String(found) + " ");
    }`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    encoding: "utf8",
    timeout: 5_000,
    killSignal: "SIGKILL",
  });
  return { ended: run.signal === null, output: run.stdout.trim() + run.stderr };
}

test("catastrophic patterns come to an end where the guard is imported", () => {
  const { ended, output } = match(catastrophic, `import ${JSON.stringify(guard)};`);
  expect({ ended, output }).toEqual({ ended: true, output: "false false true false false" });
});

test("and do not where it is not", () => {
  expect(match(["^(a+)+$"], "").ended).toBe(false);
});

test("says of a pattern whether V8 covers it", () => {
  expect(["^(a+)+\\n?$", "(?:a|b){2,8}", "[^]*"].map(runsInLinearTime)).toEqual([true, true, true]);
  expect(["(?=a)b", "(a)\\1", "a{1,100}"].map(runsInLinearTime)).toEqual([false, false, false]);
});
