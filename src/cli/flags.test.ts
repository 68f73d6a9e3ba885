import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { requires } from "../../test/rig/requires.ts";
import { type Flags, parseFlags } from "./flags.ts";

const NONE: Flags = {
  config: null,
  prefix: null,
  errorLog: null,
  globals: null,
  test: false,
  dump: false,
  quiet: false,
  version: false,
  build: false,
  help: false,
  signal: null,
};

test.each<[args: string, flags: Partial<Flags>]>([
  ["", {}],
  ["-t", { test: true }],
  ["-T", { test: true, dump: true }],
  ["-tq", { test: true, quiet: true }],
  ["-tc a.conf", { test: true, config: "a.conf" }],
  ["-tca.conf", { test: true, config: "a.conf" }],
  ["-c -t", { config: "-t" }],
  ["-c a -c b", { config: "b" }],
  ["-ct", { config: "t" }],
  ["-p. -eerr.log", { prefix: ".", errorLog: "err.log" }],
  ["-g a; -gb;", { globals: "a; b;" }],
  ["-s reload", { signal: "reload" }],
  ["-sstop", { signal: "stop" }],
  ["-vV", { version: true, build: true }],
  ["-?", { help: true }],
  ["--help", { help: true }],
  ["--version", { version: true }],
])("reads %s", (args, flags) => {
  expect(parseFlags(args.split(" ").filter(Boolean))).toEqual({ ok: true, flags: { ...NONE, ...flags } });
});

const WRONG = [
  "-x",
  "-tx",
  "-xyz",
  "-t -qz",
  "--nonsense",
  "--",
  "-c",
  "-tc",
  "-p",
  "-e",
  "-g",
  "-s",
  "-s hup",
  "-sstart",
  "-s=stop",
  "-s quit -s no",
  "file.conf",
  "-t file.conf",
  "-tc file.conf more",
];

test("refuses what nginx refuses, word for word", (context) => {
  requires(context, "nginx");
  for (const line of WRONG) {
    const args = line.split(" ");
    const { status, stderr } = spawnSync("nginx", args, { encoding: "utf8" });
    const result = parseFlags(args);
    expect([line, status, stderr]).toEqual([line, 1, result.ok ? "accepted" : `nginx: ${result.message}\n`]);
  }
});

test("an empty argument is a missing one", () => {
  expect(parseFlags(["-c", ""])).toEqual({ ok: false, message: 'option "-c" requires file name' });
});
