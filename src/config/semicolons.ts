import type { DiagnosticNote } from "./diagnostic.ts";
import { placeAfter, spanOver, textBefore, textBehind, type Span } from "./position.ts";
import type { Directive, Word } from "./tree.ts";

/**
 * A forgotten `;` is no error of syntax: the next directive becomes arguments of the first. It shows when the number
 * of arguments is wrong, and then the line breaks tell what was meant.
 */
export interface MissingSemicolon {
  /** The place where the `;` belongs. */
  readonly span: Span;
  readonly notes: readonly DiagnosticNote[];
  readonly suggestion: string;
  /** What was meant: the directive cut into two or more, for going on as if nothing was missing. */
  readonly repaired: readonly Directive[];
}

/**
 * Looks for a line inside the directive that begins with the name of a directive; null where none does. To be asked
 * once something is wrong, above all the number of arguments: `server_name` may rightly name hosts that are called
 * like directives. The fields of the answer fit into `directiveDiagnostic`.
 */
export function missingSemicolonHint(
  directive: Directive,
  isDirectiveName: (name: string) => boolean,
): MissingSemicolon | null {
  const words = [directive.name, ...directive.args];
  const starts = words.flatMap((word, index) =>
    index > 0 && word.quote === null && isFirstOnLine(word) && isDirectiveName(word.text) ? [index] : [],
  );
  const first = starts[0];
  const swallowed = words[first ?? -1];
  const last = words[(first ?? 0) - 1];
  if (swallowed === undefined || last === undefined) return null;
  return {
    span: placeAfter(last.span),
    notes: [
      {
        message: `so "${swallowed.text}" in line ${swallowed.span.line} is read as an argument of "${directive.name.text}"`,
      },
    ],
    suggestion: suggestSemicolon(last),
    repaired: cutDirective(directive, words, starts),
  };
}

/** Advice to put a `;` behind this word, in terms of what a person sees on the line. */
export function suggestSemicolon(last: Word): string {
  const { line } = placeAfter(last.span);
  const lookalike = /[；:,]$/.exec(last.text)?.[0];
  if (lookalike !== undefined && last.quote === null) {
    return `replace "${lookalike}" by ";" at the end of line ${line}`;
  }
  const behind = textBehind(last.span).trimStart();
  if (behind === "") return `add ";" at the end of line ${line}`;
  if (behind.startsWith("#")) return `add ";" before the comment in line ${line}`;
  return `add ";" before the "${behind[0]}" in line ${line}`;
}

function isFirstOnLine(word: Word): boolean {
  return textBefore(word.span).trim() === "";
}

function cutDirective(directive: Directive, words: readonly Word[], starts: readonly number[]): Directive[] {
  const bounds = [0, ...starts];
  return bounds.flatMap((start, index) => {
    const [name, ...args] = words.slice(start, bounds[index + 1]);
    if (name === undefined) return [];
    const isLast = index === bounds.length - 1;
    // The `;` or `{` that is there belongs to the last one, and so does the block.
    if (isLast) return [{ ...directive, name, args, span: spanOver(name.span, directive.span) }];
    const last = args.at(-1) ?? name;
    const cut: Directive = {
      name,
      args: args.map(withoutWideSemicolon),
      block: null,
      span: spanOver(name.span, last.span),
      openBrace: null,
      closeBrace: null,
      reportLine: placeAfter(last.span).line,
    };
    return [cut];
  });
}

/** A full-width semicolon at the end of a word is a semicolon that was typed in the wrong width. */
function withoutWideSemicolon(word: Word): Word {
  return word.quote === null && word.text.endsWith("；") ? { ...word, text: word.text.slice(0, -1) } : word;
}
