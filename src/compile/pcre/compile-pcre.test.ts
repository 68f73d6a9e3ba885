import { describe, expect, test } from "vitest";
import { compilePcre, patternFailureMessage, type CompiledPcre } from "./compile-pcre.ts";

function compiled(pattern: string, caseInsensitive = false): CompiledPcre {
  const result = compilePcre(pattern, { caseInsensitive });
  if (!result.ok) throw new Error(patternFailureMessage(pattern, result));
  return result;
}

/** Captures from group 1 on. */
function captures(pattern: string, subject: string): readonly (string | undefined)[] | null {
  return compiled(pattern).regexp.exec(subject)?.slice(1) ?? null;
}

describe("what JavaScript would read differently", () => {
  test.each<[pattern: string, subject: string, expected: readonly (string | undefined)[] | null]>([
    // places
    ["^(.+)$", "a\n", ["a"]],
    ["^(.+)$", "a\nb", null],
    ["^(a)\\z", "a\n", null],
    ["\\A(a)\\Z", "a\n", ["a"]],
    ["(a$|b)", "a\n", ["a"]],
    ["(?m)^(b)$", "a\nb\nc", ["b"]],
    ["(?m)(a\n)^", "a\n", null],
    ["\\G(b)", "ab", null],
    ["a\\K(b)", "ab", ["b"]],
    ["[[:<:]](b\\w+)[[:>:]]", "ab bc", ["bc"]],
    // bytes
    ["(.)", "\r", ["\r"]],
    ["^(.)$", "\x85", ["\x85"]],
    ["^(.+)$", "\xe2\x80\xa8", ["\xe2\x80\xa8"]],
    ["^(\\s+)$", "\xa0", null],
    ["^(\\h+)(\\v)$", " \xa0\x0b", [" \xa0", "\x0b"]],
    ["^(\\w+)$", "\xe9", null],
    ["^(\\R)(.*)$", "\r\nx", ["\r\n", "x"]],
    ["^\\R(\\n)", "\r\n", null],
    ["^([^/]+)$", "\xff\n", ["\xff\n"]],
    ["(\\x{41}\\o{102}\\103\\x44)", "ABCD", ["ABCD"]],
    ["(\\x)(\\0)(\\01)", "\0\0\x01", ["\0", "\0", "\x01"]],
    ["([\\b\\1])(\\cA)", "\b\x01", ["\b", "\x01"]],
    ["(\\e\\a)", "\x1b\x07", ["\x1b\x07"]],
    // classes
    ["([]a]+)", "]a[", ["]a"]],
    ["([^]a]+)", "]b", ["b"]],
    ["([[:alpha:]]+)([[:^alpha:]])", "1ab2", ["ab", "2"]],
    ["([\\d-]+)", "a1-2", ["1-2"]],
    ["([a\\-z]+)", "-b", ["-"]],
    ["([\\Q]-[\\E]+)", "a]-[", ["]-["]],
    ["(?xx)([a b]+)", "a b", ["a"]],
    // syntax
    ["(a{,2})", "a{,2}", ["a{,2}"]],
    ["(a{x})", "a{x}", ["a{x}"]],
    ["\\Q.*(\\E(x)", ".*(x", ["x"]],
    ["\\Qab\\E+(c)", "abbc", ["c"]],
    ["a(?#b)+(c)", "aac", ["c"]],
    ["(?x) ( a b ) # comment\n (c)", "abc", ["ab", "c"]],
    ["(?i)(ab)(?-i)c", "ABc", ["AB"]],
    ["(?i:a)(b)", "AB", null],
    ["(a(?i)b|c)", "C", ["C"]],
    ["(?n)(a)(?<b>b)", "ab", ["b"]],
    ["(?U)(a+)(a+?)", "aaa", ["a", "aa"]],
    ["(?s)(a.b)", "a\nb", ["a\nb"]],
    ["(?^i)(.)", "\n", null],
    ["(?=(a))*(.)", "ab", ["a", "a"]],
    ["(*BSR_ANYCRLF)(\\R)", "\x85\n", ["\n"]],
    ["(*pla:a)(.)(*nlb:b)", "ba", ["a"]],
    ["(a)|(*FAIL)", "b", null],
    // groups
    ["(a*)?b", "b", [""]],
    ["(?:(a)|b)*", "ab", ["a"]],
    ["(a*)+", "aa", [""]],
    ["(?:(a)|(b)|c)+", "abc", ["a", "b"]],
    ["(?|(a)|(b))(c)", "bc", ["b", "c"]],
    ["(?>(a+))b(c)", "aabc", ["aa", "c"]],
    ["(?>a+)a", "aaa", null],
    ["(a++)(b)", "aab", ["aa", "b"]],
    ["(?:ab?+)b(c)", "abc", null],
    ["(?<year>\\d{4})-\\k<year>(x)", "2026-2026x", ["2026", "x"]],
    ["(.)\\g{-1}(.)\\g2", "aabb", ["a", "b"]],
    ["(a)\\10", "a\x08", ["a"]],
    ["(?<=ab|c)(d)", "cd", ["d"]],
    ['(?<!\\\\)(")', 'a\\"b"', ['"']],
  ])("%s on %j", (pattern, subject, expected) => {
    expect(captures(pattern, subject)).toEqual(expected);
  });
});

