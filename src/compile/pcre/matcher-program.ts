import { assert, unreachable } from "../../base/assert.ts";
import { fixedLength, groupsIn, isNullable } from "./analyse.ts";
import type { Anchor, Node } from "./ast.ts";
import { childrenOf, choiceOf } from "./ast.ts";
import { hasByte, type ByteSet } from "./byte-set.ts";
import { syntaxError } from "./pattern-error.ts";

/** One step of a program; where nothing else is said, the next step follows. */
export type Instruction =
  /** The byte here is in the table: go on behind it. */
  | { readonly op: "byte"; readonly table: Uint8Array }
  /** Two ways lead on; `second` is for when `first` has led nowhere. */
  | { readonly op: "split"; first: number; second: number }
  | { readonly op: "jump"; to: number }
  /** Remember the place in a slot: 2n and 2n + 1 are start and end of group n, then come the starts of iterations. */
  | { readonly op: "save"; readonly slot: number }
  /** Go to `exit` if nothing was taken since the slot was saved: an iteration that takes nothing is the last. */
  | { readonly op: "leaveIfEmpty"; readonly slot: number; exit: number }
  | { readonly op: "anchor"; readonly at: Anchor }
  /** Match the program at the next step without a way back into it, go on at `next` behind what it took. */
  | { readonly op: "atomic"; next: number }
  /** Match the program at the next step, `back` bytes before this place, go on at `next` from this place. */
  | { readonly op: "look"; readonly back: number; readonly negative: boolean; next: number }
  /** The end of the program, or of what an `atomic` or `look` matches. */
  | { readonly op: "accept" };

export type MatcherProgram = {
  readonly steps: readonly Instruction[];
  readonly groupCount: number;
  readonly slotCount: number;
  /** Whether an `atomic` or `look` holds captures, which a matcher that skips over it would miss. */
  readonly hasInnerCaptures: boolean;
};

/** Counted repetitions are written out, so a pattern can be longer than it looks; PCRE has a limit as well. */
const instructionsMax = 4_000;

/** Translates a tree without backreferences into a program for the matcher. Throws a `PatternError` if it is too large. */
export function compileMatcherProgram(root: Node, groupCount: number): MatcherProgram {
  return new ProgramWriter(groupCount).write(root);
}

class ProgramWriter {
  readonly #instructions: Instruction[] = [];
  readonly #tables = new Map<ByteSet, Uint8Array>();
  readonly #groupCount: number;
  #slotCount: number;

  constructor(groupCount: number) {
    this.#groupCount = groupCount;
    this.#slotCount = 2 * (groupCount + 1);
  }

  write(root: Node): MatcherProgram {
    this.#node(root);
    this.#push({ op: "accept" });
    return {
      steps: this.#instructions,
      groupCount: this.#groupCount,
      slotCount: this.#slotCount,
      hasInnerCaptures: hasInnerCaptures(root),
    };
  }

  #push<Step extends Instruction>(instruction: Step): Step {
    if (this.#instructions.length >= instructionsMax) syntaxError("tooLarge", 0, "Repeat fewer times.");
    this.#instructions.push(instruction);
    return instruction;
  }

