/**
 * `wsgate lint`: what is wrong with WebSockets in a configuration, seen from its text alone. Text -> Tree ->
 * Configuration -> findings; rules are rows (`rules/`), and see nothing but the Configuration.
 */
import { dirname } from "node:path";
import { knowledgeOf } from "../../compile/compile.ts";
import { RowIndex } from "../../compile/walk.ts";
import { moduleOfNginxDirective } from "../../compile/nginx-names.ts";
import { type Diagnostic, type DiagnosticNote, isError } from "../../config/diagnostic.ts";
import type { ConfigFiles } from "../../config/files.ts";
import { parseConfigFile } from "../../config/parse.ts";
import type { SourceFile, Span } from "../../config/position.ts";
import type { Tree } from "../../config/tree.ts";
import { type Configuration, readConfiguration } from "./configuration.ts";
import type { Edit } from "./edits.ts";
import { type IgnoreComment, readIgnores } from "./ignores.ts";
import { GRAVITY, type LintSeverity, type Rule, type Setting, type Target } from "./rule.ts";
import { rules as allRules } from "./rules/index.ts";

export interface LintOptions extends Setting {
  readonly file: string;
  /** The folder that relative includes belong to; by default that of the file. */
  readonly prefix?: string;
  readonly files?: ConfigFiles;
  /** Paths to which WebSockets are known to come, whatever the locations that take them are called. */
  readonly sockets?: readonly string[];
  /** Which rules to ask; by default all. */
  readonly rules?: readonly Rule[];
}

export interface Finding {
  readonly rule: string;
  readonly severity: LintSeverity;
  /** null: about no place in a text. */
  readonly span: Span | null;
  readonly message: string;
  readonly why: string;
  readonly notes: readonly DiagnosticNote[];
  readonly help: string | null;
  /** Empty where there is no mend that is safe to make without asking. */
  readonly edits: readonly Edit[];
  /** Set for what the parser has found: its own words, as nginx says them. */
  readonly diagnostic: Diagnostic | null;
}

export interface LintResult {
  readonly tree: Tree;
  /** The gravest first; of the same gravity, in reading order, file by file. */
  readonly findings: readonly Finding[];
  /** How many findings comments have taken away. */
  readonly ignoredCount: number;
}

/** Under this name go what the parser finds, and comments that say nothing. */
export const SYNTAX_RULE = "syntax";
export const IGNORE_RULE = "unused-ignore";

/** Reads a file with all its includes and asks every rule. Never throws on account of its input. */
export function lint(options: LintOptions): LintResult {
  const index = new RowIndex(options.modules);
  const { tree, diagnostics } = parseConfigFile({
    file: options.file,
    prefix: options.prefix ?? dirname(options.file),
    ...(options.files === undefined ? {} : { files: options.files }),
    ...knowledgeOf(index),
    isDirectiveName: (name) => index.has(name) || moduleOfNginxDirective(name) !== null,
  });
  const syntax = diagnostics.map(syntaxFinding);
  // What a broken text would mean is guesswork. A file that is missing on this machine leaves the others as they are.
  if (diagnostics.some((each) => isError(each) && each.code !== "unreadable-file"))
    return { tree, findings: syntax, ignoredCount: 0 };
  const lacksIncludes = diagnostics.some(isError);
  const { findings, ignoredCount } = ask(
    readConfiguration(tree, index, { lacksIncludes, sockets: options.sockets ?? [] }),
    options,
  );
  return { tree, findings: inOrder([...syntax, ...findings], tree), ignoredCount };
}

function ask(
  configuration: Configuration,
  options: LintOptions,
): Pick<LintResult, "findings" | "ignoredCount"> {
  const setting = { ...options, target: targetOf(configuration, options) };
  const asked = (options.rules ?? allRules).filter(
    ({ only }) => only === undefined || setting.target === "any" || setting.target === only,
  );
  const found: Finding[] = [];
  for (const rule of asked) {
    rule.check(
      configuration,
      (draft) =>
        found.push({
          rule: rule.name,
          severity: draft.severity ?? rule.severity,
          span: draft.span,
          message: draft.message,
          why: rule.why,
          notes: draft.notes ?? [],
          help: draft.help,
          edits: (draft.edits ?? []).every(({ file }) => isWritable(file)) ? (draft.edits ?? []) : [],
          diagnostic: null,
        }),
      setting,
    );
  }
  const distinct = withoutRepetitions(found);
  return withoutIgnored(configuration.tree, distinct, new Set(asked.map(({ name }) => name)), options);
}

