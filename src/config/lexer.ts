import { createDiagnostic, type Report } from "./diagnostic.ts";
import { lineAt, spanBetween, type SourceFile } from "./position.ts";
import type { Quote } from "./tree.ts";

/**
 * Text -> tokens, by the rules of nginx's `ngx_conf_read_token()`:
 *
 *   state         on                      comes
 *   between       space, tab, CR, LF      between
 *                 ; { }                   a token of its own, then between
 *                 #                       a comment up to the end of the line, then between
 *                 " '                     in quotes
 *                 anything else           in a bare word
 *   in a word     space, tab, CR, LF ; {  the end of the word, then between
 *                 ${                      part of the word: a brace behind a dollar opens no block
 *                 \x                      part of the word, whatever x is
 *                 anything else           part of the word, also # " ' and }
 *   in quotes     the quote again         the end of the word, then behind quotes
 *                 \x, anything else       part of the word, also line ends
 *   behind quotes space ; { )             between
 *                 anything else           an error: unexpected "x"
 *
 * The lexer never gives up: it reports what it finds wrong and goes on where a reader would.
 */
export type Token = WordToken | MarkToken;

/** A word; `start` and `end` are offsets in UTF-16 units, quotes included. */
export interface WordToken {
  readonly kind: "word";
  readonly text: string;
  readonly quote: Quote | null;
  readonly start: number;
  readonly end: number;
}

/** Punctuation, or the end of the text. */
export interface MarkToken {
  readonly kind: ";" | "{" | "}" | "end";
  readonly start: number;
  readonly end: number;
}

/** nginx reads through a buffer of this size: a word must fit in it together with the character that ends it. */
export const parameterBytesMax = 4096;

export class Lexer {
  readonly #file: SourceFile;
  readonly #text: string;
  readonly #report: Report;
  #position = 0;

  constructor(file: SourceFile, report: Report) {
    this.#file = file;
    this.#text = file.text;
    this.#report = report;
  }

  /** The next token; at the end of the text `end`, as often as one asks. */
  next(): Token {
    this.#skipSpaceAndComments();
    const start = this.#position;
    const char = this.#text[start];
    switch (char) {
      case undefined:
        return { kind: "end", start, end: start };
      case ";":
      case "{":
      case "}":
        this.#position++;
        return { kind: char, start, end: start + 1 };
      case '"':
      case "'":
        return this.#readQuotedWord(char);
      default:
        return this.#readBareWord();
    }
  }

