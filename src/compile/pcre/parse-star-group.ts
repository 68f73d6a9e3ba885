import type { Cursor } from "./cursor.ts";
import { syntaxError, unsupported } from "./pattern-error.ts";

/** What `(*…` opens or is. */
export type StarGroup =
  | { readonly kind: "atomic" }
  | { readonly kind: "look"; readonly behind: boolean; readonly negative: boolean }
  /** `(*FAIL)`, complete as it stands. */
  | { readonly kind: "fail" };

const spelledGroups: ReadonlyMap<string, StarGroup> = new Map<string, StarGroup>([
  ["atomic", { kind: "atomic" }],
  ["pla", { kind: "look", behind: false, negative: false }],
  ["positive_lookahead", { kind: "look", behind: false, negative: false }],
  ["nla", { kind: "look", behind: false, negative: true }],
  ["negative_lookahead", { kind: "look", behind: false, negative: true }],
  ["plb", { kind: "look", behind: true, negative: false }],
  ["positive_lookbehind", { kind: "look", behind: true, negative: false }],
  ["nlb", { kind: "look", behind: true, negative: true }],
  ["negative_lookbehind", { kind: "look", behind: true, negative: true }],
]);

const unsupportedGroups =
  /^(?:napla|naplb|non_atomic_positive_look(?:ahead|behind)|a?sr|(?:atomic_)?script_run)$/;

const verbs = new Set(["", "ACCEPT", "COMMIT", "F", "FAIL", "MARK", "PRUNE", "SKIP", "THEN"]);

/**
 * Reads the name of a group that is spelt out, `(*pla:…)`, with its colon, or a whole verb, `(*FAIL)`. The cursor stands
 * at the star, the parenthesis at `start`.
 */
export function readStarGroup(cursor: Cursor, start: number): StarGroup {
  cursor.offset++;
  const name = cursor.takeMatch(/\w*/y);
  return /^[a-z]/.test(name) ? readSpelledGroup(cursor, name, start) : readVerb(cursor, name, start);
}

function readSpelledGroup(cursor: Cursor, name: string, start: number): StarGroup {
  if (unsupportedGroups.test(name))
    unsupported(`group (*${name}:`, start, "Write a plain group or lookaround.");
  const group = spelledGroups.get(name);
  if (group === undefined || !cursor.take(":")) syntaxError("unknownAlphaAssertion", cursor.offset);
  return group;
}

function readVerb(cursor: Cursor, name: string, start: number): StarGroup {
  const isKnown = verbs.has(name);
  if (isKnown && cursor.peek() === ":") cursor.takeMatch(/[^)]*/y);
  if (!isKnown || cursor.peek() !== ")") {
    syntaxError("unknownVerb", cursor.offset, "A literal * is written as \\*.");
  }
  cursor.offset++;
  if (name === "F" || name === "FAIL") return { kind: "fail" };
  return unsupported(`backtracking verb (*${name})`, start, "Write an atomic group (?>…) or a lookahead.");
}