/** A file with directives of wsgate's own is for wsgate, since nginx would not start with it. */
function targetOf({ levels }: Configuration, { target }: LintOptions): Target {
  const isOurs = levels.some(({ directives }) =>
    directives.some(({ name }) => name.text.startsWith("websocket_")),
  );
  return target === "any" && isOurs ? "wsgate" : target;
}

/** A text that was not read as it stands in the file cannot be written back. */
function isWritable(file: SourceFile): boolean {
  return !file.isInvalidUtf8 && !file.isCommandLine;
}

/** A file that is included twice, and a line that several locations inherit, have each fault once. */
function withoutRepetitions(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ rule, span }) => {
    const key = JSON.stringify([rule, span?.file.name, span?.line, span?.column]);
    return !seen.has(key) && seen.add(key);
  });
}

function withoutIgnored(
  tree: Tree,
  findings: readonly Finding[],
  asked: ReadonlySet<string>,
  options: LintOptions,
): Pick<LintResult, "findings" | "ignoredCount"> {
  const kept = new Set(findings);
  const complaints: Finding[] = [];
  for (const file of tree.files) {
    const { ignores, malformed } = readIgnores(file);
    for (const span of malformed) complaints.push(malformedIgnore(span));
    for (const ignore of ignores) complaints.push(...applyIgnore(ignore, file, kept, findings, asked));
  }
  const known = options.rules === undefined || options.rules.some(({ name }) => name === IGNORE_RULE);
  const all = [...kept, ...(known ? complaints : [])];
  return { findings: all, ignoredCount: findings.length - kept.size };
}

/** Takes away what the comment speaks of; what it says in vain is a finding itself. */
function applyIgnore(
  { rules, line, span }: IgnoreComment,
  file: SourceFile,
  kept: Set<Finding>,
  findings: readonly Finding[],
  asked: ReadonlySet<string>,
): readonly Finding[] {
  return rules.flatMap((rule) => {
    const meant = findings.filter(
      (each) => each.rule === rule && each.span?.file.name === file.name && each.span.line === line,
    );
    for (const finding of meant) kept.delete(finding);
    if (meant.length > 0) return [];
    if (!allRules.some(({ name }) => name === rule))
      return [unusedIgnore(span, `there is no rule "${rule}"`)];
    return asked.has(rule) ? [unusedIgnore(span, `${rule} finds nothing in line ${line}`)] : [];
  });
}

function malformedIgnore(span: Span): Finding {
  return {
    ...unusedIgnore(span, "the comment is none that can be read"),
    help: 'write "# wsgate-lint: ignore rule-name -- reason"',
  };
}

function unusedIgnore(span: Span, message: string): Finding {
  return {
    rule: IGNORE_RULE,
    severity: "warning",
    span,
    message,
    why: "A comment that ignores nothing hides the next fault that comes to stand in its place.",
    notes: [],
    help: "take the comment away",
    edits: [],
    diagnostic: null,
  };
}

function syntaxFinding(found: Diagnostic): Finding {
  const diagnostic = found.code === "unreadable-file" && found.span !== null ? missingHere(found) : found;
  return {
    rule: SYNTAX_RULE,
    severity: isError(diagnostic) ? "error" : "warning",
    span: diagnostic.span,
    message: diagnostic.message,
    why: "nginx does not start with it, and a reload leaves the old configuration in force.",
    notes: diagnostic.notes,
    help: diagnostic.suggestion,
    edits: [],
    diagnostic,
  };
}

/** Files are often looked at on another machine than the one that they are for. */
function missingHere(diagnostic: Diagnostic): Diagnostic {
  return {
    ...diagnostic,
    severity: "warn",
    suggestion:
      "run lint where the file is, or pipe nginx -T into wsgate lint -; what it says is not looked at here",
  };
}

/** The gravest first; then file by file in the order of reading, and by line. */
function inOrder(findings: readonly Finding[], tree: Tree): readonly Finding[] {
  const rank = new Map(tree.files.map(({ name }, i) => [name, i]));
  const fileRank = ({ span }: Finding): number => rank.get(span?.file.name ?? "") ?? -1;
  return findings.toSorted(
    (a, b) =>
      GRAVITY[b.severity] - GRAVITY[a.severity] ||
      fileRank(a) - fileRank(b) ||
      (a.span?.line ?? 0) - (b.span?.line ?? 0) ||
      (a.span?.column ?? 0) - (b.span?.column ?? 0),
  );
}
