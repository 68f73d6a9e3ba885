import { describe, expect, test } from "vitest";
import { compileMatcherProgram } from "./matcher-program.ts";
import { runMatcherProgram } from "./matcher.ts";
import { parsePattern } from "./parse.ts";

function slots(pattern: string, subject: string): readonly number[] | null {
  const { root, groupCount } = parsePattern(pattern, false);
  const found = runMatcherProgram(compileMatcherProgram(root, groupCount), subject);
  return found && Array.from(found).slice(0, 2 * (groupCount + 1));
}

test("slots hold start and end of each group, -1 for one that took no part", () => {
  expect(slots("b(c)|(d)", "abc")).toEqual([1, 3, 2, 3, -1, -1]);
});

test("captures made in a lookahead or an atomic group are found, also where it was skipped before", () => {
  // The first search skips over the group, having matched its inside from an earlier start.
  expect(slots("(?:x|)(?>(a+))b", "aaab")).toEqual([0, 4, 0, 3]);
  expect(slots("(?:(?=(a+|c))a)*c", "aac")).toEqual([0, 3, 1, 2]);
});

test("captures made in a lookbehind's branches are those of the branch that held", () => {
  expect(slots("(?<=(a)b|(c))d", "abd")).toEqual([2, 3, 0, 1, -1, -1]);
  expect(slots("(?<=(a)b|(c))d", "cd")).toEqual([1, 2, -1, -1, 0, 1]);
});

test("captures are undone when the way that made them leads nowhere", () => {
  expect(slots("(?:(a)b|a(c))", "ac")).toEqual([0, 2, -1, -1, 1, 2]);
});

describe("time grows with the length of the subject, not with its powers", () => {
  // What takes the square of this takes longer than a test may.
  const length = 100_000;
  test.each([
    ["^(a+)+$", "a"],
    ["(?:a|a)+$", "a"],
    [".*.*.*.*=.*.*.*$", "a"],
    ["^(?:(a)|b|ab|ba)*$", "ab"],
    ["(?>a+)+$", "a"],
    ["(?>(a+))+$", "a"],
    ["(?:(?=.*x)a)*b", "a"],
    ["(?:(?=(a*))a)*b", "a"],
    ["(?:(?!.*x)a)*b", "a"],
    ["(?:a?){30}a{30}b", "a"],
    ["(?<=a)(?:a*)*b", "a"],
  ])("%s", (pattern, unit) => {
    expect(slots(pattern, `${unit.repeat(length / unit.length)}!`)).toBeNull();
  });

  test("nor does the stack overflow on a long subject", () => {
    expect(slots("^(?:a|b)*$", "ab".repeat(500_000))).toEqual([0, 1_000_000]);
  });
});

test("a program that would be too long is refused", () => {
  expect(() => slots("(?:(?:a{1,30}){1,30}){1,30}", "a")).toThrow("regular expression is too large");
});
