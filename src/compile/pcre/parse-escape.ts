import type { Cursor } from "./cursor.ts";
import { isDigit, isLetter } from "./cursor.ts";
import type { ByteSet } from "./byte-set.ts";
import { complement, digits, horizontalSpaces, spaces, verticalSpaces, wordBytes } from "./byte-set.ts";
import { startsWithCount } from "./parse-quantifier.ts";
import { syntaxError, unsupported } from "./pattern-error.ts";

/** What stands behind a backslash. */
export type Escape =
  | { readonly kind: "byte"; readonly byte: number }
  | { readonly kind: "set"; readonly set: ByteSet }
  /** `\1`, outside classes only. */
  | { readonly kind: "reference"; readonly group: number }
  /** A letter whose meaning depends on the place: one of `A b B C E g G k K N Q R X z Z`. */
  | { readonly kind: "letter"; readonly letter: string };

const contextual = new Set("AbBCEgGkKNQRXzZ");

const sets: ReadonlyMap<string, ByteSet> = new Map([
  ["d", digits],
  ["D", complement(digits)],
  ["h", horizontalSpaces],
  ["H", complement(horizontalSpaces)],
  ["s", spaces],
  ["S", complement(spaces)],
  ["v", verticalSpaces],
  ["V", complement(verticalSpaces)],
  ["w", wordBytes],
  ["W", complement(wordBytes)],
]);

const controls: ReadonlyMap<string, number> = new Map([
  ["a", 0x07],
  ["e", 0x1b],
  ["f", 0x0c],
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
]);

/**
 * Reads an escape; the cursor stands behind its backslash. `groupsSoFar` decides, as in PCRE, whether `\10` is a
 * backreference or an octal number; in a class (`undefined`) digits are always octal.
 */
export function readEscape(cursor: Cursor, groupsSoFar: number | undefined): Escape {
  if (cursor.atEnd) syntaxError("trailingBackslash", cursor.offset);
  const char = cursor.next();
  if (char === "g" && groupsSoFar === undefined) return byteEscape(0x67);
  if (char === "N" && cursor.peek() === "{") checkNamedCharacter(cursor);
  if (isDigit(char)) return readNumericEscape(cursor, char, groupsSoFar);
  if (!isLetter(char)) return byteEscape(char.charCodeAt(0));
  if (contextual.has(char)) return { kind: "letter", letter: char };
  const set = sets.get(char);
  if (set !== undefined) return { kind: "set", set };
  const control = controls.get(char);
  if (control !== undefined) return byteEscape(control);
  switch (char) {
    case "c":
      return readControlEscape(cursor);
    case "x":
      return readHexEscape(cursor);
    case "o":
      return readBracedOctal(cursor);
    case "p":
    case "P":
      return unsupported(
        `Unicode property \\${char}`,
        cursor.offset - 2,
        "Paths are matched byte by byte; write the bytes as a class, for example [a-zA-Z\\x80-\\xff].",
      );
    case "F":
    case "L":
    case "l":
    case "U":
    case "u":
      return syntaxError("caseEscape", cursor.offset, "Write a byte as \\xHH.");
    default:
      return syntaxError("unknownEscape", cursor.offset - 1, `Write ${char} without the backslash.`);
  }
}

/** `\N{2}` is a count; `\N{U+41}` and `\N{name}` are characters, in patterns of characters only. */
function checkNamedCharacter(cursor: Cursor): void {
  if (startsWithCount(cursor)) return;
  syntaxError(cursor.peek(1) === "U" ? "unicodeOnly" : "caseEscape", cursor.offset, "Write a byte as \\xHH.");
}

function byteEscape(byte: number): Escape {
  return { kind: "byte", byte };
}

function readNumericEscape(cursor: Cursor, first: string, groupsSoFar: number | undefined): Escape {
  const start = cursor.offset - 1;
  if (groupsSoFar !== undefined && first !== "0") {
    const rest = cursor.takeMatch(/[0-9]*/y);
    const group = Number(first + rest);
    if (group < 10 || first >= "8" || group <= groupsSoFar) {
      if (group > 0xffff) syntaxError("numberTooBig", cursor.offset);
      return { kind: "reference", group };
    }
    cursor.offset = start + 1;
  }
  if (first >= "8") return byteEscape(first.charCodeAt(0));
  const value = Number.parseInt(first + cursor.takeMatch(/[0-7]{0,2}/y), 8);
  if (value > 0xff) syntaxError("octalTooLarge", cursor.offset);
  return byteEscape(value);
}

/** `\cX`: a control character, the other half of its column in ASCII. */
function readControlEscape(cursor: Cursor): Escape {
  if (cursor.atEnd) syntaxError("trailingControl", cursor.offset);
  const code = cursor.peek().toUpperCase().charCodeAt(0);
  if (code < 0x20 || code > 0x7e) syntaxError("controlNotAscii", cursor.offset);
  cursor.offset++;
  return byteEscape(code ^ 0x40);
}

function readHexEscape(cursor: Cursor): Escape {
  if (!cursor.take("{")) return byteEscape(Number.parseInt(`0${cursor.takeMatch(/[0-9a-f]{0,2}/iy)}`, 16));
  return readBracedNumber(cursor, /[0-9a-f]*/iy, 16);
}

function readBracedOctal(cursor: Cursor): Escape {
  if (!cursor.take("{")) syntaxError("missingOctalBrace", cursor.atEnd ? cursor.offset - 1 : cursor.offset);
  return readBracedNumber(cursor, /[0-7]*/y, 8);
}

function readBracedNumber(cursor: Cursor, digits: RegExp, radix: 8 | 16): Escape {
  if (cursor.atEnd || cursor.peek() === "}") syntaxError("digitsMissing", cursor.offset);
  const value = Number.parseInt(`0${cursor.takeMatch(digits)}`, radix);
  if (value > 0xff) {
    syntaxError("byteTooLarge", cursor.offset, "Paths are matched byte by byte; write UTF-8 as its bytes.");
  }
  if (!cursor.take("}")) {
    syntaxError(radix === 8 ? "notOctal" : "notHex", cursor.atEnd ? cursor.offset - 1 : cursor.offset);
  }
  return byteEscape(value);
}
