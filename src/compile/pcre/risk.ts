import { unreachable } from "../../base/assert.ts";
import { isNullable } from "./analyse.ts";
import { automatonOf, type Automaton } from "./automaton.ts";
import type { Node } from "./ast.ts";
import { childrenOf } from "./ast.ts";
import { allBytes, type ByteSet } from "./byte-set.ts";

/**
 * How the time of a backtracking matcher may grow with the length of a subject made to annoy it. `steep` is exponential,
 * a third or higher power, or too tangled to tell.
 */
export type Risk = "none" | "quadratic" | "steep";

/**
 * Judges a pattern by the number of ways in which one subject can be read by it (Weber and Seidl, "On the degree of
 * ambiguity of finite automata", 1991). Exponential, if some part of the pattern can be gone round in two ways on the
 * same bytes, as in `(a+)+`; a power, if one loop may hand over to another anywhere in the same bytes, as in `.*a.*b`.
 */
export function riskOf(root: Node): Risk {
  if (choiceBits(root) > choiceBitsMax) return "steep";
  const automaton = automatonOf(root);
  if (automaton === undefined) return "steep";
  const search = new AmbiguitySearch(automaton);
  const degree = search.degree();
  if (search.gaveUp || degree > 2) return "steep";
  return degree === 2 ? "quadratic" : "none";
}

/** Up to 2^16 ways that do not depend on the length of the subject are not worth a word. */
const choiceBitsMax = 16;

/**
 * An upper bound on the ways through a pattern that come from counted repetitions and alternatives, as a power of two:
 * `(a?){30}a{30}` has no loop and still 2^30 of them.
 */
function choiceBits(node: Node): number {
  switch (node.kind) {
    case "repeat": {
      if (node.max > 1 && (isNullable(node.body) || hasEmptyChoice(node.body))) return Infinity;
      const once = choiceBits(node.body);
      if (node.max === Infinity) return once * Math.max(node.min, 1);
      return once * node.max + Math.log2(node.max - node.min + 1);
    }
    case "choice": {
      const most = Math.max(...node.branches.map(choiceBits));
      return most + (areDistinct(node.branches) ? 0 : Math.log2(node.branches.length));
    }
    default:
      return childrenOf(node).reduce((bits, child) => bits + choiceBits(child), 0);
  }
}

/** Whether some part can match nothing in more than one way, as `(?:a*|b*)` can: in a loop, that doubles at each turn. */
function hasEmptyChoice(node: Node): boolean {
  return waysToBeEmpty(node) > 1 || childrenOf(node).some(hasEmptyChoice);
}

function waysToBeEmpty(node: Node): number {
  switch (node.kind) {
    case "bytes":
      return 0;
    case "anchor":
    case "look":
    case "backreference":
      return 1;
    case "capture":
    case "atomic":
      return waysToBeEmpty(node.body);
    case "sequence":
      return node.items.reduce((ways, item) => ways * waysToBeEmpty(item), 1);
    case "choice":
      return node.branches.reduce((ways, branch) => ways + waysToBeEmpty(branch), 0);
    case "repeat":
      return waysToBeEmpty(node.body) + (node.min === 0 ? 1 : 0);
    default:
      return unreachable(node);
  }
}

/** Whether no two branches can read the same bytes, as far as their fixed beginnings tell. */
function areDistinct(branches: readonly Node[]): boolean {
  const beginnings = branches.map(fixedBeginning);
  return beginnings.every((beginning, index) =>
    beginnings
      .slice(index + 1)
      .every((other) => beginning.some((set, at) => (set & (other[at] ?? allBytes)) === 0n)),
  );
}

function fixedBeginning(node: Node): readonly ByteSet[] {
  const sets: ByteSet[] = [];
  for (const item of node.kind === "sequence" ? node.items : [node]) {
    if (item.kind !== "bytes") break;
    sets.push(item.set);
  }
  return sets;
}

/** Steps of the search; some hundred milliseconds, which only a pattern with many loops over the same bytes takes. */
const stepsMax = 400_000;

class AmbiguitySearch {
  gaveUp = false;
  readonly #automaton: Automaton;
  /** The loop, a strongly connected part of the graph, that a position lies in; none if it lies in no loop. */
  readonly #loopOf: readonly (number | undefined)[];
  readonly #loops: readonly (readonly number[])[];
  readonly #reach: readonly ReadonlySet<number>[];
  #steps = 0;

  constructor(automaton: Automaton) {
    this.#automaton = automaton;
    const loops = loopsOf(automaton.next);
    this.#loops = loops;
    const loopOf: (number | undefined)[] = automaton.next.map(() => undefined);
    for (const [index, loop] of loops.entries()) for (const position of loop) loopOf[position] = index;
    this.#loopOf = loopOf;
    this.#reach = loops.map((loop) => reachable(automaton.next, loop[0] ?? 0));
  }

