import { unreachable } from "../../base/assert.ts";
import type { ByteString } from "../../base/bytes.ts";
import type { Anchor, Node } from "./ast.ts";
import { choiceOf, emptyNode, sequenceOf } from "./ast.ts";
import { allBytes, complement, foldCase, newline, singleByte } from "./byte-set.ts";
import { Cursor, isDigit } from "./cursor.ts";
import { GroupRegister } from "./group-register.ts";
import { looksLikePosixClass, readClass } from "./parse-class.ts";
import { readEscape } from "./parse-escape.ts";
import { readName, readSignedNumber } from "./parse-name.ts";
import { readOptionLetters, type Options } from "./parse-options.ts";
import { readQuantifier, type Quantifier } from "./parse-quantifier.ts";
import { readStarGroup } from "./parse-star-group.ts";
import { readStartVerbs } from "./parse-verbs.ts";
import { syntaxError, unsupported } from "./pattern-error.ts";
import { failure, graphemeCluster, newlineSequence, wordEdge } from "./special-sequences.ts";

/** What a pattern says, independent of how it will be matched. */
export type ParsedPattern = {
  readonly root: Node;
  /** Capturing groups, as PCRE counts them: group 1 to group `groupCount`. */
  readonly groupCount: number;
  readonly groupNames: ReadonlyMap<string, number>;
};

/** An item of a sequence. A quantifier may follow `a`, `(…)` and the like, but not `^`, `\b`, `(?i)` or another quantifier. */
type Item = { readonly node: Node; readonly repeatable: boolean };

/** As in PCRE2; it also bounds the recursion of everything that walks the tree. */
const nestingMax = 250;

/**
 * Parses a PCRE2 pattern as nginx compiles it: bytes, no UTF mode, `caseless` for `~*`. Throws a `PatternError` for what
 * PCRE2 refuses (with PCRE2's message and offset) and for what wsgate does not do.
 */
export function parsePattern(pattern: ByteString, caseless: boolean): ParsedPattern {
  return new Parser(pattern, caseless).parse();
}

class Parser {
  readonly #cursor: Cursor;
  #options: Options;
  #newlineSequencesAreAscii = false;
  #quoting = false;
  #nesting = 0;
  #lookaroundDepth = 0;
  readonly #groups = new GroupRegister();

