import type { ByteSet } from "./byte-set.ts";
import { byteRange, complement, emptySet, foldCase, posixClasses, singleByte } from "./byte-set.ts";
import type { Cursor } from "./cursor.ts";
import { readEscape } from "./parse-escape.ts";
import { syntaxError } from "./pattern-error.ts";

export type ClassOptions = {
  readonly caseless: boolean;
  /** `(?xx)`: spaces and tabs in a class are ignored. */
  readonly ignoreBlanks: boolean;
};

/** One thing in a class: a byte that may begin or end a range, or a set that may not. */
type Member =
  | { readonly kind: "byte"; readonly byte: number }
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "end" };

/** Reads a character class; the cursor stands behind its `[`. Returns the set of bytes it matches. */
export function readClass(cursor: Cursor, options: ClassOptions): ByteSet {
  return new ClassReader(cursor, options).read();
}

/** `[:name:]`, `[.name.]` or `[=name=]`; the cursor stands behind the `[`. */
export function looksLikePosixClass(cursor: Cursor): boolean {
  const shape = posixShapes.get(cursor.peek());
  if (shape === undefined) return false;
  shape.lastIndex = cursor.offset;
  return shape.test(cursor.pattern);
}

/** As PCRE looks for it: up to the same character before a `]`, with no other `]` between but an escaped one. */
const posixShapes: ReadonlyMap<string, RegExp> = new Map(
  [":", ".", "="].map((mark) => [
    mark,
    new RegExp(`[${mark}](?:\\\\[\\]\\\\]|(?!\\[[${mark}]|[${mark}]\\]|\\])[^])*[${mark}]\\]`, "y"),
  ]),
);

const hyphenHint = "Put the hyphen last in the class, or write it as \\-.";

class ClassReader {
  readonly #cursor: Cursor;
  readonly #options: ClassOptions;
  #quoting = false;

  constructor(cursor: Cursor, options: ClassOptions) {
    this.#cursor = cursor;
    this.#options = options;
  }

  read(): ByteSet {
    this.#skipIgnored();
    const negated = this.#cursor.take("^");
    let set = emptySet;
    // A bracket in first place is a member, so that []abc] is a class of four.
    for (let member = this.#readMember("first"); member.kind !== "end"; member = this.#readMember("other")) {
      set |= member.kind === "set" ? this.#readAfterSet(member.set) : this.#readRangeFrom(member.byte);
    }
    const folded = this.#options.caseless ? foldCase(set) : set;
    return negated ? complement(folded) : folded;
  }

  /** A set cannot begin a range: `[\d-z]` is an error, `[\d-]` is not. */
  #readAfterSet(set: ByteSet): ByteSet {
    this.#skipIgnored();
    if (this.#quoting || this.#cursor.peek() !== "-") return set;
    const hyphen = this.#cursor.offset;
    this.#cursor.offset++;
    if (!this.#closes()) {
      if (this.#cursor.atEnd) this.#refuseUnclosed();
      syntaxError("invalidRange", hyphen, hyphenHint);
    }
    return set | singleByte(0x2d);
  }

  #readRangeFrom(first: number): ByteSet {
    this.#skipIgnored();
    if (this.#quoting || this.#cursor.peek() !== "-") return singleByte(first);
    this.#cursor.offset++;
    if (this.#closes()) return singleByte(first) | singleByte(0x2d);
    const opening = this.#cursor.offset;
    const member = this.#readMember("rangeEnd");
    if (member.kind !== "byte") {
      const offset = this.#cursor.pattern.charAt(opening) === "[" ? opening + 1 : this.#cursor.offset;
      syntaxError("invalidRange", offset, hyphenHint);
    }
    if (member.byte < first) syntaxError("rangeOutOfOrder", this.#cursor.offset - 1);
    return byteRange(first, member.byte);
  }

  /** Whether the class ends here: then a hyphen just read was a plain one. */
  #closes(): boolean {
    this.#skipIgnored();
    return !this.#quoting && this.#cursor.peek() === "]";
  }

  #readMember(place: "first" | "rangeEnd" | "other"): Member {
    const cursor = this.#cursor;
    this.#skipIgnored();
    if (cursor.atEnd) this.#refuseUnclosed();
    if (!this.#quoting) {
      if (place !== "first" && cursor.take("]")) return { kind: "end" };
      if (cursor.take("\\")) return this.#readClassEscape(place === "rangeEnd");
      if (cursor.peek() === "[") {
        cursor.offset++;
        if (looksLikePosixClass(cursor)) return { kind: "set", set: this.#readPosixClass() };
        cursor.offset--;
      }
    }
    return { kind: "byte", byte: cursor.next().charCodeAt(0) };
  }

  #refuseUnclosed(): never {
    return syntaxError("unclosedClass", this.#cursor.offset, "A literal [ is written as \\[.");
  }

  #readClassEscape(isRangeEnd: boolean): Member {
    const cursor = this.#cursor;
    const escape = readEscape(cursor, undefined);
    switch (escape.kind) {
      case "byte":
      case "set":
        return escape;
      case "letter":
        if (escape.letter === "b") return { kind: "byte", byte: 0x08 };
        if (escape.letter === "N") return syntaxError("nInClass", cursor.offset);
        if (isRangeEnd && escape.letter !== "R" && escape.letter !== "X")
          return syntaxError("invalidRange", cursor.offset, hyphenHint);
        return syntaxError("escapeInClass", cursor.offset - 1);
      case "reference": // never: in a class digits are octal
      default:
        return syntaxError("escapeInClass", cursor.offset - 1);
    }
  }

  #readPosixClass(): ByteSet {
    const cursor = this.#cursor;
    const opening = cursor.offset;
    if (!cursor.take(":")) syntaxError("posixCollation", opening - 1);
    const negated = cursor.take("^");
    const nameOffset = cursor.offset;
    const name = cursor.takeMatch(/[^:]*/y);
    cursor.take(":]");
    // Without regard to case, upper and lower are both all letters, also when negated.
    const caseBound = this.#options.caseless && (name === "upper" || name === "lower");
    const set = posixClasses.get(caseBound ? "alpha" : name);
    if (set === undefined) {
      return syntaxError(
        "unknownPosixClass",
        nameOffset,
        `The classes are ${[...posixClasses.keys()].join(", ")}.`,
      );
    }
    return negated ? complement(set) : set;
  }

  /** Steps over `\Q`, `\E` and, under (?xx), blanks. */
  #skipIgnored(): void {
    const cursor = this.#cursor;
    for (;;) {
      if (cursor.take("\\E")) this.#quoting = false;
      else if (this.#quoting) return;
      else if (cursor.take("\\Q")) this.#quoting = true;
      else if (this.#options.ignoreBlanks && (cursor.peek() === " " || cursor.peek() === "\t"))
        cursor.offset++;
      else return;
    }
  }
}
