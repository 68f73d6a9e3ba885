/** Comments that say: this is meant. `# wsgate-lint: ignore rule-name, other-rule -- reason` */
import { type SourceFile, type Span, spanBetween } from "../../config/position.ts";

export interface IgnoreComment {
  readonly span: Span;
  readonly rules: readonly string[];
  /** The line that it speaks of: its own, or the next with anything but comments where it stands alone. */
  readonly line: number;
}

const COMMENT = /(?<=^|[\s;{}])#[ \t]*wsgate-lint:[ \t]*(.*)$/dm;

/** The comments of a file; `malformed` are those that say something else than `ignore` and names. */
export function readIgnores(file: SourceFile): {
  readonly ignores: readonly IgnoreComment[];
  readonly malformed: readonly Span[];
} {
  const ignores: IgnoreComment[] = [];
  const malformed: Span[] = [];
  for (const [index, line] of file.lines.entries()) {
    const match = COMMENT.exec(line);
    if (match === null) continue;
    const start = (file.lineStarts[index] ?? 0) + match.index;
    const span = spanBetween(file, start, start + match[0].trimEnd().length);
    const [words = ""] = (match[1] ?? "").split("--");
    const names = /^ignore[ \t]+([a-z0-9, \t-]+)$/.exec(words.trimEnd())?.[1];
    if (names === undefined) {
      malformed.push(span);
      continue;
    }
    ignores.push({
      span,
      rules: names.split(/[,\s]+/).filter((name) => name !== ""),
      line: line.slice(0, match.index).trim() === "" ? nextLineWithContent(file, index) : index + 1,
    });
  }
  return { ignores, malformed };
}

/** Counted from 1. */
function nextLineWithContent(file: SourceFile, index: number): number {
  const next = file.lines.findIndex((line, i) => i > index && !/^\s*(#|$)/.test(line));
  return next === -1 ? index + 1 : next + 1;
}
