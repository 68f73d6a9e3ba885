import { byteStringFromText } from "../../base/bytes.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { LocationMatch } from "../../compile/plan.ts";
import type { BlockHead } from "../../compile/scope.ts";

const MODIFIERS: ReadonlyMap<string, LocationMatch> = new Map([
  ["=", "exact"],
  ["^~", "prefix-no-regex"],
  ["~", "regex"],
  ["~*", "regex"],
]);

/** What stands after `location`: a modifier and a path or pattern, also in one word (`=/path`), or `@name`. */
export function parseLocationHead(args: readonly Word[], check: Check): BlockHead | undefined {
  const [first, second] = args;
  if (first === undefined) return undefined;
  const glued = /^(=|\^~|~\*|~)(.+)$/s.exec(first.text);
  const modifier = second === undefined ? (glued?.[1] ?? "") : first.text;
  const pattern = second?.text ?? glued?.[2] ?? first.text;
  const span = second?.span ?? first.span;
  if (modifier === "") {
    const match = pattern.startsWith("@") ? "named" : "prefix";
    return { kind: "location", match, path: byteStringFromText(pattern), regex: null };
  }
  const match = MODIFIERS.get(modifier);
  if (match === undefined) {
    check.error(first.span, `invalid location modifier "${modifier}"`, {
      code: "location-modifier",
      notes: [{ message: 'one of "=", "^~", "~" and "~*" may stand here' }],
    });
    return undefined;
  }
  if (match !== "regex") return { kind: "location", match, path: byteStringFromText(pattern), regex: null };
  const regex = check.regex(pattern, span, { caseInsensitive: modifier === "~*" });
  return regex === undefined
    ? undefined
    : { kind: "location", match, path: byteStringFromText(pattern), regex };
}
