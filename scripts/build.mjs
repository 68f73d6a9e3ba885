// Builds dist/ from src/ with the TypeScript compiler, and only when a source is newer than the last build.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const stamp = join(dist, ".built");

/** @param {string} folder */
function newestMtimeMs(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile())
      newest = Math.max(newest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs);
  }
  return newest;
}

const sources = Math.max(
  newestMtimeMs(join(root, "src")),
  statSync(join(root, "tsconfig.json")).mtimeMs,
  statSync(join(root, "tsconfig.build.json")).mtimeMs,
);
if (existsSync(stamp) && statSync(stamp).mtimeMs > sources && !process.argv.includes("--force"))
  process.exit(0);

rmSync(dist, { recursive: true, force: true });
const compiler = createRequire(import.meta.url).resolve("typescript/package.json");
const run = spawnSync(
  process.execPath,
  [join(dirname(compiler), "bin", "tsc"), "-p", join(root, "tsconfig.build.json")],
  { stdio: "inherit" },
);
if (run.status !== 0) {
  console.error("wsgate: the build failed; dist/ is incomplete");
  process.exit(run.status ?? 1);
}
writeFileSync(stamp, "");
