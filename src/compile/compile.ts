import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { isError, type Diagnostic } from "../config/diagnostic.ts";
import { parseCommandLine, parseConfig, parseConfigFile } from "../config/parse.ts";
import type { ConfigFiles } from "../config/files.ts";
import type { DirectiveKnowledge } from "../config/knowledge.ts";
import type { Directive, Tree } from "../config/tree.ts";
import { build } from "./build.ts";
import { Compiler } from "./compiler.ts";
import type { Context } from "./contexts.ts";
import type { Module } from "./module.ts";
import type { Plan } from "./plan.ts";
import type { DirectiveRow } from "./rows.ts";
import { RowIndex, walk } from "./walk.ts";

/** Where the pid file is unless the configuration says otherwise, relative to the prefix. */
export const DEFAULT_PID_FILE = "logs/wsgate.pid";

export interface CompileInput {
  /** Absolute path of the configuration file; with `text`, only the name messages give it. */
  readonly file: string;
  /** The text itself, where it comes from elsewhere. */
  readonly text?: string;
  /** Where files are read from; by default the disk. */
  readonly files?: ConfigFiles;
  /** Where what the configuration names is read from, such as certificates: throws the system's error. By default the disk. */
  readonly readFile?: (path: string) => Uint8Array;
  /** Absolute; what log files, roots and the like are relative to. */
  readonly prefix: string;
  /** Where errors go if no error_log says otherwise: an absolute path, or `stderr`. */
  readonly defaultErrorLog: string;
  /** What `-g` gave: directives of the main level that count as standing before the file's. */
  readonly globalDirectives?: string;
  readonly modules: readonly Module[];
}

export interface CompileResult {
  /** Null where the configuration was refused. */
  readonly plan: Plan | null;
  /** Everything there is to say about it, in reading order; with a plan, warnings only. */
  readonly diagnostics: readonly Diagnostic[];
  readonly tree: Tree;
  /** Absolute path of the pid file, as far as it can be told, also where the configuration was refused. */
  readonly pid: string;
  /** What was read besides the configuration: contents by absolute path. */
  readonly filesRead: ReadonlyMap<string, Uint8Array>;
}

/** Text -> Tree -> Plan. Nothing is opened or bound; names are resolved and certificates read. */
export async function compile(input: CompileInput): Promise<CompileResult> {
  const { file, prefix, modules } = input;
  const compiler = new Compiler(
    { prefix, confPrefix: dirname(file), defaultErrorLog: input.defaultErrorLog },
    modules.flatMap((module) => module.variables ?? []),
    input.readFile ?? ((path) => readFileSync(path)),
  );
  const index = new RowIndex(modules);
  const options = {
    ...knowledgeOf(index),
    file,
    prefix: dirname(file),
    ...(input.files === undefined ? {} : { files: input.files }),
  };
  const parsed =
    input.text === undefined ? parseConfigFile(options) : parseConfig({ ...options, text: input.text });
  const globals = parseCommandLine(input.globalDirectives ?? "", options);
  compiler.diagnostics.push(...globals.diagnostics);
  walk(globals.tree.directives, compiler.main, index, compiler);
  const pid = pidFileOf([...globals.tree.directives, ...parsed.tree.directives], compiler);
  compiler.diagnostics.push(...parsed.diagnostics);
  // What a broken text would mean is guesswork: its own errors are the answer.
  if (parsed.diagnostics.some(isError))
    return {
      plan: null,
      diagnostics: compiler.diagnostics,
      tree: parsed.tree,
      pid,
      filesRead: compiler.filesRead,
    };

  walk(parsed.tree.directives, compiler.main, index, compiler);
  const plan = build(file, modules, compiler);
  compiler.variables.bind();
  await compiler.runLater();
  return {
    plan: compiler.hasErrors ? null : plan,
    diagnostics: compiler.diagnostics,
    tree: parsed.tree,
    pid,
    filesRead: compiler.filesRead,
  };
}

function pidFileOf(directives: readonly Directive[], compiler: Compiler): string {
  const written = directives.find((directive) => directive.name.text === "pid")?.args[0]?.text;
  return compiler.path(written ?? DEFAULT_PID_FILE, "prefix");
}

/** What the text layer may know about directives, for sharper guesses about forgotten braces and semicolons. */
export function knowledgeOf(index: RowIndex): DirectiveKnowledge {
  return {
    isDirectiveName: (name) => index.has(name),
    allowedIn(name, parents) {
      const context = contextInside(parents, index);
      return context === null || index.rowsOf(name).some((row) => row.in.includes(context));
    },
  };
}

/** The context that nested blocks lead to; null inside blocks that take entries of their own, or unknown ones. */
function contextInside(parents: readonly string[], index: RowIndex): Context | null {
  let context: Context = "main";
  for (const parent of parents) {
    const outer: Context = context;
    const row: DirectiveRow | undefined = index
      .rowsOf(parent)
      .find((candidate) => candidate.in.includes(outer));
    if (row === undefined || row.opens === null) return null;
    context = row.opens(outer);
  }
  return context;
}
