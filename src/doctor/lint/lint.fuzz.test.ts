/** Random configurations out of the lines of all examples: lint never throws, and what it mends stays mended. */
import { expect, test } from "vitest";
import { fuzzSeed, Random } from "../../../test/rig/random.ts";
import { memoryFiles } from "../../config/files.ts";
import { modules } from "../../modules/index.ts";
import { fix } from "./fix.ts";
import { lint, type LintOptions, type LintResult } from "./lint.ts";
import { rules } from "./rules/index.ts";

const FILE = "/conf/nginx.conf";
const texts = rules.flatMap(({ examples }) => examples.flatMap(({ bad, good }) => [bad, good]));
const lines = [...new Set(texts.flatMap((text) => text.split("\n").map((line) => line.trim())))].filter(
  (line) => line !== "" && line !== "}",
);

/** Blocks within blocks, balanced, of lines that mostly mean something somewhere. */
function randomConfig(random: Random): string {
  let text = "events {}\nhttp {\n";
  let depth = 1;
  for (let i = random.below(40); i > 0; i--) {
    const line = random
      .pick(lines)
      .replace(" # <--", random.below(4) === 0 ? " # wsgate-lint: ignore map-misplaced" : "");
    const indent = "\t".repeat(random.below(5));
    text += `${indent}${line}${random.pick(["\n", "\r\n", " ", "\n# Ω\n"])}`;
    depth += (line.match(/\{/g)?.length ?? 0) - (line.match(/\}/g)?.length ?? 0);
    if (depth > 1 && random.below(3) === 0) {
      text += "}\n";
      depth--;
    }
  }
  return `${text}${"}".repeat(Math.max(0, depth))}\n`;
}

function optionsFor(text: string): LintOptions {
  return { file: FILE, files: memoryFiles({ [FILE]: text }), modules, target: "any", nginxVersion: null };
}

function fixableOf({ findings }: LintResult): readonly string[] {
  return findings.filter(({ edits }) => edits.length > 0).map(({ rule, message }) => `${rule}: ${message}`);
}

test("whatever stands in a file, lint says something about it, and what --fix has mended it finds no more", () => {
  const seed = fuzzSeed("LINT_SEED");
  const random = new Random(seed);
  for (let round = 0; round < 300; round++) {
    const text = randomConfig(random);
    const { changes, result } = fix(optionsFor(text), () => true);
    expect({ seed, text, left: fixableOf(result) }).toEqual({ seed, text, left: [] });
    const mended = changes[0]?.after ?? text;
    expect({ seed, text, again: fix(optionsFor(mended), () => true).changes }).toEqual({
      seed,
      text,
      again: [],
    });
  }
});

test("a mend changes no other line than it says", () => {
  const seed = fuzzSeed("LINT_SEED");
  const random = new Random(seed);
  for (let round = 0; round < 200; round++) {
    const text = randomConfig(random);
    for (const { edits } of lint(optionsFor(text)).findings) {
      for (const { start, end, file } of edits) {
        expect({ seed, text, inside: start >= 0 && start <= end && end <= file.text.length }).toEqual({
          seed,
          text,
          inside: true,
        });
      }
    }
  }
});
