import { assert } from "../base/assert.ts";
import { blockDepthMax } from "./blocks.ts";
import { reportBraces } from "./brace-report.ts";
import type { Report } from "./diagnostic.ts";
import {
  contextEvidence,
  eitherEvidence,
  indentEvidence,
  indentOf,
  isFirstOnLine,
  noEvidence,
  type Evidence,
  type OpenBlock,
} from "./evidence.ts";
import type { DirectiveKnowledge } from "./knowledge.ts";
import { placeAfter, spanBetween, spanOver, type SourceFile, type Span } from "./position.ts";
import type { CloseStatement, OpenStatement, SimpleStatement, Statement } from "./statements.ts";

export interface BraceContext {
  readonly file: SourceFile;
  /** The names of the blocks around the `include` of this file, the outermost first. */
  readonly parents: readonly string[];
  readonly knowledge: DirectiveKnowledge;
  readonly report: Report;
}

/** The statements with matching braces, and what had to be done for it. */
export interface Walk {
  readonly statements: readonly Statement[];
  /** Blocks that were closed because this statement could not stand in them. */
  readonly closed: readonly ClosedBlock[];
  /** Braces that were left out because they did not mean the block that they would have closed. */
  readonly dropped: readonly DroppedBrace[];
  /** Directives that were given the `{` they lack. */
  readonly opened: readonly OpenedBlock[];
  /** Braces that found no block to close. */
  readonly surplus: readonly CloseStatement[];
  /** Blocks that were still open at the end of the text. */
  readonly unclosed: readonly OpenStatement[];
  /** How many blocks were open at once. */
  readonly depth: number;
}

export interface ClosedBlock {
  readonly block: OpenStatement;
  readonly before: Statement;
  /** Whether nginx stops at that statement, as one that is not allowed where it stands. */
  readonly isMisplaced: boolean;
}

interface DroppedBrace {
  readonly brace: CloseStatement;
  /** The block that it would have closed. */
  readonly block: OpenStatement;
}

interface OpenedBlock {
  readonly head: OpenStatement;
  /** The line of the `;` that nginx reads up to before it misses the brace. */
  readonly reportLine: number;
}

/**
 * Makes the braces match. Where they do, the statements come back as they were. Where they do not, the text is walked
 * with each kind of evidence, and the walk that leaves the least unexplained is believed and reported.
 */
export function balanceBraces(statements: readonly Statement[], context: BraceContext): readonly Statement[] {
  const asWritten = walk(statements, context.file, noEvidence);
  if (asWritten.surplus.length === 0 && asWritten.unclosed.length === 0) return statements;
  const names = contextEvidence(context.knowledge, context.parents);
  // What is nested as no person nests is not worth any guessing.
  const kinds =
    asWritten.depth > blockDepthMax ? [] : [eitherEvidence(names, indentEvidence), names, indentEvidence];
  const best = kinds
    .map((evidence) => walk(statements, context.file, evidence))
    .reduce((best, candidate) => (cost(candidate) < cost(best) ? candidate : best), asWritten);
  reportBraces(best, asWritten, context);
  return best.statements;
}

/** A guess must explain more than it assumes. */
function cost({ closed, dropped, opened, surplus, unclosed }: Walk): number {
  return closed.length + dropped.length + opened.length + 2 * (surplus.length + unclosed.length);
}

function walk(statements: readonly Statement[], file: SourceFile, evidence: Evidence): Walk {
  const walker = new Walker(evidence);
  for (const statement of statements) walker.take(statement);
  return walker.finish(spanBetween(file, file.text.length, file.text.length));
}

class Walker {
  readonly #evidence: Evidence;
  readonly #open: OpenBlock[] = [];
  readonly #statements: Statement[] = [];
  readonly #closed: ClosedBlock[] = [];
  readonly #dropped: DroppedBrace[] = [];
  readonly #opened: OpenedBlock[] = [];
  readonly #surplus: CloseStatement[] = [];
  #depth = 0;

  constructor(evidence: Evidence) {
    this.#evidence = evidence;
  }

  take(statement: Statement): void {
    const innermost = this.#open.at(-1);
    if (
      statement.kind === "close" &&
      innermost !== undefined &&
      this.#evidence.isStray(statement, this.#open)
    ) {
      this.#dropped.push({ brace: statement, block: innermost.statement });
      return;
    }
    this.#closeBefore(statement);
    if (statement.kind === "close") return this.#takeClose(statement);
    noteIndent(this.#open.at(-1), statement);
    if (statement.kind === "open") return this.#takeOpen(statement);
    this.#takeSimple(statement);
  }

  finish(end: Span): Walk {
    const unclosed = this.#open.map(({ statement }) => statement);
    const closing = unclosed.map((): CloseStatement => ({ kind: "close", brace: end }));
    return {
      statements: [...this.#statements, ...closing],
      closed: this.#closed,
      dropped: this.#dropped,
      opened: this.#opened,
      surplus: this.#surplus,
      unclosed,
      depth: this.#depth,
    };
  }

  /** Ends the blocks in which the statement cannot stand, with braces that nobody wrote. */
  #closeBefore(before: Statement): void {
    const closing = this.#evidence.closesBefore(before, this.#open);
    if (closing === null) return;
    const place = before.kind === "close" ? before.brace : before.span;
    for (const { statement: block } of this.#open.splice(-closing.count).reverse()) {
      this.#closed.push({ block, before, isMisplaced: closing.isMisplaced });
      this.#statements.push({ kind: "close", brace: { ...place, length: 0 } });
    }
  }

  #takeClose(statement: CloseStatement): void {
    if (this.#open.pop() === undefined) this.#surplus.push(statement);
    else this.#statements.push(statement);
  }

  #takeOpen(statement: OpenStatement): void {
    this.#statements.push(statement);
    this.#depth = Math.max(this.#depth, this.#open.push({ statement, contentIndent: null }));
  }

  #takeSimple(statement: SimpleStatement): void {
    const begin = this.#evidence.contentsBegin(statement, this.#open);
    if (begin === null) {
      this.#statements.push(statement);
      return;
    }
    const [head, contents] = splitAt(statement, begin);
    this.#opened.push({ head, reportLine: statement.reportLine });
    this.#takeOpen(head);
    this.#statements.push(contents);
  }
}

/** The first line of its contents tells how deep the author has indented a block. */
function noteIndent(block: OpenBlock | undefined, statement: SimpleStatement | OpenStatement): void {
  if (block?.contentIndent === null && isFirstOnLine(statement.span)) {
    block.contentIndent = indentOf(statement.span);
  }
}

/** Cuts `server listen 80;` into `server {` and `listen 80;`. */
function splitAt(statement: SimpleStatement, begin: number): [OpenStatement, SimpleStatement] {
  const head = statement.words.slice(0, begin);
  const contents = statement.words.slice(begin);
  const [first, last, inner] = [head[0], head.at(-1), contents[0]];
  assert(
    first !== undefined && last !== undefined && inner !== undefined,
    "a block needs a name and contents",
  );
  const brace = placeAfter(last.span);
  return [
    { kind: "open", words: head, span: spanOver(first.span, last.span), brace, reportLine: brace.line },
    { ...statement, words: contents, span: spanOver(inner.span, statement.span) },
  ];
}
