import { assert, unreachable } from "../../base/assert.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Anchor } from "./ast.ts";
import { hasByte, wordBytes } from "./byte-set.ts";
import type { MatcherProgram } from "./matcher-program.ts";

/**
 * Runs a program on a subject, as PCRE would: by trying one way after the other, in order, and going back. What PCRE
 * does not do is remember. A step from which no way led to the end, at a place in the subject, leads nowhere the second
 * time either, since nothing but the two decides what follows; and within a lookaround or an atomic group, a step that
 * led to its end will do so again. So each step is tried once at each place, and the time a match takes is bounded by
 * the length of the program times the length of the subject, where PCRE and V8 may need time exponential in the length.
 *
 * Returns the places remembered in the slots, -1 where unset, or null.
 */
export function runMatcherProgram(program: MatcherProgram, subject: ByteString): Int32Array | null {
  const run = new Run(program, subject);
  for (let start = 0; start <= subject.length; start++) {
    if (run.match(0, start) === noMatch) continue;
    if (!program.hasInnerCaptures) return run.slotsOfMatch(start);
    // What was skipped has not captured. Once more, now that every wrong way is known.
    run.startAnew();
    run.match(0, start);
    return run.slotsOfMatch(start);
  }
  return null;
}

const noMatch = -1;

/** What lies on the stack, three numbers each: a kind and two values. */
const tryOther = 0; // a split, a place: its second way is left to try
const concludeHopeless = 1; // a step, a place: all its ways are being tried
const restore = 2; // a slot, its former value

/** What is known of a step at a place. */
const unknown = 0;
const hopeless = 1;
const accepting = 2;

class Run {
  readonly #program: MatcherProgram;
  readonly #subject: ByteString;
  readonly #slots: Int32Array;
  #stack: number[] = [];
  /** For each step that had to choose, what is known of it at each place. */
  readonly #known: (Uint8Array | undefined)[] = [];
  /** Where the lookaround or atomic group ends that an accepting step belongs to. */
  readonly #ends: (Int32Array | undefined)[] = [];
  #maySkip = true;
  #end = noMatch;
  #resumeStep = 0;
  #resumeAt = 0;

  constructor(program: MatcherProgram, subject: ByteString) {
    this.#program = program;
    this.#subject = subject;
    this.#slots = new Int32Array(program.slotCount).fill(noMatch);
  }

  /** Forgets the match, but not what has been learnt. From now on every capture is made. */
  startAnew(): void {
    this.#slots.fill(noMatch);
    this.#stack = [];
    this.#maySkip = false;
  }

  slotsOfMatch(start: number): Int32Array {
    this.#slots[0] = start;
    this.#slots[1] = this.#end;
    return this.#slots;
  }

  /**
   * Matches from a step to the next `accept`. Returns the place reached, and leaves on the stack only what is needed to
   * undo the captures; or returns `noMatch`, with captures and stack as they were.
   */
  match(start: number, from: number): number {
    const { steps } = this.#program;
    const subject = this.#subject;
    const floor = this.#stack.length;
    let step = start;
    let at = from;
    for (;;) {
      const instruction = steps[step];
      assert(instruction !== undefined, "a program ends with accept");
      let succeeds = true;
      switch (instruction.op) {
        case "byte":
          succeeds = at < subject.length && instruction.table[subject.charCodeAt(at)] === 1;
          step++;
          at++;
          break;
        case "split": {
          const known = this.#recall(step, at);
          if (known === accepting) return this.#accept(floor, this.#ends[step]?.[at] ?? noMatch);
          succeeds = known !== hopeless;
          if (succeeds) this.#stack.push(tryOther, step, at);
          step = instruction.first;
          break;
        }
        case "jump":
          step = instruction.to;
          break;
        case "save":
          this.#stack.push(restore, instruction.slot, this.#slots[instruction.slot] ?? noMatch);
          this.#slots[instruction.slot] = at;
          step++;
          break;
        case "leaveIfEmpty":
          step = this.#slots[instruction.slot] === at ? instruction.exit : step + 1;
          break;
        case "anchor":
          succeeds = this.#holds(instruction.at, at);
          step++;
          break;
        case "atomic":
        case "look": {
          const known = this.#recall(step, at);
          if (known === accepting) return this.#accept(floor, this.#ends[step]?.[at] ?? noMatch);
          succeeds = known !== hopeless;
          if (!succeeds) break;
          this.#stack.push(concludeHopeless, step, at);
          if (instruction.op === "atomic") {
            at = this.match(step + 1, at);
            succeeds = at !== noMatch;
          } else {
            succeeds = this.#look(step + 1, at - instruction.back, instruction.negative);
          }
          step = instruction.next;
          break;
        }
        case "accept":
          return this.#accept(floor, at);
        default:
          unreachable(instruction);
      }
      if (succeeds) continue;
      if (!this.#goBack(floor)) return noMatch;
      step = this.#resumeStep;
      at = this.#resumeAt;
    }
  }

  #recall(step: number, at: number): number {
    const known = this.#known[step]?.[at] ?? unknown;
    return known === accepting && !this.#maySkip ? unknown : known;
  }

