/** `npm run soak -- --minutes 10`: the soak of test/soak.test.ts for as long as that; its short form is a test like any other. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "5" } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  console.error("usage: npm run soak -- [--minutes NUMBER]");
  process.exit(2);
}
const { status } = spawnSync("npx", ["vitest", "run", "test/soak.test.ts"], {
  stdio: "inherit",
  env: { ...process.env, WSGATE_SOAK_MINUTES: String(minutes) },
});
process.exitCode = status ?? 1;
