/** The examples of lint's rules as whole files, and the real nginx's word on them. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { memoryFiles } from "../../src/config/files.ts";
import { lint, type LintResult } from "../../src/doctor/lint/lint.ts";
import type { RuleExample, Target } from "../../src/doctor/lint/rule.ts";
import { modules } from "../../src/modules/index.ts";
import { leafCertificate } from "./certificates.ts";
import { temporaryFolder } from "./proxy-process.ts";
import { NGINX_STREAM_MODULE } from "./requires.ts";

export const EXAMPLE_FILE = "/conf/nginx.conf";

const WRAPPINGS: Readonly<Record<RuleExample["inside"], readonly [before: string, after: string]>> = {
  main: ["", "\n"],
  http: ["events {}\nhttp {\n", "\n}\n"],
  server: ["events {}\nhttp {\nserver {\nlisten 80;\n", "\n}\n}\n"],
};

/** The text with the blocks around it that it stands in. */
export function wholeFile(text: string, inside: RuleExample["inside"]): string {
  const [before, after] = WRAPPINGS[inside];
  return before + text.trim() + after;
}

/** The lines that a rule has to find, counted from 1. */
export function markedLines(text: string): readonly number[] {
  return text.split("\n").flatMap((line, index) => (line.trimEnd().endsWith("# <--") ? [index + 1] : []));
}

/** What lint finds in a text that is no file. */
export function lintText(text: string, target: Target = "any"): LintResult {
  return lint({
    file: EXAMPLE_FILE,
    files: memoryFiles({ [EXAMPLE_FILE]: text }),
    modules,
    target,
    nginxVersion: null,
  });
}

/** nginx's complaints about a text, or null where it takes it. Ports are moved to where no privileges are needed. */
export async function nginxRefuses(text: string): Promise<string | null> {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "logs"));
  const { cert, key } = await leafCertificate();
  writeFileSync(join(folder, "cert.pem"), cert);
  writeFileSync(join(folder, "key.pem"), key);
  const moved = text.replace(/(listen\s+(?:\S+:)?)(80|443)\b/g, (_, before: string, port: string) =>
    port === "80" ? `${before}18080` : `${before}18443`,
  );
  const loading = /^stream\b/m.test(text) && existsSync(NGINX_STREAM_MODULE);
  writeFileSync(
    join(folder, "nginx.conf"),
    loading ? `load_module ${NGINX_STREAM_MODULE};\n${moved}` : moved,
  );
  const run = spawnSync(
    "nginx",
    [
      "-t",
      "-q",
      "-p",
      `${folder}/`,
      "-c",
      join(folder, "nginx.conf"),
      "-e",
      "stderr",
      "-g",
      "pid nginx.pid;",
    ],
    { encoding: "utf8" },
  );
  return run.status === 0 ? null : run.stderr.replaceAll(folder, "PREFIX");
}

let version: readonly number[] | undefined;

/** Whether the installed nginx is at least of a version such as `1.25.1`. */
export function nginxIsAtLeast(wanted: string): boolean {
  version ??= /nginx\/([\d.]+)/
    .exec(spawnSync("nginx", ["-v"], { encoding: "utf8" }).stderr)?.[1]
    ?.split(".")
    .map(Number);
  const parts = wanted.split(".").map(Number);
  for (const [i, part] of parts.entries()) {
    const difference = (version?.[i] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