  #learn(step: number, at: number, fact: number): void {
    const facts = (this.#known[step] ??= new Uint8Array(this.#subject.length + 1));
    facts[at] = fact;
  }

  #look(start: number, from: number, negative: boolean): boolean {
    if (from < 0) return negative;
    const floor = this.#stack.length;
    const found = this.match(start, from) !== noMatch;
    if (found && negative) this.#goBack(floor);
    return found !== negative;
  }

  /** Goes back to the last way not tried. False if there is none above `floor`. */
  #goBack(floor: number): boolean {
    const stack = this.#stack;
    while (stack.length > floor) {
      const second = stack.pop() ?? noMatch;
      const first = stack.pop() ?? noMatch;
      const kind = stack.pop();
      if (kind === restore) {
        this.#slots[first] = second;
      } else if (kind === concludeHopeless) {
        this.#learn(first, second, hopeless);
      } else {
        const split = this.#program.steps[first];
        assert(split?.op === "split", "only a split has a second way");
        stack.push(concludeHopeless, first, second);
        this.#resumeStep = split.second;
        this.#resumeAt = second;
        return true;
      }
    }
    return false;
  }

  /** Gives up every way not tried above `floor`, since one has led to the end, and keeps what undoes the captures. */
  #accept(floor: number, end: number): number {
    const stack = this.#stack;
    let kept = floor;
    for (let i = floor; i < stack.length; i += 3) {
      if (stack[i] === restore) {
        stack.copyWithin(kept, i, i + 3);
        kept += 3;
      } else if (floor > 0) {
        // Above 0 lies what belongs to a lookaround or an atomic group. The program itself ends only once.
        this.#learnAccepting(stack[i + 1] ?? 0, stack[i + 2] ?? 0, end);
      }
    }
    stack.length = kept;
    this.#end = end;
    return end;
  }

  #learnAccepting(step: number, at: number, end: number): void {
    this.#learn(step, at, accepting);
    const ends = (this.#ends[step] ??= new Int32Array(this.#subject.length + 1));
    ends[at] = end;
  }

  #holds(anchor: Anchor, at: number): boolean {
    const { length } = this.#subject;
    switch (anchor) {
      case "start":
        return at === 0;
      case "end":
        return at === length;
      case "finalEnd":
        return at === length || (at === length - 1 && this.#isNewline(at));
      case "lineStart":
        return at === 0 || (at < length && this.#isNewline(at - 1));
      case "lineEnd":
        return at === length || this.#isNewline(at);
      case "wordBoundary":
        return this.#isWord(at - 1) !== this.#isWord(at);
      case "notWordBoundary":
        return this.#isWord(at - 1) === this.#isWord(at);
      default:
        return unreachable(anchor);
    }
  }

  #isNewline(at: number): boolean {
    return this.#subject.charCodeAt(at) === 0x0a;
  }

  #isWord(at: number): boolean {
    return at >= 0 && at < this.#subject.length && wordTable[this.#subject.charCodeAt(at)] === 1;
  }
}

const wordTable = Uint8Array.from({ length: 256 }, (_, byte) => (hasByte(wordBytes, byte) ? 1 : 0));
