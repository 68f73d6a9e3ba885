import { expect, test } from "vitest";
import { askPcre2, type Pcre2Answer, type Pcre2Match, type Pcre2Question } from "../../../test/rig/pcre2.ts";
import { fuzzSeed, Random } from "../../../test/rig/random.ts";
import { requires } from "../../../test/rig/requires.ts";
import { runsInLinearTime } from "../../base/regexp-guard.ts";
import { compilePcre } from "./compile-pcre.ts";
import { emitJavaScript } from "./emit.ts";
import { hasBackreference, whyNotJavaScript } from "./exactness.ts";
import { compileMatcherProgram } from "./matcher-program.ts";
import { parsePattern } from "./parse.ts";
import { matcherRegExp, nativeRegExp, type PcreRegExp } from "./regexp.ts";

/**
 * Patterns and subjects made at random, read by the real PCRE2 and by every way wsgate has to match: the one it would
 * choose, its own matcher, and V8's linear engine, which may take over in the middle of a match. PCRE_SEED and
 * PCRE_PATTERNS repeat and lengthen a run.
 */
const seed = fuzzSeed("PCRE_SEED");
const patternCount = Number(process.env["PCRE_PATTERNS"] ?? 1_000);
const subjectsPerPattern = 8;

test(`every matcher captures what PCRE2 captures, and every refusal is PCRE2's (PCRE_SEED=${seed})`, (context) => {
  requires(context, "pcre2test");
  const random = new Random(seed);
  const questions = Array.from({ length: patternCount }, () => randomQuestion(random));
  const answers = askPcre2(questions);
  const disagreements = questions.flatMap((question, index) => disagreementsOn(question, answers[index]));
  expect(disagreements.slice(0, 10).map((one) => JSON.stringify(one))).toEqual([]);
});

test(`what is no pattern is refused as PCRE2 refuses it (PCRE_SEED=${seed})`, (context) => {
  requires(context, "pcre2test");
  const random = new Random(seed);
  const questions = Array.from({ length: 2 * patternCount }, () => randomScraps(random));
  const answers = askPcre2(questions);
  const disagreements = questions.flatMap((question, index) => disagreementsOn(question, answers[index]));
  expect(disagreements.slice(0, 10).map((one) => JSON.stringify(one))).toEqual([]);
});

test("a matcher that is wrong about one thing is found out", (context) => {
  requires(context, "pcre2test");
  const [answer] = askPcre2([{ pattern: "(?:(a)|b)*", caseInsensitive: false, subjects: ["ab"] }]);
  // JavaScript forgets the group in the second round.
  expect(answer?.ok && disagrees(/(?:(a)|b)*/, "ab", answer.matches[0] ?? null, true)).toBe(true);
});

function disagreementsOn(question: Pcre2Question, answer: Pcre2Answer | undefined): object[] {
  const { pattern, caseInsensitive, subjects } = question;
  const compiled = compilePcre(pattern, { caseInsensitive });
  if (answer === undefined) return [{ pattern, problem: "no answer" }];
  if (!compiled.ok) {
    if (compiled.kind === "unsupported") return [];
    if (answer.ok) return [{ pattern, problem: `refused: ${compiled.message} at ${compiled.offset}` }];
    const isSame = compiled.message === answer.message && compiled.offset === answer.offset;
    return isSame ? [] : [{ pattern, ours: compiled, theirs: answer }];
  }
  if (!answer.ok) return [{ pattern, problem: "accepted", theirs: answer }];
  const matchers = matchersOf(question, compiled.regexp);
  for (const [index, subject] of subjects.entries()) {
    const theirs = answer.matches[index] ?? null;
    const wrong = matchers.find(({ regexp, wholeMatchCounts }) =>
      disagrees(regexp, subject, theirs, wholeMatchCounts),
    );
    if (wrong === undefined) continue;
    const ours = wrong.regexp.exec(subject);
    return [{ pattern, caseInsensitive, subject, matcher: wrong.name, ours: ours && [...ours], theirs }];
  }
  return [];
}

type NamedMatcher = {
  readonly name: string;
  readonly regexp: PcreRegExp;
  readonly wholeMatchCounts: boolean;
};

function matchersOf({ pattern, caseInsensitive }: Pcre2Question, chosen: PcreRegExp): NamedMatcher[] {
  const { root, groupCount } = parsePattern(pattern, caseInsensitive);
  const matchers: NamedMatcher[] = [{ name: "chosen", regexp: chosen, wholeMatchCounts: false }];
  if (!hasBackreference(root)) {
    const regexp = matcherRegExp(compileMatcherProgram(root, groupCount));
    // \K moves the start of the whole match, which wsgate does not follow.
    matchers.push({ name: "own", regexp, wholeMatchCounts: !pattern.includes("\\K") });
  }
  const emitted = emitJavaScript(root, groupCount);
  if (whyNotJavaScript(root) === undefined && runsInLinearTime(emitted.source)) {
    matchers.push({
      name: `linear ${emitted.source}`,
      regexp: nativeRegExp(emitted, "l"),
      wholeMatchCounts: false,
    });
  }
  return matchers;
}