  get #here(): number {
    return this.#instructions.length;
  }

  #node(node: Node): void {
    switch (node.kind) {
      case "bytes":
        this.#push({ op: "byte", table: this.#table(node.set) });
        return;
      case "anchor":
        this.#push({ op: "anchor", at: node.at });
        return;
      case "sequence":
        for (const item of node.items) this.#node(item);
        return;
      case "choice":
        this.#choice(node.branches);
        return;
      case "capture":
        this.#push({ op: "save", slot: 2 * node.group });
        this.#node(node.body);
        this.#push({ op: "save", slot: 2 * node.group + 1 });
        return;
      case "repeat":
        this.#repeat(node);
        return;
      case "atomic": {
        const atomic = this.#push({ op: "atomic", next: 0 });
        this.#node(node.body);
        this.#push({ op: "accept" });
        atomic.next = this.#here;
        return;
      }
      case "look":
        this.#look(node);
        return;
      case "backreference":
        assert(false, "the matcher is not asked to follow backreferences");
        return;
      default:
        unreachable(node);
    }
  }

  #choice(branches: readonly Node[]): void {
    const jumps: { op: "jump"; to: number }[] = [];
    for (const [index, branch] of branches.entries()) {
      if (index === branches.length - 1) {
        this.#node(branch);
        break;
      }
      const split = this.#split();
      split.first = this.#here;
      this.#node(branch);
      jumps.push(this.#push({ op: "jump", to: 0 }));
      split.second = this.#here;
    }
    for (const jump of jumps) jump.to = this.#here;
  }

  /** As in PCRE: `X{2,4}` is `XX(?:X(?:X)?)?`, `X{2,}` is `XX+`, `X*` is `(?:X+)?`. */
  #repeat({ body, min, max, lazy }: Node & { kind: "repeat" }): void {
    const loops = max === Infinity;
    const certain = loops ? Math.max(min - 1, 0) : min;
    for (let i = 0; i < certain; i++) this.#node(body);
    if (loops) {
      const split = min === 0 ? this.#openOptional(lazy) : undefined;
      this.#loop(body, lazy);
      if (split !== undefined) this.#closeOptional(split, lazy);
      return;
    }
    const splits: Split[] = [];
    for (let i = min; i < max; i++) {
      splits.push(this.#openOptional(lazy));
      this.#node(body);
    }
    for (const split of splits) this.#closeOptional(split, lazy);
  }

  #openOptional(lazy: boolean): Split {
    const split = this.#split();
    if (lazy) split.second = this.#here;
    else split.first = this.#here;
    return split;
  }

  #closeOptional(split: Split, lazy: boolean): void {
    if (lazy) split.first = this.#here;
    else split.second = this.#here;
  }

  /** `X+`. */
  #loop(body: Node, lazy: boolean): void {
    const top = this.#here;
    const slot = isNullable(body) ? this.#slotCount++ : undefined;
    if (slot !== undefined) this.#push({ op: "save", slot });
    this.#node(body);
    const leave = slot === undefined ? undefined : this.#push({ op: "leaveIfEmpty", slot, exit: 0 });
    const split = this.#split();
    const exit = this.#here;
    split.first = lazy ? exit : top;
    split.second = lazy ? top : exit;
    if (leave !== undefined) leave.exit = exit;
  }

  /** The branches of a lookbehind differ in length, so each is a lookbehind of its own. */
  #look(node: Node & { kind: "look" }): void {
    const { behind, negative, body } = node;
    if (behind && body.kind === "choice") {
      const looks: Node[] = body.branches.map((branch) => ({ kind: "look", behind, negative, body: branch }));
      if (negative) for (const look of looks) this.#node(look);
      else this.#node(choiceOf(looks));
      return;
    }
    const back = behind ? fixedLength(body, new Map()) : 0;
    assert(back !== undefined, "the parser has measured every lookbehind");
    const look = this.#push({ op: "look", back, negative, next: 0 });
    this.#node(body);
    this.#push({ op: "accept" });
    look.next = this.#here;
  }

  #split(): Split {
    return this.#push({ op: "split", first: 0, second: 0 });
  }

  #table(set: ByteSet): Uint8Array {
    const known = this.#tables.get(set);
    if (known !== undefined) return known;
    const table = Uint8Array.from({ length: 256 }, (_, byte) => (hasByte(set, byte) ? 1 : 0));
    this.#tables.set(set, table);
    return table;
  }
}

function hasInnerCaptures(node: Node): boolean {
  if (node.kind === "atomic" || node.kind === "look") return groupsIn(node).length > 0;
  return childrenOf(node).some(hasInnerCaptures);
}

type Split = Instruction & { op: "split" };
