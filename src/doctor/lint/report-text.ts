import { createDiagnostic, type Diagnostic, type Severity } from "../../config/diagnostic.ts";
import { formatDiagnostic, type FormatOptions } from "../../config/format-diagnostic.ts";
import type { Finding, LintResult } from "./lint.ts";
import type { LintSeverity } from "./rule.ts";

const SEVERITIES: Readonly<Record<LintSeverity, Severity>> = {
  error: "error",
  warning: "warn",
  info: "info",
};

/** Findings as a terminal shows them, each in the form of the house's diagnostics, with a line of totals beneath. */
export function reportText(result: LintResult, findings: readonly Finding[], options: FormatOptions): string {
  const explained = new Set<string>();
  const parts = findings.map((finding) => {
    const text = formatDiagnostic(diagnosticOf(finding, !explained.has(finding.rule)), options);
    explained.add(finding.rule);
    return `${text}\n`;
  });
  return [...parts, `${totals(result, findings)}\n`].join("\n");
}

/** The finding in the house's form. What a rule is about is said with the first of its findings alone. */
function diagnosticOf(finding: Finding, isFirst: boolean): Diagnostic {
  if (finding.diagnostic !== null) return finding.diagnostic;
  return createDiagnostic({
    severity: SEVERITIES[finding.severity],
    code: finding.rule,
    message: `${finding.rule}: ${finding.message}`,
    span: finding.span,
    notes: [...(isFirst ? [{ message: finding.why }] : []), ...finding.notes],
    suggestion:
      finding.help === null ? null : `${finding.help}${finding.edits.length > 0 ? " (--fix does it)" : ""}`,
  });
}

function totals({ tree, ignoredCount }: LintResult, findings: readonly Finding[]): string {
  const files = count(tree.files.length, "file");
  const severities: readonly LintSeverity[] = ["error", "warning", "info"];
  const counts = severities.map((severity) => ({
    severity,
    found: findings.filter((finding) => finding.severity === severity).length,
  }));
  const parts = counts
    .filter(({ found }) => found > 0)
    .map(({ severity, found }) => (severity === "info" ? count(found, "note") : count(found, severity)));
  const ignored = ignoredCount > 0 ? `, ${ignoredCount} ignored by comments` : "";
  return `${files}: ${parts.length === 0 ? "no findings" : parts.join(", ")}${ignored}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
