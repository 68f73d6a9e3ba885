import type { DirectiveKnowledge } from "./knowledge.ts";
import { textBefore, type Span } from "./position.ts";
import type { CloseStatement, OpenStatement, SimpleStatement, Statement } from "./statements.ts";

/**
 * What a reader would go by to find the place of a brace that is missing or too many. Each kind of evidence may be
 * wrong; `braces.ts` asks only when the braces do not match, and believes what makes them match.
 */
export interface Evidence {
  /** Which of the open blocks must have ended before this statement; null where none. */
  closesBefore(statement: Statement, open: readonly OpenBlock[]): Closing | null;
  /** Whether a `}` does not mean the innermost open block. */
  isStray(close: CloseStatement, open: readonly OpenBlock[]): boolean;
  /** Where, counted in words, the contents of a block begin whose `{` is missing; null where none is. */
  contentsBegin(statement: SimpleStatement, open: readonly OpenBlock[]): number | null;
}

interface Closing {
  /** How many blocks end, counted from the innermost. */
  readonly count: number;
  /** Whether nginx stops at the statement, since it may not stand in the innermost of them but may outside. */
  readonly isMisplaced: boolean;
}

/** A block whose `}` has not come yet. */
export interface OpenBlock {
  readonly statement: OpenStatement;
  /** How far its first line of contents is indented; null while there is none. */
  contentIndent: number | null;
}

export const noEvidence: Evidence = {
  closesBefore: () => null,
  isStray: () => false,
  contentsBegin: () => null,
};

/** The word of both: the first one that knows something. */
export function eitherEvidence(first: Evidence, second: Evidence): Evidence {
  return {
    closesBefore: (statement, open) =>
      first.closesBefore(statement, open) ?? second.closesBefore(statement, open),
    isStray: (close, open) => first.isStray(close, open) || second.isStray(close, open),
    contentsBegin: (statement, open) =>
      first.contentsBegin(statement, open) ?? second.contentsBegin(statement, open),
  };
}

/** Goes by which directive may stand in which block: `http` inside `events` says that `events` has ended. */
export function contextEvidence(knowledge: DirectiveKnowledge, parents: readonly string[]): Evidence {
  const isKnown = (name: string): boolean => knowledge.isDirectiveName?.(name) ?? false;
  const isAllowed = (name: string, names: readonly string[]): boolean =>
    knowledge.allowedIn?.(name, names) ?? true;
  const namesOf = (open: readonly OpenBlock[]): string[] => [
    ...parents,
    ...open.map(({ statement }) => statement.words[0]?.text ?? ""),
  ];

  return {
    closesBefore(statement, open) {
      if (statement.kind === "close") return null;
      const name = statement.words[0]?.text ?? "";
      if (!isKnown(name) || isAllowed(name, namesOf(open))) return null;
      for (let count = 1; count <= open.length; count++) {
        if (isAllowed(name, namesOf(open.slice(0, -count)))) return { count, isMisplaced: true };
      }
      // It is wrong everywhere; but a block that cannot stand in another one still says that the other has ended.
      return statement.kind === "open" && open.length > 0 ? { count: 1, isMisplaced: false } : null;
    },

    isStray: () => false,

    contentsBegin(statement, open) {
      const name = statement.words[0]?.text ?? "";
      const inside = [...namesOf(open), name];
      const index = statement.words.findIndex(
        (word, i) => i > 0 && isFirstOnLine(word.span) && isKnown(word.text) && isAllowed(word.text, inside),
      );
      const first = statement.words[index];
      if (first === undefined || isAllowed(first.text, namesOf(open))) return null;
      return index;
    },
  };
}

/** Goes by the indentation, where the author has used any. */
export const indentEvidence: Evidence = {
  closesBefore(statement, open) {
    const place = statement.kind === "close" ? statement.brace : statement.span;
    if (!isFirstOnLine(place)) return null;
    const indent = indentOf(place);
    const still =
      statement.kind === "close"
        ? // A `}` under the beginning of an outer block means that one.
          open.findLastIndex((block) => isIndented(block) && indentOf(block.statement.span) === indent)
        : // What stands no deeper than a block itself stands no longer in it.
          open.findLastIndex((block) => !isIndented(block) || indentOf(block.statement.span) < indent);
    if (statement.kind === "close" && still === -1) return null;
    const count = open.length - 1 - still;
    return count === 0 ? null : { count, isMisplaced: false };
  },

  isStray(close, open) {
    const innermost = open.at(-1);
    if (innermost === undefined || !isIndented(innermost) || !isFirstOnLine(close.brace)) return false;
    return indentOf(close.brace) > indentOf(innermost.statement.span);
  },

  contentsBegin: () => null,
};

function isIndented({ statement, contentIndent }: OpenBlock): boolean {
  return contentIndent !== null && isFirstOnLine(statement.span) && contentIndent > indentOf(statement.span);
}

export function isFirstOnLine(span: Span): boolean {
  return textBefore(span).trim() === "";
}

/** How far the line of a span is indented, in columns, with tab stops every four. */
export function indentOf(span: Span): number {
  const line = span.file.lines[span.line - 1] ?? "";
  let indent = 0;
  for (const char of line) {
    if (char === "\t") indent += 4 - (indent % 4);
    else if (char === " ") indent++;
    else break;
  }
  return indent;
}
