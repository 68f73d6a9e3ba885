import { unreachable } from "../../base/assert.ts";
import type { Node } from "./ast.ts";
import { childrenOf } from "./ast.ts";

/** The number of bytes a node always takes, or undefined where it varies. `groups` holds the bodies of the groups. */
export function fixedLength(node: Node, groups: ReadonlyMap<number, Node>): number | undefined {
  switch (node.kind) {
    case "bytes":
      return 1;
    case "anchor":
    case "look":
      return 0;
    case "capture":
    case "atomic":
      return fixedLength(node.body, groups);
    case "sequence":
      return sum(node.items.map((item) => fixedLength(item, groups)));
    case "choice":
      return same(node.branches.map((branch) => fixedLength(branch, groups)));
    case "repeat": {
      const once = fixedLength(node.body, groups);
      return node.min === node.max && once !== undefined ? once * node.min : undefined;
    }
    case "backreference": {
      const body = groups.get(node.group);
      if (body === undefined) return undefined;
      // Without the group itself: one that refers to itself, directly or not, has no length.
      return fixedLength(body, new Map([...groups].filter(([group]) => group !== node.group)));
    }
    default:
      return unreachable(node);
  }
}

function sum(lengths: readonly (number | undefined)[]): number | undefined {
  let total = 0;
  for (const length of lengths) {
    if (length === undefined) return undefined;
    total += length;
  }
  return total;
}

function same(lengths: readonly (number | undefined)[]): number | undefined {
  return lengths.every((length) => length === lengths[0]) ? lengths[0] : undefined;
}

/** Whether a node can match without taking a byte. */
export function isNullable(node: Node): boolean {
  switch (node.kind) {
    case "bytes":
      return false;
    case "anchor":
    case "look":
    case "backreference":
      return true;
    case "capture":
    case "atomic":
      return isNullable(node.body);
    case "sequence":
      return node.items.every(isNullable);
    case "choice":
      return node.branches.some(isNullable);
    case "repeat":
      return node.min === 0 || isNullable(node.body);
    default:
      return unreachable(node);
  }
}

/** The groups within a node, in order. */
export function groupsIn(node: Node): readonly number[] {
  const inside = childrenOf(node).flatMap(groupsIn);
  return node.kind === "capture" ? [node.group, ...inside] : inside;
}

/** The groups that have a value whenever the node has matched. */
export function groupsAlwaysSet(node: Node): ReadonlySet<number> {
  switch (node.kind) {
    case "bytes":
    case "anchor":
    case "backreference":
      return new Set();
    case "capture":
      return new Set([node.group, ...groupsAlwaysSet(node.body)]);
    case "atomic":
      return groupsAlwaysSet(node.body);
    case "look":
      return node.negative ? new Set() : groupsAlwaysSet(node.body);
    case "sequence":
      return new Set(node.items.flatMap((item) => [...groupsAlwaysSet(item)]));
    case "choice": {
      const [first, ...others] = node.branches.map(groupsAlwaysSet);
      return new Set([...(first ?? [])].filter((group) => others.every((other) => other.has(group))));
    }
    case "repeat":
      return node.min === 0 ? new Set() : groupsAlwaysSet(node.body);
    default:
      return unreachable(node);
  }
}
