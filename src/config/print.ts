import type { SourceFile } from "./position.ts";
import type { Directive, Quote, Tree, Word } from "./tree.ts";

/**
 * A tree as configuration text: one directive a line, four spaces for each block, comments and includes gone. Parsing
 * the text gives the same words in the same blocks.
 */
export function printTree(tree: Pick<Tree, "directives">): string {
  return printDirectives(tree.directives, "");
}

/** What `-T` prints after the test: every file that was read, as it is, each under its name. */
export function printFiles(files: readonly SourceFile[]): string {
  return files.map((file) => `# configuration file ${file.name}:\n${file.text}\n`).join("");
}

function printDirectives(directives: readonly Directive[], indent: string): string {
  return directives.map((directive) => printDirective(directive, indent)).join("");
}

function printDirective({ name, args, block }: Directive, indent: string): string {
  const words = [name, ...args].map(printWord).join(" ");
  if (block === null) return `${indent}${words};\n`;
  if (block.length === 0) return `${indent}${words} {}\n`;
  return `${indent}${words} {\n${printDirectives(block, `${indent}    `)}${indent}}\n`;
}

/** The word in the quotes it had, or in some where it needs them. */
export function printWord(word: Pick<Word, "text" | "quote">): string {
  const quote = word.quote ?? (canStandBare(word.text) ? null : betterQuote(word.text));
  return quote === null ? escapeBare(word.text) : quote + escapeQuoted(word.text, quote) + quote;
}

function betterQuote(text: string): Quote {
  return text.includes('"') && !text.includes("'") ? "'" : '"';
}

/**
 * The text piece by piece as the lexer will see it: a backslash together with the character it protects, where the
 * two are no escape, and any other character alone.
 */
function pieces(text: string): string[] {
  return text.match(/\\(?!["'\\trn]|$)[^]|[^]/g) ?? [];
}

/** Whether the lexer would read the text, once escaped, as one word without quotes. */
function canStandBare(text: string): boolean {
  // At the beginning of a word these mean a comment, the end of a block, and nothing.
  if (text === "" || /^[#}\ufeff]/.test(text)) return false;
  let afterDollar = false;
  for (const piece of pieces(text)) {
    if (piece === " " || piece === ";") return false;
    if (piece === "{" && !afterDollar) return false;
    afterDollar = piece === "$" || piece === "{";
  }
  return true;
}

function escapeBare(text: string): string {
  const escapes: Readonly<Record<string, string>> = { "\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\" };
  const escaped = pieces(text).map((piece) => escapes[piece] ?? piece);
  // Only at the beginning of a word is a quote more than a character.
  return escaped.join("").replace(/^["']/, "\\$&");
}

/** Backslashes that need not be doubled are not, so that regular expressions look as their author wrote them. */
function escapeQuoted(text: string, quote: Quote): string {
  return pieces(text)
    .map((piece) => (piece === quote || piece === "\\" ? `\\${piece}` : piece))
    .join("");
}
