import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { modules } from "../src/modules/index.ts";
import { VERSION } from "../src/base/version.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const SRC = join(ROOT, "src");

/** Which folder of src/ may import which, besides itself: the table of docs/ARCHITECTURE.md. */
const LAW: Readonly<Record<string, readonly string[] | "all">> = {
  base: [],
  config: ["base"],
  http: ["base"],
  observe: ["base"],
  compile: ["config", "http", "observe", "base"],
  websocket: ["http", "observe", "base"],
  upstream: ["compile", "observe", "base"],
  proxy: ["websocket", "upstream", "http", "compile", "observe", "base"],
  modules: ["compile", "proxy", "websocket", "upstream", "http", "config", "observe", "base"],
  route: ["compile", "http", "observe", "base"],
  listen: ["route", "http", "compile", "observe", "base"],
  stream: ["upstream", "compile", "observe", "base"],
  doctor: [
    "base",
    "compile",
    "config",
    "http",
    "modules",
    "observe",
    "proxy",
    "route",
    "upstream",
    "websocket",
  ],
  client: [],
  process: [
    "base",
    "compile",
    "config",
    "http",
    "listen",
    "modules",
    "observe",
    "proxy",
    "route",
    "stream",
    "upstream",
    "websocket",
  ],
  cli: "all",
  // The entry of the package.
  ".": ["process", "modules", "compile", "config", "base", "listen", "observe"],
};

/** No file of the program is longer: whoever comes near it splits by subject. It may be lowered, never raised. */
const LINES_MAX = 545;

/** Calls that have a better form here. */
const BANNED: readonly { readonly pattern: RegExp; readonly instead: string; readonly except?: RegExp }[] = [
  { pattern: /\bconsole\.\w+\(/, instead: "the error log, or process.stdout.write in cli/" },
  { pattern: /\b(TODO|FIXME|XXX|HACK)\b/, instead: "doing it, or an issue" },
  {
    pattern: /\bsetTimeout\(/,
    instead: "a Deadline of base/timers.ts",
    except: /^(base|process|client|observe|cli|doctor|upstream|listen)\//,
  },
];

interface SourceFile {
  /** Relative to src/, with slashes. */
  readonly path: string;
  readonly text: string;
}

const files: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path: path.replaceAll("\\", "/"), text: readFileSync(join(SRC, path), "utf8") }));
const program = files.filter(({ path }) => !/\.(test|fuzz\.test)\.ts$/.test(path));

function folderOf(path: string): string {
  return path.includes("/") ? (path.split("/")[0] ?? ".") : ".";
}

/** Paths, relative to src/, that a file imports from the program. */
function importsOf({ path, text }: SourceFile): readonly string[] {
  const specifiers = [...text.matchAll(/^\s*(?:import|export)\b[^;]*?from\s+"(\.[^"]+)"/gms)].map(
    ([, to = ""]) => to,
  );
  const bare = [...text.matchAll(/^import\s+"(\.[^"]+)"/gm)].map(([, to = ""]) => to);
  return [...specifiers, ...bare].map((to) => relative(SRC, join(SRC, path, "..", to)).replaceAll("\\", "/"));
}

test("every folder of src stands in the import law", () => {
  expect(new Set(files.map(({ path }) => folderOf(path)))).toEqual(
    new Set(Object.keys(LAW).filter((folder) => files.some(({ path }) => folderOf(path) === folder))),
  );
});

test("no file imports from a folder that its own may not import from", () => {
  const offences: string[] = [];
  for (const file of program) {
    const own = folderOf(file.path);
    const allowed = LAW[own] ?? [];
    for (const to of importsOf(file)) {
      const folder = folderOf(to);
      if (folder !== own && allowed !== "all" && !allowed.includes(folder))
        offences.push(`${file.path} -> ${to}`);
    }
  }
  expect(offences).toEqual([]);
});

test("no module imports another", () => {
  const offences: string[] = [];
  const moduleOf = (path: string): string => path.split("/")[1]?.replace(/\.ts$/, "") ?? "";
  for (const file of program) {
    if (folderOf(file.path) !== "modules" || file.path === "modules/index.ts") continue;
    for (const to of importsOf(file)) {
      if (folderOf(to) === "modules" && moduleOf(to) !== moduleOf(file.path))
        offences.push(`${file.path} -> ${to}`);
    }
  }
  expect(offences).toEqual([]);
});

test("no file has grown past what is read in one sitting", () => {
  const long = program
    .map(({ path, text }) => ({ path, lines: text.split("\n").length }))
    .filter(({ path, lines }) => lines > LINES_MAX && path !== "compile/nginx-names.ts");
  expect(long).toEqual([]);
});

test("no file calls what has a better form here", () => {
  const offences: string[] = [];
  for (const { path, text } of program) {
    for (const { pattern, instead, except } of BANNED) {
      if (except?.test(path) !== true && pattern.test(text))
        offences.push(`${path}: ${String(pattern)}, instead: ${instead}`);
    }
  }
  expect(offences).toEqual([]);
});

/** What each of these loads at once, and must not: loading a module costs the better part of a millisecond. */
const LIGHT: Readonly<Record<string, readonly string[]>> = {
  "cli/main.ts": ["compile/compile.ts", "modules/index.ts", "process/run.ts"],
  "cli/test-configuration.ts": ["listen/listener.ts", "route/run.ts", "process/self-signed.ts"],
  "cli/send-signal.ts": ["listen/listener.ts", "route/run.ts"],
  "process/run.ts": ["listen/listener.ts", "process/worker-server.ts"],
  "process/worker-server.ts": ["listen/listener.ts", "route/run.ts", "process/gate.ts"],
};

test("no command loads what it does not need", () => {
  for (const [entry, heavy] of Object.entries(LIGHT)) {
    const loaded = new Set([entry]);
    for (const path of loaded) {
      const file = program.find((each) => each.path === path);
      const text = file?.text.replace(/^(import|export) type\b[^;]*;/gm, "") ?? "";
      for (const to of importsOf({ path, text })) loaded.add(to);
    }
    expect([entry, heavy.filter((path) => loaded.has(path))]).toEqual([entry, []]);
    expect(heavy.filter((path) => !existsSync(join(SRC, path)))).toEqual([]);
  }
});

test("only one file touches what Node does not document", () => {
  const offenders = program.filter(({ text }) => /\._handle\b/.test(text)).map(({ path }) => path);
  expect(offenders.filter((path) => path !== "base/transport-handle.ts")).toEqual([]);
});

test("every directive row says what it is for, in a sentence", () => {
  const mute: string[] = [];
  for (const module of modules) {
    for (const [name, row] of Object.entries(module.directives)) {
      if (!/^.{10,}\.$/s.test(row.doc)) mute.push(name);
    }
    for (const variable of module.variables ?? []) {
      if (!/^.{8,}\.$/s.test(variable.doc)) mute.push(`$${variable.name}`);
    }
  }
  expect(mute).toEqual([]);
});

test("no two rows of one name compete for a context", () => {
  const seen = new Set<string>();
  const twice: string[] = [];
  for (const module of modules) {
    for (const [name, row] of Object.entries(module.directives)) {
      for (const context of row.in) {
        const key = `${name} in ${context}`;
        if (seen.has(key)) twice.push(key);
        seen.add(key);
      }
    }
  }
  expect(twice).toEqual([]);
});

test("the version is that of the package", () => {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  expect(manifest).toMatchObject({ version: VERSION });
});
