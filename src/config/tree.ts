import type { SourceFile, Span } from "./position.ts";

/** The shape of a configuration once it is read: nested directives, their includes already put in place. */
export interface Tree {
  readonly directives: readonly Directive[];
  /** Every file that was read, each once, in the order of reading; the main file first. */
  readonly files: readonly SourceFile[];
}

/** `name args… ;` or `name args… { block }`. */
export interface Directive {
  readonly name: Word;
  readonly args: readonly Word[];
  /** What stands between the braces; null for a directive that ended with `;`. */
  readonly block: readonly Directive[] | null;
  /** From the first character of the name to the `;` or `{`. */
  readonly span: Span;
  readonly openBrace: Span | null;
  readonly closeBrace: Span | null;
  /**
   * The line that nginx names when it complains about this directive: the one with the `;` or `{`, which is where
   * nginx stands when it looks at the directive. It differs from the name's line where the arguments span lines.
   */
  readonly reportLine: number;
}

/** One word as nginx sees it, with the escapes resolved and the quotes taken off. */
export interface Word {
  readonly text: string;
  readonly quote: Quote | null;
  /** Over the word as written, the quotes included. */
  readonly span: Span;
}

export type Quote = '"' | "'";
