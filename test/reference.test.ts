import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { fileURLToPath } from "node:url";

test("the generated references say what the program does", () => {
  const script = fileURLToPath(new URL("../scripts/reference.mjs", import.meta.url));
  const run = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" });
  expect(run.stderr).toBe("");
  expect(run.status).toBe(0);
});
