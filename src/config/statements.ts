import { createDiagnostic, type Diagnostic, type Report } from "./diagnostic.ts";
import { Lexer, type MarkToken, type WordToken } from "./lexer.ts";
import { unexpectedEnd } from "./lexer-errors.ts";
import { opensLua } from "./lua.ts";
import { lineAt, placeAfter, spanBetween, type SourceFile, type Span } from "./position.ts";
import { suggestSemicolon } from "./semicolons.ts";
import type { Word } from "./tree.ts";

/**
 * A configuration as the flat list that nginx reads it as: words ended by `;`, words ended by `{`, and `}`. Whether
 * the braces are balanced is not asked yet, so that `braces.ts` can look at all of them at once.
 */
export type Statement = SimpleStatement | OpenStatement | CloseStatement;

/** `words;` There is always at least one word. */
export interface SimpleStatement {
  readonly kind: "simple";
  readonly words: readonly Word[];
  /** Over the words and the `;`. */
  readonly span: Span;
  readonly reportLine: number;
}

/** `words {` Without words it is a brace out of nowhere, which was reported, and whose contents count as the parent's. */
export interface OpenStatement {
  readonly kind: "open";
  readonly words: readonly Word[];
  readonly span: Span;
  readonly brace: Span;
  readonly reportLine: number;
}

/** `}` */
export interface CloseStatement {
  readonly kind: "close";
  /** Of a brace that `braces.ts` had to make up: the place where it belongs, with length 0. */
  readonly brace: Span;
}

/** Reads all statements of a text, reporting each one that is malformed and mending it. */
export function readStatements(file: SourceFile, report: Report): Statement[] {
  return new StatementReader(file, report).readAll();
}

class StatementReader {
  readonly #file: SourceFile;
  readonly #report: Report;
  readonly #lexer: Lexer;
  readonly #statements: Statement[] = [];
  #words: Word[] = [];
  /** Where the words at hand begin and end. */
  #start = 0;
  #end = 0;
  /** The lexer has complained about the words at hand: what else is odd about them follows from that. */
  #isSuspect = false;

  constructor(file: SourceFile, report: Report) {
    this.#file = file;
    this.#report = report;
    this.#lexer = new Lexer(file, (diagnostic: Diagnostic) => {
      this.#isSuspect = true;
      report(diagnostic);
    });
  }

  readAll(): Statement[] {
    for (;;) {
      const token = this.#lexer.next();
      switch (token.kind) {
        case "word":
          this.#addWord(token);
          break;
        case ";":
          if (this.#words.length === 0) this.#complainOfStraySemicolon(token);
          else this.#finishSimple(token.end);
          break;
        case "{":
          if (this.#words.length === 0) this.#openNameless(token);
          else this.#finishOpen(token);
          break;
        case "}":
          if (this.#words.length > 0) this.#complainOfMissingSemicolon(token);
          this.#statements.push({ kind: "close", brace: spanBetween(this.#file, token.start, token.end) });
          break;
        case "end":
          if (this.#words.length > 0) this.#complainOfEnd(token);
          return this.#statements;
      }
    }
  }

  #addWord(token: WordToken): void {
    if (this.#words.length === 0) this.#start = token.start;
    this.#end = token.end;
    this.#words.push({
      text: token.text,
      quote: token.quote,
      span: spanBetween(this.#file, token.start, token.end),
    });
  }

  #finishSimple(end: number): void {
    this.#statements.push({
      kind: "simple",
      words: this.#words,
      span: spanBetween(this.#file, this.#start, end),
      reportLine: lineAt(this.#file, end - 1),
    });
    this.#startAnew();
  }

  #finishOpen(brace: MarkToken): void {
    if (this.#file.isCommandLine) this.#complainOfBlock(brace);
    this.#statements.push({
      kind: "open",
      words: this.#words,
      span: spanBetween(this.#file, this.#start, brace.end),
      brace: spanBetween(this.#file, brace.start, brace.end),
      reportLine: lineAt(this.#file, brace.start),
    });
    if (opensLua(this.#words[0]?.text ?? "")) this.#lexer.skipLua();
    this.#startAnew();
  }

  #startAnew(): void {
    this.#words = [];
    this.#isSuspect = false;
  }

  #complainOfBlock(brace: MarkToken): void {
    this.#report(
      createDiagnostic({
        code: "block-on-command-line",
        message: "block directives are not supported in -g option",
        span: spanBetween(this.#file, brace.start, brace.end),
        suggestion: "write the block into the configuration file",
      }),
    );
  }

  #complainOfStraySemicolon(token: MarkToken): void {
    this.#report(
      createDiagnostic({
        code: "unexpected-semicolon",
        message: 'unexpected ";"',
        span: spanBetween(this.#file, token.start, token.end),
        suggestion:
          this.#statements.at(-1)?.kind === "close"
            ? 'remove it: a block ends with "}" alone'
            : "remove it, or write a directive before it",
      }),
    );
  }

  /** `location / ; {` is meant as `location / {`; any other brace out of nowhere keeps its contents. */
  #openNameless(token: MarkToken): void {
    const brace = spanBetween(this.#file, token.start, token.end);
    const previous = this.#statements.at(-1);
    const isAfterSemicolon = previous?.kind === "simple" && previous.words[0]?.text !== "include";
    this.#report(
      createDiagnostic({
        code: "unexpected-opening-brace",
        message: 'unexpected "{"',
        span: brace,
        suggestion: isAfterSemicolon
          ? `remove the ";" at the end of line ${previous.reportLine}, or the "{"`
          : "remove it, or write the name of a block before it",
      }),
    );
    if (isAfterSemicolon) {
      this.#statements.pop();
      this.#statements.push({ ...previous, kind: "open", brace, reportLine: brace.line });
    } else {
      this.#statements.push({ kind: "open", words: [], span: brace, brace, reportLine: brace.line });
    }
  }

  #complainOfMissingSemicolon(brace: MarkToken): void {
    this.#complainOfUnfinishedDirective({
      code: "unexpected-closing-brace",
      message: 'unexpected "}"',
      reportLine: lineAt(this.#file, brace.start),
    });
  }

  #complainOfEnd(end: MarkToken): void {
    this.#complainOfUnfinishedDirective({
      code: "unexpected-end-of-file",
      message: unexpectedEnd(this.#file),
      reportLine: lineAt(this.#file, end.start),
    });
  }

  /** Reports that a directive's `;` is missing, and finishes it as if it stood behind the last word. */
  #complainOfUnfinishedDirective(draft: { code: string; message: string; reportLine: number }): void {
    const last = this.#words.at(-1);
    if (!this.#isSuspect && last !== undefined) {
      this.#report(
        createDiagnostic({
          ...draft,
          span: placeAfter(last.span),
          notes: [{ message: `the directive "${this.#words[0]?.text}" is not finished` }],
          suggestion: suggestSemicolon(last),
        }),
      );
    }
    this.#finishSimple(this.#end);
  }
}
