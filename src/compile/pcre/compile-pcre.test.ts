import { describe, expect, test } from "vitest";
import { compilePcre, patternFailureMessage, type CompiledPcre } from "./compile-pcre.ts";

function compiled(pattern: string, caseInsensitive = false): CompiledPcre {
  const result = compilePcre(pattern, { caseInsensitive });
  if (!result.ok) throw new Error(patternFailureMessage(pattern, result));
  return result;
}

function captures(pattern: string, subject: string): readonly (string | undefined)[] | null {
  return compiled(pattern).regexp.exec(subject)?.slice(1) ?? null;
}

describe("what PCRE means", () => {
  test.each([
    // pattern, subject, captures from group 1 on
    ["^(.+)$", "a\n", ["a"]],
    ["^(a)\\z", "a\n", null],
    ["(.)", "\r", ["\r"]],
    ["^(\\h+)(\\v)$", " \xa0\x0b", [" \xa0", "\x0b"]],
    ["([[:alpha:]]+)", "1ab2", ["ab"]],
    ["([]a]+)", "]a[", ["]a"]],
    ["(?i)(ab)(?-i)c", "ABc", ["AB"]],
    ["(?i:a)(b)", "AB", null],
    ["(?x) ( a b ) # comment", "ab", ["ab"]],
    ["(?>(a+))b(c)", "aabc", ["aa", "c"]],
    ["\\Q.*\\E(x)", ".*x", ["x"]],
    ["(?<year>\\d{4})-\\k<year>", "2026-2026", ["2026"]],
    ["(a{,2})", "a{,2}", ["a{,2}"]],
    ["(a*)?b", "b", [""]],
  ] as const)("%s on %j", (pattern, subject, expected) => {
    expect(captures(pattern, subject)).toEqual(expected);
  });

  test("case is ASCII's", () => {
    const { regexp } = compiled("^\xe4[k]$", true);
    expect([regexp.test("\xe4K"), regexp.test("\xc4k"), regexp.test("\xe4\u212a")]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("groups keep their names and numbers", () => {
    const { groupCount, groupNames } = compiled("(a)(?<b>b)(?P<c>c)(?'d'd)");
    expect(groupCount).toBe(4);
    expect([...groupNames]).toEqual([
      ["b", 2],
      ["c", 3],
      ["d", 4],
    ]);
  });
});

test("a syntax error is told as nginx tells it", () => {
  const failure = compilePcre("^/(a$", { caseInsensitive: false });
  expect(failure.ok).toBe(false);
  if (failure.ok) return;
  expect(patternFailureMessage("^/(a$", failure)).toBe(
    'pcre2_compile() failed: missing closing parenthesis in "^/(a$"',
  );
});
