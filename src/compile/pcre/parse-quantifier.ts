import type { Cursor } from "./cursor.ts";
import { syntaxError } from "./pattern-error.ts";

/** How often; `max` may be infinite. */
export type Quantifier = { readonly min: number; readonly max: number };

const countMax = 65535;

/** Reads `*`, `+`, `?`, `{n}`, `{n,}` or `{n,m}` if one comes next. Any other brace is an ordinary character, `{,n}` too. */
export function readQuantifier(cursor: Cursor): Quantifier | undefined {
  if (cursor.take("*")) return { min: 0, max: Infinity };
  if (cursor.take("+")) return { min: 1, max: Infinity };
  if (cursor.take("?")) return { min: 0, max: 1 };
  if (!startsWithCount(cursor)) return undefined;
  cursor.offset++;
  const min = readCount(cursor);
  if (cursor.take("}")) return { min, max: min };
  cursor.offset++;
  if (cursor.take("}")) return { min, max: Infinity };
  const max = readCount(cursor);
  if (max < min) syntaxError("countsOutOfOrder", cursor.offset);
  cursor.offset++;
  return { min, max };
}

/** Whether `{n}`, `{n,}` or `{n,m}` comes next. */
export function startsWithCount(cursor: Cursor): boolean {
  return cursor.peek() === "{" && /^\{\d+(?:,\d*)?\}/.test(cursor.pattern.slice(cursor.offset));
}

function readCount(cursor: Cursor): number {
  let count = 0;
  for (const digit of cursor.takeMatch(/[0-9]{1,5}/y)) count = count * 10 + Number(digit);
  if (count > countMax || /[0-9]/.test(cursor.peek())) syntaxError("countTooBig", cursor.offset);
  return count;
}