  constructor(pattern: ByteString, caseless: boolean) {
    this.#cursor = new Cursor(pattern);
    this.#options = {
      caseless,
      multiline: false,
      dotAll: false,
      extended: "off",
      ungreedy: false,
      noAutoCapture: false,
    };
  }

  parse(): ParsedPattern {
    const verbs = readStartVerbs(this.#cursor);
    this.#newlineSequencesAreAscii = verbs.newlineSequencesAreAscii;
    const root = this.#parseChoice();
    if (!this.#cursor.atEnd) {
      syntaxError("unmatchedParenthesis", this.#cursor.offset, "A literal ) is written as \\).");
    }
    this.#groups.resolve();
    return { root, groupCount: this.#groups.count, groupNames: this.#groups.names };
  }

  /** Branches up to a `)` or the end. An option set in one branch holds for those that follow, as in PCRE. */
  #parseChoice(isBranchReset = false): Node {
    const firstGroup = this.#groups.count;
    let groupCountMax = firstGroup;
    const branches = [this.#parseSequence()];
    while (this.#cursor.take("|")) {
      groupCountMax = Math.max(groupCountMax, this.#groups.count);
      if (isBranchReset) this.#groups.count = firstGroup;
      branches.push(this.#parseSequence());
    }
    this.#groups.count = Math.max(groupCountMax, this.#groups.count);
    return choiceOf(branches);
  }

  #parseSequence(): Node {
    const items: Node[] = [];
    let last: Item = { node: emptyNode, repeatable: false };
    for (;;) {
      this.#skipIgnored();
      if (this.#cursor.atEnd) break;
      if (!this.#quoting) {
        if (this.#cursor.peek() === "|" || this.#cursor.peek() === ")") break;
        const quantifier = readQuantifier(this.#cursor);
        if (quantifier !== undefined) {
          if (!last.repeatable) {
            syntaxError(
              "nothingToRepeat",
              this.#cursor.offset - 1,
              "A literal *, +, ? or { is written with a backslash.",
            );
          }
          items.pop();
          last = { node: this.#repeat(last.node, quantifier), repeatable: false };
          items.push(last.node);
          continue;
        }
      }
      last = this.#parseItem();
      items.push(last.node);
    }
    return sequenceOf(items);
  }

  /** The suffix that says greedy, lazy or possessive may be set off by whatever is ignored. */
  #repeat(body: Node, { min, max }: Quantifier): Node {
    this.#skipIgnored();
    const possessive = !this.#quoting && this.#cursor.take("+");
    const marked = !this.#quoting && !possessive && this.#cursor.take("?");
    // Repeating a test is testing once or not at all; PCRE does so, and JavaScript has other rules for empty iterations.
    const times = body.kind === "look" ? { min: Math.min(min, 1), max: Math.min(max, 1) } : { min, max };
    if (times.max === 0) return emptyNode;
    const lazy = !possessive && marked !== this.#options.ungreedy;
    const once = times.min === 1 && times.max === 1;
    const node: Node = once ? body : { kind: "repeat", body, ...times, lazy };
    return possessive ? { kind: "atomic", body: node } : node;
  }

  /** Steps over `\Q`, `\E`, `(?#…)` and, under (?x), white space and `#` comments. */
  #skipIgnored(): void {
    const cursor = this.#cursor;
    for (;;) {
      if (cursor.take("\\E")) this.#quoting = false;
      else if (this.#quoting) return;
      else if (cursor.take("\\Q")) this.#quoting = true;
      else if (cursor.take("(?#")) {
        cursor.takeMatch(/[^)]*/y);
        if (!cursor.take(")")) syntaxError("unclosedComment", cursor.offset);
      } else if (this.#options.extended === "off") return;
      else if (cursor.takeMatch(/[ \t-\r]+|#[^\n]*\n?/y) === "") return;
    }
  }

  #parseItem(): Item {
    const cursor = this.#cursor;
    if (this.#quoting) return this.#literal(cursor.next());
    const start = cursor.offset;
    const char = cursor.next();
    switch (char) {
      case "(":
        return this.#parseParenthesis(start);
      case "[":
        return this.#parseBracket(start);
      case "\\":
        return this.#parseEscape(start);
      case ".":
        return repeatable({ kind: "bytes", set: this.#options.dotAll ? allBytes : complement(newline) });
      case "^":
        return anchor(this.#options.multiline ? "lineStart" : "start");
      case "$":
        return anchor(this.#options.multiline ? "lineEnd" : "finalEnd");
      default:
        return this.#literal(char);
    }
  }

  #literal(char: string): Item {
    const set = singleByte(char.charCodeAt(0));
    return repeatable({ kind: "bytes", set: this.#options.caseless ? foldCase(set) : set });
  }

  #parseBracket(start: number): Item {
    const cursor = this.#cursor;
    if (cursor.take("[:<:]]")) return fixed(wordEdge("start"));
    if (cursor.take("[:>:]]")) return fixed(wordEdge("end"));
    if (looksLikePosixClass(cursor)) {
      if (cursor.peek() !== ":") syntaxError("posixCollation", start);
      syntaxError("posixOutsideClass", start, "Write it with two pairs of brackets, as [[:alpha:]].");
    }
    const { caseless, extended } = this.#options;
    return repeatable({
      kind: "bytes",
      set: readClass(cursor, { caseless, ignoreBlanks: extended === "more" }),
    });
  }

  #parseEscape(start: number): Item {
    const escape = readEscape(this.#cursor, this.#groups.count);
    switch (escape.kind) {
      case "byte":
        return this.#literal(String.fromCharCode(escape.byte));
      case "set":
        return repeatable({ kind: "bytes", set: escape.set });
      case "reference":
        return this.#reference(start, escape.group, this.#cursor.offset - 1);
      case "letter":
        return this.#parseLetterEscape(escape.letter, start);
      default:
        return unreachable(escape);
    }
  }

  #parseLetterEscape(letter: string, start: number): Item {
    const cursor = this.#cursor;
    switch (letter) {
      case "A":
      case "G": // where the search began, and nginx always begins at the first byte
        return anchor("start");
      case "Z":
        return anchor("finalEnd");
      case "z":
        return anchor("end");
      case "b":
        return anchor("wordBoundary");
      case "B":
        return anchor("notWordBoundary");
      case "K": // moves the start of the whole match, which nobody reads: nginx hands on captures only
        if (this.#lookaroundDepth > 0) this.#groups.refuseKeep(cursor.pattern.length);
        return fixed(emptyNode);
      case "C":
        return repeatable({ kind: "bytes", set: allBytes });
      case "N":
        return repeatable({ kind: "bytes", set: complement(newline) });
      case "R":
        return repeatable(newlineSequence(this.#newlineSequencesAreAscii));
      case "X":
        return repeatable(graphemeCluster);
      case "g":
        return this.#parseReferenceByG(start);
      case "k":
        return this.#parseReferenceByK(start);
      default:
        // A stray \E was skipped, and a \Q opened a quotation, before an item was looked for.
        return syntaxError("unknownEscape", cursor.offset - 1);
    }
  }

  /** `\g1`, `\g-1`, `\g{1}`, `\g{-1}` and `\g{name}` are backreferences, `\g<…>` and `\g'…'` subroutine calls. */
  #parseReferenceByG(start: number): Item {
    const cursor = this.#cursor;
    const opening = cursor.peek();
    if (opening === "<" || opening === "'") {
      if (!isDigit(cursor.peek(1)) && cursor.peek(1) !== "+" && cursor.peek(1) !== "-") {
        cursor.offset++;
        readName(cursor, opening === "<" ? ">" : "'");
      }
      return unsupported("subroutine call \\g", start, subroutineHint);
    }
    const braced = cursor.take("{");
    const numberOffset = cursor.offset;
    const group = readSignedNumber(cursor, this.#groups.count);
    if (group === undefined) {
      if (!braced) syntaxError("malformedG", cursor.offset);
      return this.#reference(start, readName(cursor, "}"), numberOffset);
    }
    if (braced && !cursor.take("}")) syntaxError("malformedG", numberOffset - 1);
    if (group < 1) syntaxError("noSuchGroup", braced ? numberOffset - 1 : cursor.offset);
    return this.#reference(start, group, cursor.offset - 1);
  }

  /** `\k<name>`, `\k'name'` and `\k{name}`. */
  #parseReferenceByK(start: number): Item {
    const cursor = this.#cursor;
    const terminator = { "<": ">", "'": "'", "{": "}" }[cursor.peek()];
    if (terminator === undefined) return syntaxError("malformedK", cursor.offset);
    cursor.offset++;
    const nameOffset = cursor.offset;
    return this.#reference(start, readName(cursor, terminator), nameOffset);
  }

  #reference(start: number, to: number | string, errorOffset: number): Item {
    return repeatable(this.#groups.reference(to, this.#options.caseless, start, errorOffset));
  }

  /** Everything that begins with `(`; the cursor stands behind it. */
  #parseParenthesis(start: number): Item {
    const cursor = this.#cursor;
    if (cursor.peek() === "*" && cursor.peek(1) !== "" && cursor.peek(1) !== ")") {
      return this.#parseStarGroup(start);
    }
    if (!cursor.take("?")) {
      if (this.#options.noAutoCapture) return repeatable(this.#parseGroupBody(start));
      return this.#parseCapture(start);
    }
    switch (cursor.peek()) {
      case ":":
        cursor.offset++;
        return repeatable(this.#parseGroupBody(start));
      case "|":
        cursor.offset++;
        return repeatable(this.#parseGroupBody(start, true));
      case ">":
        cursor.offset++;
        return repeatable({ kind: "atomic", body: this.#parseGroupBody(start) });
      case "=":
      case "!":
        return this.#parseLook(start, false, cursor.next() === "!");
      case "<":
        cursor.offset++;
        if (cursor.peek() === "*") return unsupported("non-atomic lookbehind (?<*", start, "Write (?<=…).");
        if (cursor.peek() !== "=" && cursor.peek() !== "!") return this.#parseNamedCapture(start, ">");
        return this.#parseLook(start, true, cursor.next() === "!");
      case "'":
        cursor.offset++;
        return this.#parseNamedCapture(start, "'");
      case "P":
        cursor.offset++;
        return this.#parsePythonGroup(start);
      case "(":
        return unsupported(
          "conditional group (?(",
          start,
          "Write the two cases as alternatives with lookaheads.",
        );
      case "C":
        return unsupported("callout (?C", start, "Leave it out.");
      case "*":
        return unsupported("non-atomic lookahead (?*", start, "Write (?=…).");
      case "R":
      case "&":
        return unsupported(`recursion (?${cursor.peek()}`, start, subroutineHint);
      default:
        return this.#parseOptionGroup(start);
    }
  }

  #parseOptionGroup(start: number): Item {
    const cursor = this.#cursor;
    if (/^[+-]?\d/.test(cursor.pattern.slice(cursor.offset))) {
      return unsupported("recursion (?n)", start, subroutineHint);
    }
    if (cursor.peek() === "+") syntaxError("digitExpected", cursor.offset);
    const options = readOptionLetters(cursor, this.#options);
    if (cursor.take(")")) {
      this.#options = options;
      return fixed(emptyNode);
    }
    cursor.offset++;
    return repeatable(this.#parseGroupBody(start, false, options));
  }

  /** `(?P<name>…)`, `(?P=name)` and `(?P>name)`. */
  #parsePythonGroup(start: number): Item {
    const cursor = this.#cursor;
    if (cursor.atEnd) syntaxError("unclosedGroup", cursor.offset);
    if (cursor.take("<")) return this.#parseNamedCapture(start, ">");
    if (cursor.take("=")) {
      const nameOffset = cursor.offset;
      return this.#reference(start, readName(cursor, ")"), nameOffset);
    }
    if (cursor.take(">")) return unsupported("subroutine call (?P>", start, subroutineHint);
    return syntaxError("unknownGroupAfterP", cursor.offset);
  }

  #parseNamedCapture(start: number, terminator: string): Item {
    const name = readName(this.#cursor, terminator);
    this.#groups.nameNext(name, this.#cursor.offset);
    return this.#parseCapture(start);
  }

  #parseCapture(start: number): Item {
    const group = this.#groups.open();
    const body = this.#parseGroupBody(start);
    this.#groups.close(group, body);
    return repeatable({ kind: "capture", group, body });
  }

  #parseLook(start: number, behind: boolean, negative: boolean): Item {
    this.#lookaroundDepth++;
    const body = this.#parseGroupBody(start);
    this.#lookaroundDepth--;
    if (behind) this.#groups.lookbehind(body, start);
    return repeatable({ kind: "look", behind, negative, body });
  }

  /** `(*pla:…)` and other spelt-out groups, `(*FAIL)` and other verbs. */
  #parseStarGroup(start: number): Item {
    const meaning = readStarGroup(this.#cursor, start);
    if (meaning.kind === "fail") return fixed(failure);
    if (meaning.kind === "atomic") return repeatable({ kind: "atomic", body: this.#parseGroupBody(start) });
    return this.#parseLook(start, meaning.behind, meaning.negative);
  }

  /** The inside of a group, up to and with its `)`. Options set within end with it. */
  #parseGroupBody(start: number, isBranchReset = false, options: Options = this.#options): Node {
    this.#nesting++;
    if (this.#nesting > nestingMax) syntaxError("tooManyGroups", start + 1);
    const outer = this.#options;
    this.#options = options;
    const body = this.#parseChoice(isBranchReset);
    if (!this.#cursor.take(")")) {
      syntaxError(
        "unclosedGroup",
        this.#cursor.offset,
        `The parenthesis at offset ${start} is never closed.`,
      );
    }
    this.#options = outer;
    this.#nesting--;
    return body;
  }
}

const subroutineHint = "Write the group's pattern out where it is called.";

function repeatable(node: Node): Item {
  return { node, repeatable: true };
}

function fixed(node: Node): Item {
  return { node, repeatable: false };
}

function anchor(at: Anchor): Item {
  return fixed({ kind: "anchor", at });
}