test("without regard to case means ASCII letters and no others", () => {
  const { regexp } = compiled("^\xe4[k]\\x{53}[[:upper:]]$", true);
  expect(regexp.test("\xe4Ksa")).toBe(true);
  expect(regexp.test("\xc4KSA")).toBe(false);
  expect(regexp.test("\xe4k\xdfa")).toBe(false);
});

test("groups keep their names and PCRE's numbers, whatever groups the translation needs", () => {
  const { groupCount, groupNames, regexp } = compiled("(?>a+)(?<b>b)(?P<c>c++)(?'d'd)");
  expect(groupCount).toBe(3);
  expect([...groupNames]).toEqual([
    ["b", 1],
    ["c", 2],
    ["d", 3],
  ]);
  expect(regexp.exec("aabccd")).toEqual(["aabccd", "b", "cc", "d"]);
});

test("a group that is repeated zero times keeps its number", () => {
  expect(captures("(a){0}(b)", "b")).toEqual([undefined, "b"]);
});

describe("what PCRE takes and wsgate refuses, by name and place", () => {
  test.each([
    ["a(?R)?", "recursion (?R is not supported", 1],
    ["(a)(?1)", "recursion (?n) is not supported", 3],
    ["(?<a>b)(?&a)", "recursion (?& is not supported", 7],
    ["(?<a>b)\\g<a>", "subroutine call \\g is not supported", 7],
    ["(?<a>b)(?P>a)", "subroutine call (?P> is not supported", 7],
    ["(a)?(?(1)b|c)", "conditional group (?( is not supported", 4],
    ["a(?C1)", "callout (?C is not supported", 1],
    ["(?J)(?<a>b)", "option (?J) is not supported", 2],
    ["a(*COMMIT)b", "backtracking verb (*COMMIT) is not supported", 1],
    ["(*UTF8)\xc3\xa4", "setting (*UTF8) is not supported", 0],
    ["\\p{L}+", "Unicode property \\p is not supported", 0],
    ["(?:(a)|b)\\1", "a backreference to group 1, which may not have matched before it, is not supported", 9],
    [
      "(?P=n)(?<n>b)",
      "a backreference to group 1, which may not have matched before it, is not supported",
      0,
    ],
    ["(?i)(a)\\1", "a case-insensitive backreference is not supported", 7],
  ])("%s", (pattern, message, offset) => {
    const failure = compilePcre(pattern, { caseInsensitive: false });
    expect(failure).toMatchObject({ ok: false, kind: "unsupported", message, offset });
    expect(failure.ok || failure.hint).toMatch(/^[A-Z].*\.$/);
  });
});

describe("a syntax error is told in the words and with the rest of the pattern that nginx shows", () => {
  test.each([
    ["^/(a$", 'pcre2_compile() failed: missing closing parenthesis in "^/(a$"'],
    ["^/*+*", 'pcre2_compile() failed: quantifier does not follow a repeatable item in "^/*+*" at "*"'],
    ["[z-a]x", 'pcre2_compile() failed: range out of order in character class in "[z-a]x" at "a]x"'],
  ])("%s", (pattern, line) => {
    const failure = compilePcre(pattern, { caseInsensitive: false });
    expect(failure.ok ? "" : patternFailureMessage(pattern, failure)).toBe(line);
  });
});

describe("which patterns are warned about", () => {
  test.each([
    ["^/(?:a|b)+/x$", 0],
    ["^/(?!api/)(.*)$", 0],
    ["^(?!/api)/.*/.*\\.php$", 0],
    ["^(([a-z]+-)?[a-z]+/)+$", 0],
    ["^(?!x)(a+)+$", 1],
    ["^(?!x).*=.*=.*=.*$", 1],
  ])("%s: %i", (pattern, count) => {
    const { linear, warnings } = compiled(pattern);
    expect({ linear, count: warnings.length }).toEqual({ linear: true, count });
  });

  test("long and short subjects are matched alike where two matchers share a pattern", () => {
    const { regexp } = compiled("^(?!x)(.*)/(.*)\\.php$");
    for (const length of [1, 100, 126, 127, 128, 129, 5_000]) {
      const path = "p/".repeat(length);
      expect([...(regexp.exec(`${path}a.php`) ?? [])]).toEqual([`${path}a.php`, path.slice(0, -1), "a"]);
      expect(regexp.test(`x${path}a.php`)).toBe(false);
    }
  });

  test("a backreference between overlapping repetitions is quadratic, and in worse company refused", () => {
    const { linear, warnings } = compiled("^([a-z]+)-.*\\1$");
    expect({ linear, count: warnings.length }).toEqual({ linear: false, count: 1 });
    expect(compilePcre("^(a+)+\\1$", { caseInsensitive: false })).toMatchObject({
      ok: false,
      kind: "unsupported",
    });
  });
});
