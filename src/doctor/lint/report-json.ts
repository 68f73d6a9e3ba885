import type { Finding, LintResult } from "./lint.ts";

/** Findings for machines: a stable form, one object. Lines and columns count from 1, columns in code points. */
export function reportJson(results: readonly LintResult[], findings: readonly Finding[]): string {
  const document = {
    files: [...new Set(results.flatMap(({ tree }) => tree.files.map(({ name }) => name)))],
    ignored: results.reduce((sum, { ignoredCount }) => sum + ignoredCount, 0),
    findings: findings.map(({ rule, severity, span, message, why, notes, help, edits }) => ({
      rule,
      severity,
      file: span?.file.name ?? null,
      line: span?.line ?? null,
      column: span?.column ?? null,
      length: span?.length ?? null,
      text: span === null ? null : (span.file.lines[span.line - 1] ?? ""),
      message,
      why,
      notes: notes.map((note) => ({
        message: note.message,
        file: note.span?.file.name ?? null,
        line: note.span?.line ?? null,
      })),
      help,
      fixable: edits.length > 0,
    })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
