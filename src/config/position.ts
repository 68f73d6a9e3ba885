/**
 * Where something stands in a configuration. Lines and columns count from 1; a column counts code points, so that
 * it is the same number in every editor, whatever the characters before it weigh in bytes.
 */

/** One configuration text with the name under which messages mention it. */
export interface SourceFile {
  /** What messages call it, exactly as nginx would: the path it was opened by. */
  readonly name: string;
  readonly text: string;
  /** The lines of {@link text} without their line ends; never empty. */
  readonly lines: readonly string[];
  /** For each line the offset of its first character in {@link text}, in UTF-16 units. */
  readonly lineStarts: readonly number[];
  /** Where in {@link text} the second halves of surrogate pairs stand: units that begin no code point. */
  readonly secondHalves: readonly number[];
  /** The `include` that brought this file in, or null for the main file. */
  readonly includedFrom: Span | null;
  /** The text of `-g` is no file: messages say "in command line" and give no line number. */
  readonly isCommandLine: boolean;
  /** Some bytes were no UTF-8 and stand as U+FFFD in {@link text}. */
  readonly isInvalidUtf8: boolean;
}

/** A stretch of text. It may reach over line ends; line and column are those of its first character. */
export interface Span {
  readonly file: SourceFile;
  readonly line: number;
  readonly column: number;
  /** In code points; 0 marks a place between two characters. */
  readonly length: number;
}

/** How a text came in; by default it is the main file. */
export interface SourceOrigin {
  readonly includedFrom?: Span | null;
  readonly isCommandLine?: boolean;
  readonly isInvalidUtf8?: boolean;
}

/** Makes the {@link SourceFile} of a text, finding its lines. */
export function createSourceFile(name: string, text: string, origin: SourceOrigin = {}): SourceFile {
  const lineStarts = [0, ...Array.from(text.matchAll(/\n/g), (match) => match.index + 1)];
  const secondHalves = Array.from(
    text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g),
    (match) => match.index + 1,
  );
  const lines = lineStarts.map((start, index) => {
    const next = lineStarts[index + 1];
    return text.slice(start, next === undefined ? text.length : next - 1).replace(/\r$/, "");
  });
  return {
    name,
    text,
    lines,
    lineStarts,
    secondHalves,
    includedFrom: origin.includedFrom ?? null,
    isCommandLine: origin.isCommandLine ?? false,
    isInvalidUtf8: origin.isInvalidUtf8 ?? false,
  };
}

/** The span from offset `start` up to and without offset `end`, both in UTF-16 units of the file's text. */
export function spanBetween(file: SourceFile, start: number, end: number): Span {
  const line = lineAt(file, start);
  const lineStart = file.lineStarts[line - 1] ?? 0;
  return {
    file,
    line,
    column: codePointsBefore(file, start) - codePointsBefore(file, lineStart) + 1,
    length: codePointsBefore(file, end) - codePointsBefore(file, start),
  };
}

/** The number of the line on which the character at `offset` (in UTF-16 units) stands. */
export function lineAt(file: SourceFile, offset: number): number {
  return countWhile(file.lineStarts, (start) => start <= offset);
}

/** The place right behind the last character of a span, on whatever line that is. */
export function placeAfter(span: Span): Span {
  const end = offsetOfCodePoint(span.file, codePointsBefore(span.file, offsetOf(span)) + span.length);
  return spanBetween(span.file, end, end);
}

/** From the first character of one span to the last one of another. */
export function spanOver(first: Span, last: Span): Span {
  return spanBetween(first.file, offsetOf(first), offsetOf(placeAfter(last)));
}

/** What stands on the span's line before it. */
export function textBefore(span: Span): string {
  return span.file.text.slice(span.file.lineStarts[span.line - 1], offsetOf(span));
}

/** What stands behind the span, up to the end of the line on which it ends; without trailing space. */
export function textBehind(span: Span): string {
  const end = placeAfter(span);
  const lineEnd = span.file.text.indexOf("\n", offsetOf(end));
  return span.file.text.slice(offsetOf(end), lineEnd === -1 ? undefined : lineEnd).trimEnd();
}

/** The offset of a span's first character, in UTF-16 units. */
export function offsetOf({ file, line, column }: Span): number {
  const lineStart = file.lineStarts[line - 1] ?? 0;
  return offsetOfCodePoint(file, codePointsBefore(file, lineStart) + column - 1);
}

function codePointsBefore(file: SourceFile, offset: number): number {
  return offset - countWhile(file.secondHalves, (half) => half < offset);
}

/** The opposite of {@link codePointsBefore}. */
function offsetOfCodePoint(file: SourceFile, index: number): number {
  // Before the second half number n stand n others, none of which counts.
  return index + countWhile(file.secondHalves, (half, n) => half - n <= index);
}

/** How many numbers of an ascending list satisfy a condition that holds for the smaller ones alone; by bisection. */
function countWhile(numbers: readonly number[], holds: (value: number, index: number) => boolean): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(numbers[middle] ?? 0, middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
