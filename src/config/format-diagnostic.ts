import { displayWidth } from "./display-width.ts";
import { reportedLine, type Diagnostic, type Severity } from "./diagnostic.ts";
import type { Span } from "./position.ts";

export interface FormatOptions {
  /** Stands before the first line, as in `wsgate: [emerg] …`. */
  readonly program: string;
  /** Whether to use the terminal's colours. */
  readonly colour: boolean;
}

/** Lines longer than this are shown in part, around the caret. In columns of the terminal. */
const excerptWidthMax = 110;

/**
 * A diagnostic as text, without a line end behind it. The first line is nginx's own, so that people who search for it
 * find what others wrote about it; beneath stand the line with a caret, the notes, and what to do:
 *
 *     wsgate: [emerg] "http" directive is not allowed here in /etc/nginx.conf:6
 *        6 | http {
 *          | ^^^^
 *     note: "http" stands inside "events", which was opened in line 3 and is never closed
 *        3 | events {
 *          |        ^
 *     help: add "}" before line 6 to close "events"
 */
export function formatDiagnostic(diagnostic: Diagnostic, options: FormatOptions): string {
  const paint = options.colour ? colours : noColours;
  const lines = [paint.strong(`${options.program}: [${diagnostic.severity}] ${headline(diagnostic)}`)];
  const { span } = diagnostic;
  const gutter = gutterWidth(diagnostic);
  if (span !== null) lines.push(...excerpt(span, gutter, paint, paint[colourOf(diagnostic.severity)]));
  for (const note of diagnostic.notes) {
    lines.push(`${paint.note("note:")} ${printable(note.message)}`);
    if (note.span !== undefined) {
      if (note.span.file.name !== span?.file.name)
        lines.push(`  in ${place(note.span.file.name, note.span.line)}`);
      lines.push(...excerpt(note.span, gutter, paint, paint.note));
    }
  }
  for (let from = span?.file.includedFrom ?? null; from !== null; from = from.file.includedFrom) {
    lines.push(`${paint.note("note:")} included from ${place(from.file.name, from.line)}`);
  }
  if (diagnostic.suggestion !== null)
    lines.push(`${paint.help("help:")} ${printable(diagnostic.suggestion)}`);
  return lines.join("\n");
}

/** The message with the place, as nginx writes it into its log: `unknown directive "foo" in /etc/x.conf:3`. */
export function headline(diagnostic: Diagnostic): string {
  const { span } = diagnostic;
  const message = printable(diagnostic.message);
  if (span === null) return message;
  if (span.file.isCommandLine) return `${message} in command line`;
  return `${message} in ${place(span.file.name, reportedLine(diagnostic) ?? span.line)}`;
}

function place(name: string, line: number): string {
  return `${printable(name)}:${line}`;
}

/** The line with its number, and a run of carets under the span. */
function excerpt(span: Span, gutter: number, paint: Paint, paintCaret: PaintOne): string[] {
  const chars = Array.from(printable(span.file.lines[span.line - 1] ?? ""));
  const start = Math.min(span.column - 1, chars.length);
  const end = Math.min(start + Math.max(span.length, 1), Math.max(chars.length, start + 1));
  const window = visibleWindow(chars, start);
  const shown = chars.slice(window.start, window.end);
  const before = chars.slice(window.start, start);
  const under = chars.slice(start, Math.min(end, window.end));
  // Tabs are repeated as they are, so that they take whatever room they take in the line above.
  const indent = before.map((char) => (char === "\t" ? "\t" : " ".repeat(displayWidth(char)))).join("");
  const carets = "^".repeat(Math.max(1, sumOfWidths(under)));
  const isCut = { left: window.start > 0 ? "…" : "", right: window.end < chars.length ? "…" : "" };
  const pad = isCut.left === "" ? "" : " ";
  const number = String(span.line).padStart(gutter);
  return [
    `${paint.dim(`${number} |`)} ${isCut.left}${shown.join("")}${isCut.right}`.trimEnd(),
    `${paint.dim(`${" ".repeat(gutter)} |`)} ${pad}${indent}${paintCaret(carets)}`,
  ];
}

/** Of a very long line, the part around the caret. */
function visibleWindow(chars: readonly string[], caret: number): { start: number; end: number } {
  if (chars.length <= excerptWidthMax) return { start: 0, end: chars.length };
  const start = Math.max(0, Math.min(caret - excerptWidthMax / 2, chars.length - excerptWidthMax));
  return { start, end: start + excerptWidthMax };
}

function sumOfWidths(chars: readonly string[]): number {
  return chars.reduce((sum, char) => sum + (char === "\t" ? 1 : displayWidth(char)), 0);
}

/** As wide as the longest line number that is shown, and at least so that short files line up. */
function gutterWidth(diagnostic: Diagnostic): number {
  const spans = [diagnostic.span, ...diagnostic.notes.map((note) => note.span ?? null)];
  return Math.max(4, ...spans.map((span) => String(span?.line ?? 0).length));
}

/** Control characters, of which a terminal might obey some, in a visible form. Tabs stay. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, (control) => {
    const code = control.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : "\ufffd";
  });
}

type PaintOne = (text: string) => string;

interface Paint {
  readonly strong: PaintOne;
  readonly dim: PaintOne;
  readonly note: PaintOne;
  readonly help: PaintOne;
  readonly error: PaintOne;
  readonly warning: PaintOne;
}

function colourOf(severity: Severity): "error" | "warning" | "note" {
  if (severity === "warn") return "warning";
  return severity === "notice" || severity === "info" ? "note" : "error";
}

const sgr =
  (code: number): PaintOne =>
  (text) =>
    `\u001b[${code}m${text}\u001b[0m`;

const colours: Paint = {
  strong: sgr(1),
  dim: sgr(2),
  note: sgr(36),
  help: sgr(32),
  error: sgr(31),
  warning: sgr(33),
};

const plain: PaintOne = (text) => text;
const noColours: Paint = {
  strong: plain,
  dim: plain,
  note: plain,
  help: plain,
  error: plain,
  warning: plain,
};
