import type { Diagnostic, Report } from "./diagnostic.ts";
import {
  farClosingQuote,
  noClosingQuote,
  notText,
  parameterBytesMax,
  tooLongWord,
  unexpectedBehindQuotes,
} from "./lexer-errors.ts";
import { endOfLua } from "./lua.ts";
import { lineAt, type SourceFile } from "./position.ts";
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

  /** Passes over the contents of a block that holds Lua, behind its opening brace; over nothing where it is not closed. */
  skipLua(): void {
    this.#position = endOfLua(this.#text, this.#position) ?? this.#position;
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
    if (this.#isTooLong(start, end)) this.#report(tooLongWord(this.#file, start, start, end));
    return this.#finishWord(null, { start, end }, end);
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
    const content = start + 1;
    const closing = this.#closingQuote(content, quote);
    if (closing === null) {
      const bytes = byteLength(this.#text, content, this.#text.length);
      const complaint = bytes > parameterBytesMax ? farClosingQuote : noClosingQuote;
      return this.#cutQuotedWord(quote, complaint(this.#file, start, quote));
    }
    if (byteLength(this.#text, content, closing) >= parameterBytesMax) {
      return this.#cutQuotedWord(quote, farClosingQuote(this.#file, start, quote));
    }
    const end = closing + 1;
    if (this.#isTooLong(content, end)) this.#report(tooLongWord(this.#file, start, content, end));
    if (!mayFollowQuotes(this.#text[end])) {
      const complaint = unexpectedBehindQuotes(this.#file, start, end, quote);
      if (lineAt(this.#file, start) !== lineAt(this.#file, end)) return this.#cutQuotedWord(quote, complaint);
      this.#report(complaint);
    }
    return this.#finishWord(quote, { start: content, end: closing }, end);
  }

  #closingQuote(start: number, quote: Quote): number | null {
    for (let position = start; position < this.#text.length; position++) {
      const char = this.#text[position];
      if (char === "\\") position++;
      else if (char === quote) return position;
    }
    return null;
  }

  /**
   * Quotes whose closing one is missing, or belongs to others: reports that, and reads the word as if it stood at the
   * end of the line, before the `;` or `{` there.
   */
  #cutQuotedWord(quote: Quote, complaint: Diagnostic): WordToken {
    this.#report(complaint);
    const start = this.#position + 1;
    const line = this.#text.slice(start, this.#endOfLine(start));
    const end = start + line.replace(/\s*[;{]?\s*$/, "").length;
    return this.#finishWord(quote, { start, end }, end);
  }

  /** The word that begins where the lexer stands and ends at `end`, its content between two offsets. */
  #finishWord(quote: Quote | null, content: { start: number; end: number }, end: number): WordToken {
    const start = this.#position;
    this.#position = end;
    const raw = this.#text.slice(content.start, content.end);
    // In comments they do no harm; in a word they would change what it means.
    const bad = raw.search(this.#file.isInvalidUtf8 ? /[\0\ufffd]/ : /\0/);
    if (bad !== -1) this.#report(notText(this.#file, content.start + bad));
    return { kind: "word", text: unescape(raw), quote, start, end };
  }

  #endOfLine(position: number): number {
    const lineEnd = this.#text.indexOf("\n", position);
    return lineEnd === -1 ? this.#text.length : lineEnd;
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

/** The end of the text and a `}` are errors as well, but ones that show when the directive is not finished. */
function mayFollowQuotes(char: string | undefined): boolean {
  return char === undefined || isSpace(char) || ";{)}".includes(char);
}

function byteLength(text: string, start: number, end: number): number {
  return Buffer.byteLength(text.slice(start, end));
}

function isSpace(char: string | undefined): boolean {
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
