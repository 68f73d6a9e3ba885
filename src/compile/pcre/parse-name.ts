import type { Cursor } from "./cursor.ts";
import { isDigit } from "./cursor.ts";
import { syntaxError } from "./pattern-error.ts";

const nameLengthMax = 32;

/** Reads a group's name and the character that ends it. */
export function readName(cursor: Cursor, terminator: string): string {
  if (isDigit(cursor.peek())) syntaxError("nameStartsWithDigit", cursor.offset);
  const name = cursor.takeMatch(/[A-Za-z0-9_]*/y);
  if (name === "") syntaxError("nameExpected", cursor.offset);
  if (name.length > nameLengthMax) syntaxError("nameTooLong", cursor.offset);
  if (!cursor.take(terminator)) syntaxError("unclosedName", cursor.offset);
  return name;
}

/**
 * Reads `3`, `+1` or `-1`, where the signed ones count from the groups opened so far. Undefined where no number stands.
 */
export function readSignedNumber(cursor: Cursor, groupsSoFar: number): number | undefined {
  const start = cursor.offset;
  const text = cursor.takeMatch(/[+-]?[0-9]+/y);
  if (text === "") return undefined;
  const value = Number(text);
  const isSigned = text.startsWith("-") || text.startsWith("+");
  const errorOffset = cursor.pattern.charAt(start - 1) === "{" ? start - 1 : cursor.offset;
  if (Math.abs(value) > 0xffff) syntaxError("numberTooBig", errorOffset);
  if (value === 0 && isSigned) syntaxError("relativeZero", errorOffset);
  if (!isSigned) return value;
  return value < 0 ? groupsSoFar + 1 + value : groupsSoFar + value;
}
