import type { Cursor } from "./cursor.ts";
import { syntaxError, unsupported } from "./pattern-error.ts";

/** What `(?imsxnU)` switches, at one place in a pattern. */
export type Options = {
  /** `i`, and what `~*` begins with. */
  readonly caseless: boolean;
  /** `m`: `^` and `$` match at lines. */
  readonly multiline: boolean;
  /** `s`: a dot matches a newline too. */
  readonly dotAll: boolean;
  /** `x`: white space and comments are ignored; `xx`: blanks in classes as well. */
  readonly extended: "off" | "on" | "more";
  /** `U`: greedy and lazy change places. */
  readonly ungreedy: boolean;
  /** `n`: plain parentheses do not capture. */
  readonly noAutoCapture: boolean;
};

const reset = {
  caseless: false,
  multiline: false,
  dotAll: false,
  extended: "off",
  noAutoCapture: false,
} as const;

/** Reads option letters up to the `:` or `)` that ends them, where it leaves the cursor. */
export function readOptionLetters(cursor: Cursor, current: Options): Options {
  let options = current;
  let value = true;
  let mayUnset = true;
  if (cursor.take("^")) {
    options = { ...current, ...reset };
    mayUnset = false;
  }
  for (;;) {
    const char = cursor.peek();
    switch (char) {
      case "":
        return syntaxError("unclosedGroup", cursor.offset);
      case ":":
      case ")":
        return options;
      case "-":
        if (!mayUnset) syntaxError("invalidHyphen", cursor.offset);
        value = false;
        mayUnset = false;
        break;
      case "i":
        options = { ...options, caseless: value };
        break;
      case "m":
        options = { ...options, multiline: value };
        break;
      case "s":
        options = { ...options, dotAll: value };
        break;
      case "n":
        options = { ...options, noAutoCapture: value };
        break;
      case "U":
        options = { ...options, ungreedy: value };
        break;
      case "x":
        options = { ...options, extended: value ? (cursor.peek(1) === "x" ? "more" : "on") : "off" };
        if (cursor.peek(1) === "x") cursor.offset++;
        break;
      case "J":
        unsupported("option (?J)", cursor.offset, "Give every group a name of its own.");
        break;
      default:
        syntaxError("unknownGroup", cursor.offset);
    }
    cursor.offset++;
  }
}
