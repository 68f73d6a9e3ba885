/** The words behind `wsgate lint`. */
import { parseArgs } from "node:util";
import type { LintSeverity, Rule, Target } from "../doctor/lint/rule.ts";
import { rules } from "../doctor/lint/rules/index.ts";

export interface LintFlags {
  readonly files: readonly string[];
  readonly prefix: string | null;
  /** Paths to which WebSockets come. */
  readonly sockets: readonly string[];
  readonly format: "text" | "json" | "sarif";
  readonly rules: readonly Rule[] | null;
  /** The least grave that is shown. */
  readonly severity: LintSeverity;
  readonly target: Target;
  readonly nginxVersion: readonly number[] | null;
  readonly fix: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly list: boolean;
  readonly explain: string | null;
  readonly help: boolean;
}

export type LintFlagsResult =
  | { readonly ok: true; readonly flags: LintFlags }
  | { readonly ok: false; readonly message: string };

export const LINT_USAGE: string = `usage: wsgate lint [options] FILE...

Says what is wrong with WebSockets in an nginx configuration, from its text alone. The files run under nginx or wsgate;
includes are followed; a file that is meant to be included is taken for one. FILE may be -, for what nginx -T writes.

  -p, --prefix DIR          the folder that relative includes belong to (default: that of FILE)
      --socket PATH         WebSockets come to this path, whatever its location is called; may be repeated
      --for nginx|wsgate    only what matters to the program that runs the file (default: to either, and to wsgate
                            alone where the file has directives that nginx does not know)
      --nginx-version X.Y.Z of the nginx that runs the file, if it is not to be any
      --rule NAME           only this rule; may be repeated, or hold several with commas
      --severity LEVEL      only findings at or above error, warning or info (default: info)
      --json, --sarif       for machines; SARIF 2.1.0 is what code review tools read
      --fix                 mend what can be mended safely: shows the changes and asks first
      --dry-run             with --fix: show the changes and write nothing
  -y, --yes                 with --fix: do not ask
      --list                all rules
      --explain NAME        what a rule is about, with a bad example and a good one
  -h, --help                this help

A comment on the line or on the one before it says that something is meant:

  # wsgate-lint: ignore rule-name, other-rule -- reason

Exit code: 0 nothing at or above warning, 1 findings, 2 a file could not be read.

  wsgate lint /etc/nginx/nginx.conf
  wsgate lint --severity error --sarif nginx.conf > lint.sarif
  wsgate lint --fix --dry-run nginx.conf
  wsgate lint --explain upgrade-half-set
  docker exec web nginx -T | wsgate lint -
`;

/** Reads the flags. A message is one clause, without the program's name. */
export function parseLintFlags(args: readonly string[]): LintFlagsResult {
  try {
    return { ok: true, flags: readFlags(args) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

function readFlags(args: readonly string[]): LintFlags {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      prefix: { type: "string", short: "p" },
      socket: { type: "string", multiple: true },
      for: { type: "string" },
      "nginx-version": { type: "string" },
      rule: { type: "string", multiple: true },
      severity: { type: "string" },
      json: { type: "boolean" },
      sarif: { type: "boolean" },
      fix: { type: "boolean" },
      "dry-run": { type: "boolean" },
      yes: { type: "boolean", short: "y" },
      list: { type: "boolean" },
      explain: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const isFix = values.fix === true;
  if (values.json === true && values.sarif === true) throw new Error("--json and --sarif exclude each other");
  if (!isFix && (values["dry-run"] === true || values.yes === true))
    throw new Error("--dry-run and --yes belong to --fix");
  if (isFix && (values.json === true || values.sarif === true))
    throw new Error("--fix shows a diff, and takes neither --json nor --sarif");
  if (isFix && positionals.includes("-"))
    throw new Error("--fix cannot write what came by the standard input");
  const isAboutRules = values.list === true || values.explain !== undefined || values.help === true;
  if (positionals.length === 0 && !isAboutRules) throw new Error("which file? As in: wsgate lint nginx.conf");
  return {
    files: positionals,
    prefix: values.prefix ?? null,
    sockets: (values.socket ?? []).map(readPath),
    format: values.json === true ? "json" : values.sarif === true ? "sarif" : "text",
    rules: values.rule === undefined ? null : values.rule.flatMap((names) => names.split(",")).map(findRule),
    severity: oneOf("severity", values.severity ?? "info", ["error", "warning", "info"]),
    target: oneOf("for", values.for ?? "any", ["nginx", "wsgate", "any"]),
    nginxVersion: values["nginx-version"] === undefined ? null : readVersion(values["nginx-version"]),
    fix: isFix,
    dryRun: values["dry-run"] === true,
    yes: values.yes === true,
    list: values.list === true,
    explain: values.explain ?? null,
    help: values.help === true,
  };
}

/** The rule of a name; throws with the nearest one where there is none. */
export function findRule(name: string): Rule {
  const rule = rules.find((each) => each.name === name.trim());
  if (rule === undefined) throw new Error(`there is no rule "${name}"; wsgate lint --list names them all`);
  return rule;
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new Error(`--${flag} takes ${allowed.join(", ")}, not "${value}"`);
  return found;
}

/** The path of a URL will do. */
function readPath(text: string): string {
  const path = text.replace(/^[a-z]+:\/\/[^/]*/i, "").replace(/[?#].*/s, "");
  if (path.startsWith("/")) return path;
  throw new Error(`--socket takes a path such as /chat, not "${text}"`);
}

function readVersion(text: string): readonly number[] {
  if (!/^\d+(\.\d+){1,2}$/.test(text))
    throw new Error(`--nginx-version takes a version such as 1.26.3, not "${text}"`);
  return text.split(".").map(Number);
}
