import { unreachable } from "../../base/assert.ts";
import type { BackreferenceNode, Node } from "./ast.ts";
import { childrenOf } from "./ast.ts";
import { groupsAlwaysSet, groupsIn, isNullable } from "./analyse.ts";
import { unsupported } from "./pattern-error.ts";

/**
 * Where a JavaScript regular expression cannot say what the pattern says, in words for a warning; undefined where it
 * can. The differences that matter:
 *
 * - JavaScript forgets the captures of a group at each new iteration, PCRE keeps the last ones.
 * - JavaScript refuses an iteration that takes nothing, PCRE accepts it and leaves the loop.
 * - JavaScript matches a lookbehind from right to left, so that an atomic group in it means something else.
 * - Two groups of one number exist only in PCRE.
 */
export function whyNotJavaScript(root: Node): string | undefined {
  const groups = groupsIn(root);
  if (new Set(groups).size !== groups.length) return "groups in (?|…) share a number";
  return whyNot(root, false);
}

function whyNot(node: Node, inLookbehind: boolean): string | undefined {
  if (node.kind === "atomic" && inLookbehind)
    return "an atomic group in a lookbehind has no counterpart in JavaScript";
  if (node.kind === "repeat" && node.max > 1) {
    const groups = capturesIn(node.body);
    const alwaysSet = groupsAlwaysSet(node.body);
    if (groups.some((group) => !alwaysSet.has(group)))
      return "a group in a repeated group keeps its capture of an earlier round";
    if (isNullable(node.body) && (groups.length > 0 || !takesNothingLast(node.body))) {
      return "a repeated group can match nothing";
    }
  }
  const inside = inLookbehind || (node.kind === "look" && node.behind);
  for (const child of childrenOf(node)) {
    const why = whyNot(child, inside);
    if (why !== undefined) return why;
  }
  return undefined;
}

/** The groups whose values are seen outside: those in a negative lookaround never have one. */
function capturesIn(node: Node): readonly number[] {
  if (node.kind === "look" && node.negative) return [];
  const inside = childrenOf(node).flatMap(capturesIn);
  return node.kind === "capture" ? [node.group, ...inside] : inside;
}

/**
 * Whether a nullable node tries to match nothing only after everything else: then it makes no difference how an empty
 * iteration is treated, since there was nothing else to find.
 */
function takesNothingLast(node: Node): boolean {
  switch (node.kind) {
    case "bytes":
    case "anchor":
    case "look":
    case "backreference":
      return true;
    case "capture":
    case "atomic":
      return takesNothingLast(node.body);
    case "sequence":
      return !isNullable(node) || node.items.every(takesNothingLast);
    case "choice":
      return node.branches.every(
        (branch, index) =>
          !isNullable(branch) || (index === node.branches.length - 1 && takesNothingLast(branch)),
      );
    case "repeat":
      return !node.lazy && (!isNullable(node.body) || takesNothingLast(node.body));
    default:
      return unreachable(node);
  }
}

/**
 * Refuses the backreferences that JavaScript would read differently: PCRE fails on a group without a value, JavaScript
 * takes it as empty, so the group must be certain to have matched before. Also PCRE compares without regard to case
 * where the reference is caseless, and forward within a lookbehind.
 */
export function checkBackreferences(root: Node): void {
  if (hasBackreference(root)) walkBackreferences(root, new Set(), false);
}

export function hasBackreference(node: Node): boolean {
  return node.kind === "backreference" || childrenOf(node).some(hasBackreference);
}

/** Follows a node with the groups that certainly have a value before it; returns those that have one behind it. */
function walkBackreferences(
  node: Node,
  set: ReadonlySet<number>,
  inLookbehind: boolean,
): ReadonlySet<number> {
  switch (node.kind) {
    case "backreference":
      checkBackreference(node, set);
      return set;
    case "sequence": {
      if (inLookbehind) {
        // Matched from right to left: nothing to the left of a reference has a value yet.
        for (const item of node.items) walkBackreferences(item, set, true);
        return set;
      }
      return node.items.reduce((before, item) => walkBackreferences(item, before, false), set);
    }
    case "look":
      walkBackreferences(node.body, set, node.behind);
      break;
    default:
      for (const child of childrenOf(node)) walkBackreferences(child, set, inLookbehind);
  }
  return new Set([...set, ...groupsAlwaysSet(node)]);
}

function checkBackreference(node: BackreferenceNode, set: ReadonlySet<number>): void {
  if (node.caseless) {
    unsupported("a case-insensitive backreference", node.offset, "Match it with case, or compare in a map.");
  }
  if (!set.has(node.group)) {
    const construct = `a backreference to group ${node.group}, which may not have matched before it,`;
    unsupported(construct, node.offset, "Put the reference behind the group, in the same alternative.");
  }
}