  /** The power of the length with which the number of ways grows: infinite where it grows exponentially. */
  degree(): number {
    if (this.#automaton.doubled.some(({ from, to }) => this.#inOneLoop(from, to))) return Infinity;
    if (this.#loops.some((loop) => this.#goesRoundInTwoWays(loop))) return Infinity;
    const known = new Map<number, number>();
    return this.#loops.reduce((max, _, loop) => Math.max(max, this.#degreeFrom(loop, known)), 0);
  }

  #inOneLoop(from: number, to: number): boolean {
    return this.#loopOf[from] !== undefined && this.#loopOf[from] === this.#loopOf[to];
  }

  /** Whether two readers who start together may part and meet again, having read the same bytes. */
  #goesRoundInTwoWays(loop: readonly number[]): boolean {
    const [home] = loop;
    if (home === undefined || loop.length === 1) return false;
    const isInLoop = (position: number): boolean => this.#inOneLoop(home, position);
    // Whether they have parted yet is the third coordinate.
    return this.#search([home, home, 0], [home, home, 1], ([a, b, parted]) => {
      const steps: Triple[] = [];
      for (const [nextA, nextB] of this.#together(a, b)) {
        if (isInLoop(nextA) && isInLoop(nextB)) steps.push([nextA, nextB, parted || nextA !== nextB ? 1 : 0]);
      }
      return steps;
    });
  }

  #degreeFrom(loop: number, known: Map<number, number>): number {
    const memo = known.get(loop);
    if (memo !== undefined) return memo;
    let degree = 1;
    for (const [other, positions] of this.#loops.entries()) {
      if (other === loop || !this.#reach[loop]?.has(positions[0] ?? -1)) continue;
      const after = this.#degreeFrom(other, known);
      degree = Math.max(degree, after + (after >= degree && this.#handsOver(loop, other) ? 1 : 0));
    }
    known.set(loop, degree);
    return degree;
  }

  /** Whether some bytes lead round the first loop, round the second, and from the first to the second. */
  #handsOver(first: number, second: number): boolean {
    for (const p of this.#loops[first] ?? []) {
      for (const q of this.#loops[second] ?? []) {
        const found = this.#search([p, p, q], [p, q, q], ([a, b, c]) => {
          const steps: Triple[] = [];
          for (const [nextA, nextC] of this.#together(a, c)) {
            if (this.#loopOf[nextA] !== first || this.#loopOf[nextC] !== second) continue;
            const common = this.#set(nextA) & this.#set(nextC);
            for (const nextB of this.#automaton.next[b] ?? []) {
              if ((this.#set(nextB) & common) !== 0n) steps.push([nextA, nextB, nextC]);
            }
          }
          return steps;
        });
        if (found) return true;
      }
    }
    return false;
  }

  /** The places two readers can be at after one more byte that suits both. */
  *#together(a: number, b: number): Generator<readonly [number, number]> {
    for (const nextA of this.#automaton.next[a] ?? []) {
      for (const nextB of this.#automaton.next[b] ?? []) {
        if ((this.#set(nextA) & this.#set(nextB)) !== 0n) yield [nextA, nextB];
      }
    }
  }

  #set(position: number): bigint {
    return this.#automaton.sets[position] ?? 0n;
  }

  #search(from: Triple, goal: Triple, stepsFrom: (state: Triple) => readonly Triple[]): boolean {
    const goalKey = goal.join();
    const seen = new Set<string>();
    const queue = [from];
    for (let state = queue.pop(); state !== undefined; state = queue.pop()) {
      for (const next of stepsFrom(state)) {
        this.#steps++;
        if (this.#steps > stepsMax) {
          this.gaveUp = true;
          return false;
        }
        const key = next.join();
        if (key === goalKey) return true;
        if (seen.has(key)) continue;
        seen.add(key);
        queue.push(next);
      }
    }
    return false;
  }
}

type Triple = readonly [number, number, number];

function reachable(next: readonly ReadonlySet<number>[], from: number): ReadonlySet<number> {
  const seen = new Set<number>();
  const queue = [from];
  for (let position = queue.pop(); position !== undefined; position = queue.pop()) {
    for (const successor of next[position] ?? []) {
      if (seen.has(successor)) continue;
      seen.add(successor);
      queue.push(successor);
    }
  }
  return seen;
}

/** The strongly connected parts with at least one edge: sets of positions that can all be reached from one another. */
function loopsOf(next: readonly ReadonlySet<number>[]): number[][] {
  const reach = new Map<number, ReadonlySet<number>>();
  for (const position of next.keys()) {
    const seen = reachable(next, position);
    if (seen.has(position)) reach.set(position, seen);
  }
  const loops: number[][] = [];
  const placed = new Set<number>();
  for (const [position, seen] of reach) {
    if (placed.has(position)) continue;
    const loop = [...seen].filter((other) => reach.get(other)?.has(position));
    for (const member of loop) placed.add(member);
    loops.push(loop);
  }
  return loops;
}
