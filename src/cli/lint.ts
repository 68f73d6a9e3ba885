/** `wsgate lint`: reads files, asks the rules, says what they found, and mends what it is told to. */
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { describeSystemError } from "../base/errno.ts";
import { memoryFiles } from "../config/files.ts";
import { readDump } from "../doctor/lint/dump.ts";
import { explainRule, listRules } from "../doctor/lint/explain-rule.ts";
import { type ChangedFile, fix } from "../doctor/lint/fix.ts";
import { type Finding, lint, type LintOptions, type LintResult } from "../doctor/lint/lint.ts";
import { reportJson } from "../doctor/lint/report-json.ts";
import { reportSarif } from "../doctor/lint/report-sarif.ts";
import { reportText } from "../doctor/lint/report-text.ts";
import { GRAVITY } from "../doctor/lint/rule.ts";
import { rules } from "../doctor/lint/rules/index.ts";
import { unifiedDiff } from "../doctor/lint/unified-diff.ts";
import { modules } from "../modules/index.ts";
import { EXIT_INTERRUPTED } from "./exit-codes.ts";
import { findRule, LINT_USAGE, type LintFlags, parseLintFlags } from "./lint-flags.ts";

const CLEAN = 0;
const FOUND = 1;
const UNREADABLE = 2;

/** Resolves with the exit code: 0 nothing at or above warning, 1 findings, 2 what was asked for could not be done. */
export async function runLint(args: readonly string[]): Promise<number> {
  const parsed = parseLintFlags(args);
  if (!parsed.ok) return fail(parsed.message);
  const { flags } = parsed;
  if (flags.help) return print(LINT_USAGE);
  if (flags.list) return print(listRules(rules));
  if (flags.explain !== null) return explain(flags.explain);
  let code = CLEAN;
  const results: LintResult[] = [];
  for (const file of flags.files) {
    const options = file === "-" ? optionsForDump(await text(process.stdin), flags) : optionsFor(file, flags);
    const obstacle = file === "-" ? null : whyUnreadable(options.file);
    if (obstacle !== null) {
      code = fail(obstacle);
      continue;
    }
    const outcome = flags.fix ? await runFix(options, flags) : { result: lint(options), code: CLEAN };
    results.push(outcome.result);
    code = Math.max(code, outcome.code);
  }
  return Math.max(code, report(results, flags));
}

function optionsFor(file: string, flags: LintFlags): LintOptions {
  return {
    file: resolve(file),
    modules,
    target: flags.target,
    nginxVersion: flags.nginxVersion,
    ...(flags.prefix === null ? {} : { prefix: resolve(flags.prefix) }),
    sockets: flags.sockets,
    ...(flags.rules === null ? {} : { rules: flags.rules }),
  };
}

/** What came in by the standard input: a configuration, or all files of one as `nginx -T` writes them. */
function optionsForDump(dump: string, flags: LintFlags): LintOptions {
  const files = readDump(dump);
  const [main = "standard input"] = Object.keys(files);
  return { ...optionsFor(main, flags), file: main, files: memoryFiles(files) };
}

function whyUnreadable(file: string): string | null {
  try {
    readFileSync(file);
    return null;
  } catch (error) {
    return `open() "${file}" failed (${describeSystemError(error)})`;
  }
}

function report(results: readonly LintResult[], flags: LintFlags): number {
  const all = results.map((result) => ({ result, shown: result.findings.filter(isShown(flags)) }));
  const shown = all.flatMap((each) => each.shown);
  if (flags.format === "sarif") {
    process.stdout.write(reportSarif(shown, rules, process.cwd()));
  } else if (flags.format === "json") {
    process.stdout.write(reportJson(results, shown));
  } else {
    const colour = process.stdout.isTTY && process.env["NO_COLOR"] === undefined;
    for (const each of all) {
      process.stdout.write(reportText(each.result, each.shown, { program: "wsgate", colour }));
    }
  }
  return results.some(({ findings }) => findings.some(({ severity }) => severity !== "info")) ? FOUND : CLEAN;
}

function isShown(flags: LintFlags): (finding: Finding) => boolean {
  return ({ severity }) => GRAVITY[severity] >= GRAVITY[flags.severity];
}

/** Shows what would change, asks where there is somebody to ask, and writes. */
async function runFix(
  options: LintOptions,
  flags: LintFlags,
): Promise<{ readonly result: LintResult; readonly code: number }> {
  const { changes, result } = fix(options, isShown(flags));
  for (const { name, before, after } of changes) process.stdout.write(unifiedDiff(name, before, after));
  if (changes.length === 0 || flags.dryRun)
    return { result: changes.length === 0 ? result : lint(options), code: CLEAN };
  if (!(await mayWrite(changes, flags))) return { result: lint(options), code: CLEAN };
  const failure = writeAll(changes);
  if (failure !== null) return { result: lint(options), code: fail(failure) };
  process.stdout.write(`mended: ${changes.map(({ name }) => name).join(", ")}\n`);
  return { result, code: CLEAN };
}

async function mayWrite(changes: readonly ChangedFile[], flags: LintFlags): Promise<boolean> {
  if (flags.yes) return true;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    process.stderr.write("wsgate lint: nothing was written, since there is nobody to ask: add --yes\n");
    return false;
  }
  const files = changes.length === 1 ? "this file" : `these ${changes.length} files`;
  const answer = await ask(`Write ${files}? [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

/** Ctrl-D is an answer without a word; Ctrl-C ends the program. */
function ask(question: string): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stdout });
  return new Promise<string>((resolve) => {
    const onClose = (): void => {
      process.stdout.write("\n");
      resolve("");
    };
    reader.once("close", onClose);
    reader.once("SIGINT", () => {
      reader.close();
      process.exit(EXIT_INTERRUPTED);
    });
    reader.question(question, (answer) => {
      reader.off("close", onClose).close();
      resolve(answer);
    });
  });
}

/** Writes in place, so that owner, mode and links stay; what went wrong, or null. */
function writeAll(changes: readonly ChangedFile[]): string | null {
  for (const { name, before, after } of changes) {
    try {
      const path = realpathSync(name);
      const present = readFileSync(path, "utf8");
      const mark = present.startsWith("\ufeff") ? "\ufeff" : "";
      if (present !== mark + before) return `${name} has changed meanwhile; nothing more was written`;
      writeFileSync(path, mark + after);
    } catch (error) {
      return `cannot write ${name} (${describeSystemError(error)})`;
    }
  }
  return null;
}

function explain(name: string): number {
  try {
    return print(explainRule(findRule(name)));
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return CLEAN;
}

function fail(message: string): number {
  process.stderr.write(`wsgate lint: ${message}\n`);
  return UNREADABLE;
}
