/** Findings in the Static Analysis Results Interchange Format (OASIS SARIF 2.1.0), which code review tools read. */
import { isAbsolute, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { VERSION } from "../../base/version.ts";
import { placeAfter, type Span, spanBetween } from "../../config/position.ts";
import type { Edit } from "./edits.ts";
import { type Finding, IGNORE_RULE, SYNTAX_RULE } from "./lint.ts";
import type { LintSeverity, Rule } from "./rule.ts";

const SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json";
const LEVELS: Readonly<Record<LintSeverity, "error" | "warning" | "note">> = {
  error: "error",
  warning: "warning",
  info: "note",
};

/** One run. Files below `folder` are named relative to it, as a checkout's are; columns count code points. */
export function reportSarif(findings: readonly Finding[], rules: readonly Rule[], folder: string): string {
  const descriptors = [...rules.map(describeRule), ...OWN_RULES];
  const indexOf = new Map(descriptors.map(({ id }, index) => [id, index]));
  const results = findings.map((finding) => ({
    ruleId: finding.rule,
    ruleIndex: indexOf.get(finding.rule) ?? -1,
    level: LEVELS[finding.severity],
    message: { text: `${finding.message}. ${finding.help === null ? "" : `Mend: ${finding.help}.`}`.trim() },
    locations: finding.span === null ? [] : [{ physicalLocation: physicalLocation(finding.span, folder) }],
    relatedLocations: finding.notes.flatMap(({ message, span }) =>
      span === undefined
        ? []
        : [{ message: { text: message }, physicalLocation: physicalLocation(span, folder) }],
    ),
    ...(finding.edits.length === 0 ? {} : { fixes: [fixOf(finding, folder)] }),
  }));
  const driver = { name: "wsgate lint", version: VERSION, semanticVersion: VERSION, rules: descriptors };
  const log = {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [{ tool: { driver }, columnKind: "unicodeCodePoints", results }],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

interface Descriptor {
  readonly id: string;
  readonly shortDescription: { readonly text: string };
  readonly fullDescription: { readonly text: string };
  readonly defaultConfiguration: { readonly level: "error" | "warning" | "note" };
}

function describeRule({ name, summary, why, severity }: Rule): Descriptor {
  return describe(name, summary, why, severity);
}

function describe(id: string, summary: string, why: string, severity: LintSeverity): Descriptor {
  return {
    id,
    shortDescription: { text: `${summary}.` },
    fullDescription: { text: why },
    defaultConfiguration: { level: LEVELS[severity] },
  };
}

const OWN_RULES: readonly Descriptor[] = [
  describe(SYNTAX_RULE, "nginx cannot read the file", "nginx does not start with it.", "error"),
  describe(
    IGNORE_RULE,
    "a comment ignores what is not there",
    "It would hide the next fault that comes to stand in its place.",
    "warning",
  ),
];

function physicalLocation(span: Span, folder: string): object {
  return {
    artifactLocation: { uri: uriOf(span.file.name, folder) },
    region: {
      ...regionBetween(span, placeAfter(span)),
      snippet: { text: span.file.lines[span.line - 1] ?? "" },
    },
  };
}

/** From the first character of one span up to and without that of the other. */
function regionBetween(start: Span, end: Span): object {
  return { startLine: start.line, startColumn: start.column, endLine: end.line, endColumn: end.column };
}

/** A relative reference where the file lies below the folder, else a file: URI (RFC 8089). */
function uriOf(name: string, folder: string): string {
  const path = relative(folder, name);
  if (path === "" || path.startsWith("..") || isAbsolute(path)) return pathToFileURL(name).href;
  return path.split("/").map(encodeURIComponent).join("/");
}

function fixOf({ edits, help }: Finding, folder: string): object {
  const files = [...new Set(edits.map(({ file }) => file.name))];
  return {
    description: { text: help ?? "mend" },
    artifactChanges: files.map((name) => ({
      artifactLocation: { uri: uriOf(name, folder) },
      replacements: edits.filter(({ file }) => file.name === name).map(replacementOf),
    })),
  };
}

function replacementOf({ file, start, end, text }: Edit): object {
  return {
    deletedRegion: regionBetween(spanBetween(file, start, start), spanBetween(file, end, end)),
    insertedContent: { text },
  };
}
