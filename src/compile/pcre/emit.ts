import { unreachable } from "../../base/assert.ts";
import type { Anchor, Node } from "./ast.ts";
import type { ByteSet } from "./byte-set.ts";
import { allBytes, complement, onlyByte, runsOf } from "./byte-set.ts";
import { isNullable } from "./analyse.ts";

/** A JavaScript regular expression, to be compiled without flags. */
export type Emitted = {
  readonly source: string;
  /**
   * The JavaScript group that holds PCRE's group n stands at index n: they differ where the translation needed groups
   * of its own. Index 0 is group 0. A group the pattern repeats zero times has none and is undefined.
   */
  readonly groups: readonly (number | undefined)[];
  /** Whether the groups are the same, in number and order. */
  readonly sameGroups: boolean;
};

/**
 * Writes a tree as a JavaScript regular expression over byte strings. No flag is used: case and dots have become
 * classes, lines have become lookarounds. The whole match (group 0) may include the final newline that PCRE's `$` only
 * looks at, which keeps patterns that end in `$` within what V8's linear engine can run.
 */
export function emitJavaScript(root: Node, groupCount: number): Emitted {
  const emitter = new Emitter(groupCount);
  const source = emitter.emit(root, "choice", true);
  const { groups, groupsOpened } = emitter;
  const sameGroups = groupsOpened === groupCount && groups.every((group, index) => group === index);
  return { source: source === "" ? "(?:)" : source, groups, sameGroups };
}

/** What the place of a node takes without parentheses: anything, a sequence, or only what a quantifier may follow. */
type Place = "choice" | "sequence" | "atom";

class Emitter {
  readonly groups: (number | undefined)[];
  groupsOpened = 0;

  constructor(groupCount: number) {
    this.groups = [0, ...Array.from({ length: groupCount }, () => undefined)];
  }

  /** `isTail`: nothing follows that could match, and no capture ends here. */
  emit(node: Node, place: Place, isTail: boolean): string {
    switch (node.kind) {
      case "bytes":
        return emitSet(node.set);
      case "anchor":
        return emitAnchor(node.at, place, isTail);
      case "sequence":
        return this.#sequence(node.items, place, isTail);
      case "choice":
        return enclose(
          node.branches.map((branch) => this.emit(branch, "sequence", isTail)).join("|"),
          place !== "choice",
        );
      case "capture":
        return this.#capture(node.group, node.body);
      case "repeat":
        return this.#repeat(node, place, isTail);
      case "atomic":
        return this.#atomic(node.body);
      case "look": {
        const opening = `(?${node.behind ? "<" : ""}${node.negative ? "!" : "="}`;
        return enclose(`${opening}${this.emit(node.body, "choice", false)})`, place === "atom");
      }
      case "backreference":
        // In parentheses, so that a digit behind it stays a digit.
        return `(?:\\${this.groups[node.group] ?? 0})`;
      default:
        return unreachable(node);
    }
  }

  #sequence(items: readonly Node[], place: Place, isTail: boolean): string {
    const last = items.length - 1;
    const text = items.map((item, index) => this.emit(item, "sequence", isTail && index === last)).join("");
    return enclose(text, place === "atom");
  }

  #capture(group: number, body: Node): string {
    this.groupsOpened++;
    this.groups[group] = this.groupsOpened;
    return `(${this.emit(body, "choice", false)})`;
  }

  #repeat(node: Node & { kind: "repeat" }, place: Place, isTail: boolean): string {
    const { body, min, max, lazy } = node;
    if (min === 0 && max === 1 && isNullable(body)) {
      // JavaScript refuses an optional group that takes nothing; as an alternative it is welcome.
      const text = this.emit(body, "sequence", isTail);
      return `(?:${lazy ? `|${text}` : `${text}|`})`;
    }
    const text = this.emit(body, "atom", isTail && max === 1) + emitQuantifier(min, max) + (lazy ? "?" : "");
    return enclose(text, place === "atom");
  }

  /** A lookahead never gives back what it has found, and a backreference then takes just that. */
  #atomic(body: Node): string {
    this.groupsOpened++;
    const helper = this.groupsOpened;
    return `(?:(?=(${this.emit(body, "choice", false)}))\\${helper})`;
  }
}

function enclose(text: string, needed: boolean): string {
  return needed ? `(?:${text})` : text;
}

function emitQuantifier(min: number, max: number): string {
  if (max === Infinity) return min === 0 ? "*" : min === 1 ? "+" : `{${min},}`;
  if (min === 0 && max === 1) return "?";
  return min === max ? `{${min}}` : `{${min},${max}}`;
}

function emitAnchor(at: Anchor, place: Place, isTail: boolean): string {
  switch (at) {
    case "start":
      return enclose("^", place === "atom");
    case "end":
      return enclose("$", place === "atom");
    case "finalEnd":
      return enclose(isTail ? "\\n?$" : "(?=\\n?$)", place === "atom");
    case "lineStart":
      // Not behind a newline that ends the subject.
      return "(?:^|(?<=\\n)(?!$))";
    case "lineEnd":
      return enclose("(?=\\n|$)", place === "atom");
    case "wordBoundary":
      return enclose("\\b", place === "atom");
    case "notWordBoundary":
      return enclose("\\B", place === "atom");
    default:
      return unreachable(at);
  }
}

function emitSet(set: ByteSet): string {
  if (set === allBytes) return "[^]";
  const only = onlyByte(set);
  if (only !== undefined) return escapeByte(only, "\\^$.*+?()[]{}|/");
  const positive = emitRuns(set);
  const negative = emitRuns(complement(set));
  return negative.length < positive.length ? `[^${negative}]` : `[${positive}]`;
}

function emitRuns(set: ByteSet): string {
  return runsOf(set)
    .map(({ first, last }) => {
      if (last === first) return classByte(first);
      return classByte(first) + (last === first + 1 ? "" : "-") + classByte(last);
    })
    .join("");
}

function classByte(byte: number): string {
  return escapeByte(byte, "\\]^-[");
}

function escapeByte(byte: number, special: string): string {
  if (byte < 0x20 || byte > 0x7e) return `\\x${byte.toString(16).padStart(2, "0")}`;
  const char = String.fromCharCode(byte);
  return special.includes(char) ? `\\${char}` : char;
}
