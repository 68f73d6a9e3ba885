// Builds dist/ from src/ with the TypeScript compiler, and only when a source is newer than the last build.
//
// A proxy may be running from dist/, and read a file of it in any moment: to start a worker, or to answer a subcommand.
// So the compiler writes into a folder beside it, from which each file takes its predecessor's place by a rename, and what
// has no source any more is removed last. A build that fails leaves dist/ as it was.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");
const fresh = `${dist}.new-${process.pid}`;
/** Its time is that of the build's beginning: what has changed since may not be in it. */
const STAMP = ".built";
const startedMs = Date.now();

/**
 * Paths of everything below a folder, relative to it.
 * @param {string} folder
 * @param {(entry: import("node:fs").Dirent) => boolean} predicate
 */
function below(folder, predicate) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(predicate)
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)));
}

/** @param {string} folder */
function filesBelow(folder) {
  return below(folder, (entry) => entry.isFile());
}

/** When the last build began that dist/ is of, in milliseconds; 0 where there is none. */
function builtMs() {
  return statSync(join(dist, STAMP), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What builds have left that were killed, one that had the ID of this process among them. */
function removeLeftovers() {
  for (const name of readdirSync(root)) {
    const pid = Number(/^dist\.new-(\d+)$/.exec(name)?.[1]);
    if (pid === process.pid || (pid > 0 && !isAlive(pid)))
      rmSync(join(root, name), { recursive: true, force: true });
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function compile() {
  const compiler = createRequire(import.meta.url).resolve("typescript/package.json");
  const tsc = join(dirname(compiler), "bin", "tsc");
  const project = join(root, "tsconfig.build.json");
  const { status } = spawnSync(process.execPath, [tsc, "-p", project, "--outDir", fresh], {
    stdio: "inherit",
  });
  return status ?? 1;
}

/** Puts the fresh files in the place of those in dist/. */
function publish() {
  const files = filesBelow(fresh);
  for (const file of files) {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    renameSync(join(fresh, file), join(dist, file));
  }
  const present = new Set([...files, STAMP]);
  for (const file of filesBelow(dist)) if (!present.has(file)) rmSync(join(dist, file), { force: true });
  writeFileSync(join(dist, STAMP), "");
  utimesSync(join(dist, STAMP), startedMs / 1000, startedMs / 1000);
}

// Of folders, too: a file that was removed has no time of its own any more.
const inputs = [
  "tsconfig.json",
  "tsconfig.build.json",
  "src",
  ...below(join(root, "src"), () => true).map((path) => join("src", path)),
];
const sources = Math.max(...inputs.map((path) => statSync(join(root, path)).mtimeMs));
if (builtMs() <= sources || process.argv.includes("--force")) {
  removeLeftovers();
  const status = compile();
  // Another build that began later than this one knows better.
  if (status === 0 && builtMs() <= startedMs) publish();
  rmSync(fresh, { recursive: true, force: true });
  if (status !== 0) console.error("wsgate: the build failed; dist/ is as it was before");
  process.exitCode = status;
}
