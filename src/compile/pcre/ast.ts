import { unreachable } from "../../base/assert.ts";
import type { ByteSet } from "./byte-set.ts";

/**
 * A PCRE pattern, parsed. Options (`(?i)`, `(?s)`, `(?x)`, …), quoting, comments and the many spellings of one thing are
 * gone: `.`, `\d`, `[[:alpha:]]` and a case-insensitive `a` are all sets of bytes, a possessive `a++` is an atomic group.
 */
export type Node =
  | { readonly kind: "bytes"; readonly set: ByteSet }
  | { readonly kind: "sequence"; readonly items: readonly Node[] }
  | { readonly kind: "choice"; readonly branches: readonly Node[] }
  | { readonly kind: "capture"; readonly group: number; readonly body: Node }
  | {
      readonly kind: "repeat";
      readonly body: Node;
      readonly min: number;
      readonly max: number;
      readonly lazy: boolean;
    }
  | { readonly kind: "atomic"; readonly body: Node }
  | { readonly kind: "look"; readonly behind: boolean; readonly negative: boolean; readonly body: Node }
  | { readonly kind: "anchor"; readonly at: Anchor }
  | BackreferenceNode;

export type BackreferenceNode = {
  readonly kind: "backreference";
  readonly group: number;
  readonly caseless: boolean;
  /** Where in the pattern it stands, for the error of one that cannot be translated. */
  readonly offset: number;
};

/** Tests of a place between bytes. `finalEnd` also holds before a newline that ends the subject: PCRE's `$` and `\Z`. */
export type Anchor =
  | "start"
  | "lineStart"
  | "end"
  | "finalEnd"
  | "lineEnd"
  | "wordBoundary"
  | "notWordBoundary";

export const emptyNode: Node = { kind: "sequence", items: [] };

export function sequenceOf(items: readonly Node[]): Node {
  const [only] = items;
  return items.length === 1 && only !== undefined ? only : { kind: "sequence", items };
}

export function choiceOf(branches: readonly Node[]): Node {
  const [only] = branches;
  return branches.length === 1 && only !== undefined ? only : { kind: "choice", branches };
}

/** The direct parts of a node. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "sequence":
      return node.items;
    case "choice":
      return node.branches;
    case "capture":
    case "repeat":
    case "atomic":
    case "look":
      return [node.body];
    case "bytes":
    case "anchor":
    case "backreference":
      return [];
    default:
      return unreachable(node);
  }
}