function disagrees(
  regexp: PcreRegExp,
  subject: string,
  expected: Pcre2Match,
  wholeMatchCounts: boolean,
): boolean {
  if (expected === "gaveUp") return false;
  const found = regexp.exec(subject);
  if (regexp.test(subject) !== (expected !== null)) return true;
  if (found === null || expected === null) return found !== expected;
  const from = wholeMatchCounts ? 0 : 1;
  return (
    found.length !== expected.length ||
    expected.some((value, group) => group >= from && value !== found[group])
  );
}

/** A small alphabet, so that things match; bytes that differ between PCRE and JavaScript are over-represented. */
const subjectBytes = "aaabbbcAB1_/-. \n\n\r\x0b\x85\xa0\xe9".split("");
const atoms = words(
  "a a a b b b c A B 1 / - . . [ab] [^a] [^/] [a-c] [[:alpha:]] [[:^digit:]_] []a] [^]b] [a\\-c] [\\d-]",
  "\\d \\w \\W \\s \\h \\v \\H \\V \\N \\R \\X \\C \\. \\/ \\x61 \\141 \\Qa.b\\E \\xe9 [\\x80-\\xff] [\\Qa-c\\E]",
  "(?#note) \\n { {,2} x{a} \\E \xe9",
);
const anchors = words("^ $ $ \\b \\B \\A \\z \\Z \\G \\K");
const openings = words("( ( ( ( (?: (?: (?> (?= (?! (?| (?i: (?s: (?m: (?x: (?-i: (*pla:");
const lookbehinds = words("(?<= (?<!");
const quantifiers = words("* + ? {2} {1,2} {0,3} {2,} {1} {,2}");
const suffixes = ["", "", "", "?", "+"];
const oddities = words("a{0} (?i) (?-i) (?m) (?s) (?U) (?x) \\1 \\g{-1} \\2 ) ( [ * \\8 (?z)");

/** Pieces of syntax, to be put together in no order. */
const scraps = words(
  "a b 1 8 0 12 - , ^ $ . | | ( ( ) ) ) [ [ ] ] { } { } * + ? ? : = ! < > > ' # & _ x R P C J i m s n U \\ \\",
  "(? (?: (?< (?<a> (?<b> (?P< (?P= (?P> (?' (?= (?<= (?<! (?! (?> (?| (?i (?-i (?^ (?# (?x) (?xx) (* (*a (*pla: (*UTF (*F) (*MARK:",
  "\\g \\g{ \\g< \\k \\k< \\k{a} \\x \\x{ \\o \\o{ \\c \\p \\N{U+41} \\Q \\E \\d \\w \\b \\K \\R \\u \\y \\1 \\2 \\10 \\777",
  "[: :] [:alpha:] [[:alpha:]] [[:^ [. .] [= =] [^ [] [^] {2} {3,1} {1,70000} {70000} {,3} \xe9 (?C (?1) (?&a)",
);

function randomScraps(random: Random): Pcre2Question {
  const pattern = Array.from({ length: 1 + random.below(8) }, () => random.pick(scraps)).join("");
  // An unclosed class that ends so is refused for something else.
  if (pattern.endsWith("\\E")) return randomScraps(random);
  return { pattern, caseInsensitive: random.below(2) === 0, subjects: ["", "a1", "\n"] };
}

function words(...lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(" "));
}

function randomQuestion(random: Random): Pcre2Question {
  return {
    pattern: randomChoice(random, 3),
    caseInsensitive: random.below(4) === 0,
    subjects: Array.from({ length: subjectsPerPattern }, () => randomSubject(random)),
  };
}

function randomSubject(random: Random): string {
  const length = random.below(4) === 0 ? random.below(25) : random.below(7);
  const isPlain = random.below(2) === 0;
  return Array.from({ length }, () =>
    isPlain ? random.pick(["a", "b", "c"]) : random.pick(subjectBytes),
  ).join("");
}

function randomChoice(random: Random, depth: number): string {
  const count = random.below(3) === 0 ? 1 + random.below(3) : 1;
  return Array.from({ length: count }, () => randomSequence(random, depth)).join("|");
}

function randomSequence(random: Random, depth: number): string {
  return Array.from({ length: random.below(5) }, () => randomItem(random, depth)).join("");
}

function randomItem(random: Random, depth: number): string {
  const kind = random.below(60);
  if (kind === 0) return random.pick(oddities);
  if (kind < 5) return random.pick(anchors);
  const isGroup = depth > 0 && kind < 28;
  let atom = random.pick(atoms);
  if (isGroup) atom = `${random.pick(openings)}${randomChoice(random, depth - 1)})`;
  else if (kind < 31)
    atom = `${random.pick(lookbehinds)}${random.pick(["a", "ab", "a|bc", "\\n", "[^a]", "^", "(a)"])})`;
  if (random.below(5) < 3) return atom;
  return atom + random.pick(quantifiers) + random.pick(suffixes);
}
