/** Changes to the text of a configuration that leave the rest of it as it is, byte for byte. */
import {
  offsetOf,
  placeAfter,
  spanOver,
  type SourceFile,
  type Span,
  textBefore,
  textBehind,
} from "../../config/position.ts";
import { printWord } from "../../config/print.ts";
import type { Directive, Word } from "../../config/tree.ts";

/** Replaces the text from `start` up to and without `end`, both in UTF-16 units of the file's text. */
export interface Edit {
  readonly file: SourceFile;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Lines behind a directive, indented as it is; on its own line where others stand on it. */
export function insertAfter(directive: Directive, lines: readonly string[]): Edit {
  const { span } = directive;
  const last = directive.closeBrace ?? span;
  const end = placeAfter(last);
  const rest = textBehind(last).trim();
  const isAlone = textBefore(span).trim() === "" && (rest === "" || rest.startsWith("#"));
  if (!isAlone) return insertion(span.file, offsetOf(end), ` ${lines.join(" ")}`);
  return insertion(
    span.file,
    lineEndOf(end),
    lines.map((line) => `${newlineOf(span.file)}${textBefore(span)}${line}`).join(""),
  );
}

/** Lines before a block, above the comments that belong to it; on its own line where others stand on it. */
export function insertBefore(directive: Directive, lines: readonly string[]): Edit {
  const { file } = directive.span;
  const indent = textBefore(directive.span);
  if (indent.trim() !== "")
    return insertion(file, offsetOf(directive.span), `${lines.join(" ").replace(/\s+/g, " ")} `);
  let { line } = directive.span;
  while (line > 1 && (file.lines[line - 2] ?? "").trimStart().startsWith("#")) line--;
  const text = lines.map((each) => `${indent}${each}${newlineOf(file)}`).join("");
  return insertion(file, file.lineStarts[line - 1] ?? 0, text);
}

/** A line at the beginning of a block, indented as what follows it. */
export function insertInto(directive: Directive, lines: readonly string[]): Edit | null {
  const { openBrace, block } = directive;
  const first = block?.[0];
  if (openBrace === null) return null;
  const end = placeAfter(openBrace);
  if (first === undefined || first.span.file !== openBrace.file || first.span.line === openBrace.line)
    return insertion(end.file, offsetOf(end), ` ${lines.join(" ")}`);
  const indent = textBefore(first.span);
  return insertion(
    end.file,
    lineEndOf(end),
    lines.map((line) => `${newlineOf(openBrace.file)}${indent.trim() === "" ? indent : ""}${line}`).join(""),
  );
}

/** Another word in the place of one. */
export function replaceWord(word: Word, text: string): Edit {
  return replaceSpan(word.span, printWord({ text, quote: null }));
}

/** Another text in the place of a span. */
export function replaceSpan(span: Span, text: string): Edit {
  return { file: span.file, start: offsetOf(span), end: offsetOf(placeAfter(span)), text };
}

/** Takes a directive out, with its line where it stands alone on it. */
export function remove({ span }: Directive): Edit {
  return removeSpan(span);
}

/** The same of a block, whose closing brace stands in the same file. */
export function removeBlock({ span, closeBrace }: Directive): Edit {
  return removeSpan(closeBrace === null ? span : spanOver(span, closeBrace));
}

function removeSpan(span: Span): Edit {
  const start = offsetOf(span);
  const end = offsetOf(placeAfter(span));
  if (textBefore(span).trim() !== "" || textBehind(span).trim() !== "")
    return { file: span.file, start, end, text: "" };
  const lineStart = span.file.lineStarts[span.line - 1] ?? 0;
  const nextLine = span.file.text.indexOf("\n", end);
  return { file: span.file, start: lineStart, end: nextLine === -1 ? end : nextLine + 1, text: "" };
}

/**
 * The new texts, by file, of the files that groups of edits touch. A group is made whole or, where it lies upon an earlier
 * one, not at all; an edit that several groups have is made once.
 */
export function applyEdits(groups: readonly (readonly Edit[])[]): ReadonlyMap<string, string> {
  const made: Edit[] = [];
  for (const group of groups) {
    const fresh = group.filter((edit) => !made.some((other) => isSame(edit, other)));
    if (!fresh.some((edit) => made.some((other) => overlap(edit, other)))) made.push(...fresh);
  }
  const texts = new Map<string, string>();
  // From the back, so that the offsets of those before stay true.
  for (const { file, start, end, text } of made.toSorted((a, b) => b.start - a.start)) {
    const before = texts.get(file.name) ?? file.text;
    texts.set(file.name, before.slice(0, start) + text + before.slice(end));
  }
  return texts;
}

function isSame(a: Edit, b: Edit): boolean {
  return a.file.name === b.file.name && a.start === b.start && a.end === b.end && a.text === b.text;
}

/** Two insertions in one place overlap too: which comes first would be left to chance. */
function overlap(a: Edit, b: Edit): boolean {
  if (a.file.name !== b.file.name) return false;
  return a.start === b.start || (a.start < b.end && b.start < a.end);
}

function insertion(file: SourceFile, at: number, text: string): Edit {
  return { file, start: at, end: at, text };
}

/** The text of a span as it is written. */
export function textOf(span: Span): string {
  return span.file.text.slice(offsetOf(span), offsetOf(placeAfter(span)));
}

/** The offset of the end of the line on which a place is. */
function lineEndOf({ file, line }: Span): number {
  return (file.lineStarts[line - 1] ?? 0) + (file.lines[line - 1] ?? "").length;
}

function newlineOf(file: SourceFile): string {
  return file.text.includes("\r\n") ? "\r\n" : "\n";
}
