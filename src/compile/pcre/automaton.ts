import { unreachable } from "../../base/assert.ts";
import { isNullable } from "./analyse.ts";
import type { Node } from "./ast.ts";
import { childrenOf } from "./ast.ts";
import { allBytes, type ByteSet } from "./byte-set.ts";

/**
 * The ways a backtracking matcher can take through a subject, as a graph: each place in the pattern that takes a byte is
 * a position, and an edge says which position may come next. It knows no zero-width tests, so it holds more ways than
 * there are; a lookahead is a way that ends.
 */
export type Automaton = {
  readonly sets: readonly ByteSet[];
  readonly next: readonly ReadonlySet<number>[];
  /** Edges there are two ways to take, as in (a+)+ from a to a: by the inner loop and by the outer. */
  readonly doubled: readonly { readonly from: number; readonly to: number }[];
};

/** Undefined where the pattern has more than this many positions. */
const positionsMax = 2_000;
/** A group repeated more often than this counts as one repeated without bound. */
const copiesMax = 3;

export function automatonOf(root: Node): Automaton | undefined {
  const writer = new AutomatonWriter();
  const whole = writer.fragment(root);
  if (!startsAtStart(root)) {
    // The search for a place to begin is one more loop over the subject.
    const search = writer.position(allBytes);
    writer.connect([search], [search]);
    writer.connect([search], whole.first);
  }
  writer.remove(whole.open);
  return writer.isTooLarge ? undefined : writer;
}

type Fragment = {
  readonly first: readonly number[];
  readonly last: readonly number[];
  /** Of the last positions, those that no test follows: once there, the whole has matched and nothing goes back. */
  readonly open: readonly number[];
};

const nothing: Fragment = { first: [], last: [], open: [] };

class AutomatonWriter implements Automaton {
  readonly sets: ByteSet[] = [];
  readonly next: Set<number>[] = [];
  readonly doubled: { from: number; to: number }[] = [];

  readonly #possessive = new Set<number>();

  get isTooLarge(): boolean {
    return this.sets.length > positionsMax;
  }

  position(set: ByteSet): number {
    this.sets.push(set);
    this.next.push(new Set());
    return this.sets.length - 1;
  }

  connect(from: readonly number[], to: readonly number[]): void {
    if (this.isTooLarge) return;
    for (const source of from) {
      const successors = this.next[source];
      for (const target of to) {
        if (this.#possessive.has(source) && isSubset(this.sets[target], this.sets[source])) continue;
        if (successors?.has(target)) this.doubled.push({ from: source, to: target });
        successors?.add(target);
      }
    }
  }

  remove(positions: readonly number[]): void {
    for (const position of positions) {
      this.next[position] = new Set();
      this.sets[position] = 0n;
    }
  }

  fragment(node: Node): Fragment {
    if (this.isTooLarge) return nothing;
    switch (node.kind) {
      case "bytes":
        return this.#single(node.set);
      case "backreference": {
        // As long as whatever the group took.
        const single = this.#single(allBytes);
        this.connect(single.last, single.first);
        return single;
      }
      case "anchor":
        return nothing;
      case "look":
        return node.behind ? nothing : { ...nothing, first: this.fragment(node.body).first };
      case "capture":
        return this.fragment(node.body);
      case "atomic":
        return this.#atomic(node.body);
      case "sequence":
        return this.#sequence(node.items);
      case "choice": {
        const branches = node.branches.map((branch) => this.fragment(branch));
        return {
          first: branches.flatMap(({ first }) => first),
          last: branches.flatMap(({ last }) => last),
          open: branches.flatMap(({ open }) => open),
        };
      }
      case "repeat":
        return this.#repeat(node);
      default:
        return unreachable(node);
    }
  }

  /** What `a++` has left to others is no `a`; other atomic groups count as plain ones. */
  #atomic(body: Node): Fragment {
    const fragment = this.fragment(body);
    const isGreedyRun =
      body.kind === "repeat" && !body.lazy && body.max === Infinity && body.body.kind === "bytes";
    if (isGreedyRun) for (const position of fragment.last) this.#possessive.add(position);
    return fragment;
  }

  #single(set: ByteSet): Fragment {
    const position = this.position(set);
    return { first: [position], last: [position], open: [position] };
  }

  #sequence(items: readonly Node[]): Fragment {
    let first: readonly number[] = [];
    let last: readonly number[] = [];
    let open: readonly number[] = [];
    let isNullableSoFar = true;
    for (const item of items) {
      const fragment = this.fragment(item);
      this.connect(last, fragment.first);
      if (isNullableSoFar) first = first.concat(fragment.first);
      const nullable = isNullable(item);
      last = nullable ? last.concat(fragment.last) : fragment.last;
      open = nullable && !hasTest(item) ? open.concat(fragment.open) : fragment.open;
      isNullableSoFar &&= nullable;
    }
    return { first, last, open };
  }

  #repeat({ body, min, max }: Node & { kind: "repeat" }): Fragment {
    const isSingle = body.kind === "bytes" && max !== Infinity && max - min <= copiesMax;
    if (max > copiesMax && !isSingle) {
      const fragment = this.fragment(body);
      this.connect(fragment.last, fragment.first);
      // Once round is not enough.
      return min > 1 ? { ...fragment, open: [] } : fragment;
    }
    const optional: Node = { kind: "repeat", body, min: 0, max: 1, lazy: false };
    if (min === 0 && max === 1) return this.fragment(body);
    const copies = Array.from({ length: Math.min(max, min + copiesMax) }, (_, index) =>
      index < min ? body : optional,
    );
    return this.#sequence(copies.slice(-2 * copiesMax));
  }
}

function isSubset(part: ByteSet = 0n, whole: ByteSet = 0n): boolean {
  return (part & whole) === part;
}

function hasTest(node: Node): boolean {
  return isTest(node) || childrenOf(node).some(hasTest);
}

function isTest(node: Node): boolean {
  return node.kind === "anchor" || node.kind === "look";
}

/** Whether every way through the pattern begins with a test for the start of the subject. */
function startsAtStart(node: Node): boolean {
  switch (node.kind) {
    case "anchor":
      return node.at === "start";
    case "capture":
    case "atomic":
      return startsAtStart(node.body);
    case "choice":
      return node.branches.every(startsAtStart);
    case "sequence":
      return startsAtStartInSequence(node.items);
    case "repeat":
      return node.min > 0 && startsAtStart(node.body);
    case "look":
      return !node.behind && !node.negative && startsAtStart(node.body);
    case "bytes":
    case "backreference":
      return false;
    default:
      return unreachable(node);
  }
}

function startsAtStartInSequence(items: readonly Node[]): boolean {
  for (const item of items) {
    if (startsAtStart(item)) return true;
    if (!isTest(item)) return false;
  }
  return false;
}
