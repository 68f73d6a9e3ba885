import type { Module } from "../../compile/module.ts";
import type { DiagnosticNote } from "../../config/diagnostic.ts";
import type { Span } from "../../config/position.ts";
import type { Configuration } from "./configuration.ts";
import type { Edit } from "./edits.ts";

/** `error`: WebSockets fail, or someone gets in; `warning`: sooner or later; `info`: good to know. */
export type LintSeverity = "error" | "warning" | "info";

export const GRAVITY: Readonly<Record<LintSeverity, number>> = { info: 0, warning: 1, error: 2 };

/** The program that is to run the file; `any` is told what either needs. */
export type Target = "nginx" | "wsgate" | "any";

/** One fault that can be seen in a configuration. Checks, documentation and tests all come from this row. */
export interface Rule {
  /** In kebab-case: what an ignore comment and `--rule` call it. */
  readonly name: string;
  readonly severity: LintSeverity;
  /** The fault in one clause, without a full stop. */
  readonly summary: string;
  /** Why it matters, above all to WebSockets: sentences. */
  readonly why: string;
  /** Only where the file is for this program; absent: for each. */
  readonly only?: "nginx" | "wsgate";
  readonly check: (configuration: Configuration, report: ReportFinding, setting: Setting) => void;
  readonly examples: readonly [RuleExample, ...RuleExample[]];
}

/** What a check may know besides the file. */
export interface Setting {
  readonly target: Target;
  /** What the directive rows of wsgate say about names and places. */
  readonly modules: readonly Module[];
  /** Of the nginx that runs the file, as in `[1, 22, 1]`; null where nobody said. */
  readonly nginxVersion: readonly number[] | null;
}

export type ReportFinding = (draft: FindingDraft) => void;

/** What a check has found. */
export interface FindingDraft {
  readonly span: Span;
  /** What is wrong in this place, as one clause. */
  readonly message: string;
  /** Where it is less grave, or graver, than the rule. */
  readonly severity?: LintSeverity;
  readonly notes?: readonly DiagnosticNote[];
  /** What to write instead, as an imperative clause. */
  readonly help: string;
  /** The same as changes to the text, where they are safe: they mend this and alter nothing else. */
  readonly edits?: readonly Edit[];
}

/**
 * A fault and its near twin, for the reader of docs/LINT.md and for the tests, which run both. In the bad text the rule finds
 * the lines that end in `# <--`, and no others; in the good one no rule finds anything at or above warning.
 */
export interface RuleExample {
  readonly bad: string;
  readonly good: string;
  /** Which block the texts stand in. */
  readonly inside: "main" | "http" | "server";
  /** The first nginx version that takes the good text, where Debian's stable one may not. */
  readonly since?: string;
  /** A module that the nginx at hand may lack. */
  readonly needs?: "nginx-stream";
}

/** Whether the nginx that runs the file is known to be at least of a version. */
export function isAtLeast({ nginxVersion }: Setting, ...version: readonly number[]): boolean {
  if (nginxVersion === null) return false;
  for (const [i, number] of version.entries()) {
    const difference = (nginxVersion[i] ?? 0) - number;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
