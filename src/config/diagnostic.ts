import type { Span } from "./position.ts";
import type { Directive } from "./tree.ts";

/** nginx's log levels, the gravest first. Up to and with `error` a configuration is refused. */
export type Severity = "emerg" | "alert" | "crit" | "error" | "warn" | "notice" | "info";

/** Something to tell the author of a configuration, as data; `formatDiagnostic` turns it into text. */
export interface Diagnostic {
  readonly severity: Severity;
  /** A stable name in kebab-case by which tests and documentation refer to this kind of message. */
  readonly code: string;
  /** nginx's own words, without the program's name and without the place. */
  readonly message: string;
  /** What the caret points at; null where the message is about no place in a text. */
  readonly span: Span | null;
  /** The line that nginx names in its message, where that is not the line of {@link span}; else null. */
  readonly reportLine: number | null;
  /** Where what nginx could not finish reading began, if on an earlier line; else null. It decides the order. */
  readonly startLine: number | null;
  readonly notes: readonly DiagnosticNote[];
  /** What to do about it, as one imperative clause. */
  readonly suggestion: string | null;
}

/** A further fact, shown beneath; with a span it shows its own line. */
export interface DiagnosticNote {
  readonly message: string;
  readonly span?: Span;
}

/** What a {@link Diagnostic} needs; the rest has defaults: `emerg`, the span's own line, no notes, no suggestion. */
export interface DiagnosticDraft {
  readonly severity?: Severity;
  readonly code: string;
  readonly message: string;
  readonly span: Span | null;
  readonly reportLine?: number | null;
  readonly startLine?: number | null;
  readonly notes?: readonly DiagnosticNote[];
  readonly suggestion?: string | null;
}

/** Whoever finds a fault hands it to one of these and goes on. */
export type Report = (diagnostic: Diagnostic) => void;

export function createDiagnostic(draft: DiagnosticDraft): Diagnostic {
  return {
    severity: draft.severity ?? "emerg",
    code: draft.code,
    message: draft.message,
    span: draft.span,
    reportLine: draft.reportLine ?? null,
    startLine: draft.startLine ?? null,
    notes: draft.notes ?? [],
    suggestion: draft.suggestion ?? null,
  };
}

/** A message about a whole directive. It names the line nginx would name; the caret stands under `span` or the name. */
export function directiveDiagnostic(
  directive: Directive,
  draft: Omit<DiagnosticDraft, "span" | "reportLine" | "startLine"> & { readonly span?: Span },
): Diagnostic {
  return createDiagnostic({
    ...draft,
    span: draft.span ?? directive.name.span,
    reportLine: directive.reportLine,
  });
}

/** Whether a diagnostic refuses the configuration. */
export function isError(diagnostic: Diagnostic): boolean {
  return !["warn", "notice", "info"].includes(diagnostic.severity);
}

/** Sorts into the order in which nginx would come upon them, following includes, and drops repetitions. */
export function inReadingOrder(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  const seen = new Set<string>();
  const distinct = diagnostics.filter((diagnostic) => {
    // A file that is included twice says everything twice.
    const key = JSON.stringify([
      diagnostic.message,
      diagnostic.span?.file.name,
      reportedLine(diagnostic),
      diagnostic.span?.column,
    ]);
    return !seen.has(key) && seen.add(key);
  });
  const routes = new Map(distinct.map((diagnostic) => [diagnostic, readingRoute(diagnostic)]));
  return distinct.sort((a, b) => compareRoutes(routes.get(a) ?? [], routes.get(b) ?? []));
}

/** The line that the first line of the message names, or null where it names none. */
export function reportedLine(diagnostic: Diagnostic): number | null {
  return diagnostic.reportLine ?? diagnostic.span?.line ?? null;
}

/** The lines at which nginx leaves each file for the next, from the main file down to the diagnostic itself. */
function readingRoute(diagnostic: Diagnostic): number[] {
  const route: number[] = [];
  for (let from = diagnostic.span?.file.includedFrom ?? null; from !== null; from = from.file.includedFrom) {
    route.unshift(from.line);
  }
  route.push(diagnostic.startLine ?? reportedLine(diagnostic) ?? 0);
  return route;
}

function compareRoutes(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  // On the line of an include itself, the order of finding.
  return 0;
}
