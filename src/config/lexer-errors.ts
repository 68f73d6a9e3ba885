import { createDiagnostic, type Diagnostic } from "./diagnostic.ts";
import { lineAt, spanBetween, type SourceFile } from "./position.ts";
import type { Quote } from "./tree.ts";

/** What the lexer finds wrong, in nginx's words. All offsets are in UTF-16 units of the file's text. */

/** nginx reads through a buffer of this size: a word must fit in it together with the character that ends it. */
export const parameterBytesMax = 4096;

/** A word between two offsets that does not fit; `contentStart` leaves out an opening quote. */
export function tooLongWord(file: SourceFile, start: number, contentStart: number, end: number): Diagnostic {
  const beginning = Buffer.from(file.text.slice(contentStart, contentStart + 10))
    .subarray(0, 10)
    .toString();
  return createDiagnostic({
    code: "too-long-parameter",
    // nginx shows ten bytes; half a character would not be worth showing.
    message: `too long parameter "${beginning.replace(/\ufffd$/, "")}..." started`,
    span: spanBetween(file, start, end),
    suggestion: `shorten it to less than ${parameterBytesMax} bytes`,
  });
}

/** Quotes that close only behind what nginx's buffer holds. */
export function farClosingQuote(file: SourceFile, start: number, quote: Quote): Diagnostic {
  return createDiagnostic({
    code: "too-long-parameter",
    message: `too long parameter, probably missing terminating "${quote}" character`,
    span: spanBetween(file, start, start + 1),
    suggestion: addQuote(file, start, quote),
  });
}

/** Quotes that never close. */
export function noClosingQuote(file: SourceFile, start: number, quote: Quote): Diagnostic {
  return createDiagnostic({
    code: "unexpected-end-of-file",
    message: unexpectedEnd(file),
    span: spanBetween(file, start, start + 1),
    reportLine: lineAt(file, file.text.length),
    startLine: lineAt(file, start),
    notes: [{ message: `this ${quote} is never closed` }],
    suggestion: addQuote(file, start, quote),
  });
}

/** nginx's message for a text that ends in the middle of a directive. */
export function unexpectedEnd(file: SourceFile): string {
  return file.isCommandLine
    ? 'unexpected end of parameter, expecting ";"'
    : 'unexpected end of file, expecting ";" or "}"';
}

/** `"word"x`: the x is too close to the quoted word between the two offsets. */
export function unexpectedBehindQuotes(
  file: SourceFile,
  start: number,
  end: number,
  quote: Quote,
): Diagnostic {
  const unexpected = String.fromCodePoint(file.text.codePointAt(end) ?? 0);
  const draft = {
    code: "unexpected-character",
    message: `unexpected "${unexpected}"`,
    span: spanBetween(file, end, end + unexpected.length),
  };
  const line = lineAt(file, start);
  if (line === lineAt(file, end)) {
    const suggestion = `put a space between them, or write \\${quote} for a quote inside the quotes`;
    return createDiagnostic({ ...draft, suggestion });
  }
  // Quotes that were to open here have closed others, which somebody forgot to close.
  return createDiagnostic({
    ...draft,
    startLine: line,
    notes: [
      {
        message: `the quoted word before it began at line ${line}`,
        span: spanBetween(file, start, start + 1),
      },
    ],
    suggestion: addQuote(file, start, quote),
  });
}

/** A byte that is no text: a NUL, or one that is no UTF-8 and stands as U+FFFD. */
export function notText(file: SourceFile, position: number): Diagnostic {
  const isNul = file.text[position] === "\0";
  return createDiagnostic({
    code: isNul ? "nul-byte" : "invalid-utf-8",
    message: isNul ? "unexpected NUL byte" : "unexpected byte that is not UTF-8",
    span: spanBetween(file, position, position + 1),
    suggestion: "save the file as UTF-8 text",
  });
}

function addQuote(file: SourceFile, start: number, quote: Quote): string {
  return `add the missing ${quote} in line ${lineAt(file, start)}`;
}
