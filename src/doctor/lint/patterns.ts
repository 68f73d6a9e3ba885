import { byteStringFromText } from "../../base/bytes.ts";
import { childrenOf, type Node } from "../../compile/pcre/ast.ts";
import { compilePcre } from "../../compile/pcre/compile-pcre.ts";
import { parsePattern } from "../../compile/pcre/parse.ts";
import { PatternError } from "../../compile/pcre/pattern-error.ts";
import { riskOf } from "../../compile/pcre/risk.ts";

/** Compiled before: one pattern is held against many paths, and many servers have the same. */
const known = new Map<string, ReturnType<typeof compilePcre>>();
const knownMax = 1000;

/** Whether a PCRE matches somewhere in a text, or undefined where the pattern cannot be read. */
export function patternMatches(pattern: string, isCaseless: boolean, text: string): boolean | undefined {
  const key = `${isCaseless ? "~*" : "~"}${pattern}`;
  const compiled =
    known.get(key) ?? compilePcre(byteStringFromText(pattern), { caseInsensitive: isCaseless });
  if (known.size < knownMax) known.set(key, compiled);
  return compiled.ok ? compiled.regexp.test(byteStringFromText(text)) : undefined;
}

/** Whether a text can be made for a PCRE that takes it exponential time: a repetition in another one, read in many ways. */
export function mayTakeVeryLong(pattern: string): boolean {
  try {
    const { root } = parsePattern(byteStringFromText(pattern), false);
    return hasNestedRepetition(root, false) && riskOf(root) === "steep";
  } catch (error) {
    if (error instanceof PatternError) return false;
    throw error;
  }
}

function hasNestedRepetition(node: Node, isInside: boolean): boolean {
  const repeats = node.kind === "repeat" && node.max === Infinity;
  if (repeats && isInside) return true;
  return childrenOf(node).some((child) => hasNestedRepetition(child, isInside || repeats));
}