  #skipSpaceAndComments(): void {
    for (;;) {
      const char = this.#text[this.#position];
      if (char === "#") this.#position = this.#endOfLine(this.#position);
      else if (isSpace(char)) this.#position++;
      else return;
    }
  }

  #readBareWord(): WordToken {
    const start = this.#position;
    const end = this.#endOfBareWord(start);
    this.#position = end;
    if (this.#isTooLong(start, end)) this.#complainOfLength(start, start, end);
    return this.#word(start, end, null);
  }

  #endOfBareWord(start: number): number {
    let afterDollar = false;
    let position = start;
    for (; position < this.#text.length; position++) {
      const char = this.#text[position];
      if (char === "{" && afterDollar) continue;
      afterDollar = char === "$";
      if (char === "\\") position++;
      else if (isSpace(char) || char === ";" || char === "{") break;
    }
    return Math.min(position, this.#text.length);
  }

  #readQuotedWord(quote: Quote): WordToken {
    const start = this.#position;
    const closing = this.#closingQuote(start, quote);
    // Quotes that close so far away were probably meant to close earlier.
    if (closing === null || byteLength(this.#text, start + 1, closing) >= parameterBytesMax) {
      return this.#cutUnterminatedWord(start, quote, closing);
    }
    const end = closing + 1;
    this.#position = end;
    if (this.#isTooLong(start + 1, end)) this.#complainOfLength(start, start + 1, end);
    const after = this.#text[end];
    // A `}` is an error as well, but one that the parser finds anyway: a directive is not finished yet.
    if (after !== undefined && !isSpace(after) && !";{)}".includes(after)) {
      return this.#complainBehindQuotes(start, end, quote);
    }
    return this.#word(start, end, quote);
  }

  #closingQuote(start: number, quote: Quote): number | null {
    for (let position = start + 1; position < this.#text.length; position++) {
      const char = this.#text[position];
      if (char === "\\") position++;
      else if (char === quote) return position;
    }
    return null;
  }

  #complainOfLength(start: number, contentStart: number, end: number): void {
    const beginning = Buffer.from(this.#text.slice(contentStart, contentStart + 10)).subarray(0, 10);
    this.#report(
      createDiagnostic({
        code: "too-long-parameter",
        // nginx shows ten bytes; half a character would not be worth showing.
        message: `too long parameter "${beginning.toString().replace(/\ufffd$/, "")}..." started`,
        span: spanBetween(this.#file, start, end),
        suggestion: `shorten it to less than ${parameterBytesMax} bytes`,
      }),
    );
  }

  /** Quotes that nobody closes, or only so far away that the closing one must belong to somebody else. */
  #cutUnterminatedWord(start: number, quote: Quote, closing: number | null): WordToken {
    const isTooLong =
      byteLength(this.#text, start + 1, closing ?? this.#text.length) > parameterBytesMax || closing !== null;
    const end = this.#text.length;
    this.#report(
      createDiagnostic({
        code: isTooLong ? "too-long-parameter" : "unexpected-end-of-file",
        message: isTooLong
          ? `too long parameter, probably missing terminating "${quote}" character`
          : this.#file.isCommandLine
            ? 'unexpected end of parameter, expecting ";"'
            : 'unexpected end of file, expecting ";" or "}"',
        span: spanBetween(this.#file, start, start + 1),
        reportLine: isTooLong ? null : lineAt(this.#file, end),
        notes: closing === null ? [{ message: `this ${quote} is never closed` }] : [],
        suggestion: this.#suggestQuote(start, quote),
      }),
    );
    return this.#wordUpToEndOfLine(start, quote);
  }

  /** `"word"x`: either the x is too close, or the quotes that closed here were meant to open. */
  #complainBehindQuotes(start: number, end: number, quote: Quote): WordToken {
    const unexpected = String.fromCodePoint(this.#text.codePointAt(end) ?? 0);
    const reachesOverLines = lineAt(this.#file, start) !== lineAt(this.#file, end - 1);
    this.#report(
      createDiagnostic({
        code: "unexpected-character",
        message: `unexpected "${unexpected}"`,
        span: spanBetween(this.#file, end, end + unexpected.length),
        notes: reachesOverLines
          ? [
              {
                message: `the quoted word before it began in line ${lineAt(this.#file, start)}`,
                span: spanBetween(this.#file, start, start + 1),
              },
            ]
          : [],
        suggestion: reachesOverLines
          ? this.#suggestQuote(start, quote)
          : `put a space between them, or write \\${quote} for a quote inside the quotes`,
      }),
    );
    return reachesOverLines ? this.#wordUpToEndOfLine(start, quote) : this.#word(start, end, quote);
  }

  #suggestQuote(start: number, quote: Quote): string {
    return `add the missing ${quote} in line ${lineAt(this.#file, start)}`;
  }

  /** Reads an unterminated quoted word as if its quote stood at the end of its line, before the `;` or `{` there. */
  #wordUpToEndOfLine(start: number, quote: Quote): WordToken {
    const line = this.#text.slice(start, this.#endOfLine(start));
    const content = line.replace(/\s*[;{]?\s*$/, "");
    const end = start + Math.max(content.length, 1);
    this.#position = end;
    return { kind: "word", text: unescape(content.slice(1)), quote, start, end };
  }

  #complainOfNul(position: number): void {
    this.#report(
      createDiagnostic({
        code: "nul-byte",
        message: "unexpected NUL byte",
        span: spanBetween(this.#file, position, position + 1),
        suggestion: "remove it, and save the file as UTF-8 text",
      }),
    );
  }

  #endOfLine(position: number): number {
    const lineEnd = this.#text.indexOf("\n", position);
    return lineEnd === -1 ? this.#text.length : lineEnd;
  }

  #word(start: number, end: number, quote: Quote | null): WordToken {
    const raw = quote === null ? this.#text.slice(start, end) : this.#text.slice(start + 1, end - 1);
    if (raw.includes("\0")) this.#complainOfNul(this.#text.indexOf("\0", start));
    return { kind: "word", text: unescape(raw), quote, start, end };
  }

  /** Whether nginx's buffer overflows before it has seen the character that ends the word at `end`. */
  #isTooLong(start: number, end: number): boolean {
    // At most three bytes for each UTF-16 unit: nearly every word is short enough at first sight.
    if ((end - start + 2) * 3 <= parameterBytesMax) return false;
    // A space does not end the directive: one more character must fit. The end of the file needs no room.
    const ending = end === this.#text.length ? 0 : isSpace(this.#text[end]) ? 2 : 1;
    return byteLength(this.#text, start, end) + ending > parameterBytesMax;
  }
}

function byteLength(text: string, start: number, end: number): number {
  return Buffer.byteLength(text.slice(start, end));
}

export function isSpace(char: string | undefined): boolean {
  return char === " " || char === "\t" || char === "\r" || char === "\n";
}

/** nginx knows these escapes and no other: before any other character a backslash stays where it is. */
function unescape(raw: string): string {
  if (!raw.includes("\\")) return raw;
  return raw.replace(/\\(["'\\trn])/g, (_, escaped: string) => {
    if (escaped === "t") return "\t";
    if (escaped === "r") return "\r";
    if (escaped === "n") return "\n";
    return escaped;
  });
}
