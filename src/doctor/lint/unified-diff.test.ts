import { expect, test } from "vitest";
import { fuzzSeed, Random } from "../../../test/rig/random.ts";
import { unifiedDiff } from "./unified-diff.ts";

/** Applies a diff to the text that it was made from, trusting nothing but the diff. */
function patch(before: string, diff: string): string {
  const lines = before.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const result: string[] = [];
  let at = 0;
  const rows = diff.split("\n").slice(2, -1);
  for (const [i, row] of rows.entries()) {
    const header = /^@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@$/.exec(row);
    if (header !== null) {
      // An empty range names the line before it.
      const start = Number(header[1]) - (header[2] === "0" ? 0 : 1);
      result.push(...lines.slice(at, start));
      at = start;
      continue;
    }
    if (row.startsWith("\\")) continue;
    const line = row.slice(1) + (rows[i + 1]?.startsWith("\\") === true ? "" : "\n");
    if (row[0] !== "+") {
      if (lines[at] !== line) throw new Error(`line ${at + 1} is not ${JSON.stringify(line)}`);
      at++;
    }
    if (row[0] !== "-") result.push(line);
  }
  return [...result, ...lines.slice(at)].join("");
}

test("two texts that are the same have no difference", () => {
  expect(unifiedDiff("x", "a\nb\n", "a\nb\n")).toBe("");
});

test("shows three lines around a change, as diff -u does", () => {
  const before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
  expect(unifiedDiff("x", before, before.replace("5\n", "5\nfive\n"))).toBe(
    "--- x\n+++ x (mended)\n@@ -3,6 +3,7 @@\n 3\n 4\n 5\n+five\n 6\n 7\n 8\n",
  );
});

test("changes that are far apart stand in hunks of their own", () => {
  const before = Array.from({ length: 30 }, (_, i) => `${i}\n`).join("");
  const after = before.replace("2\n", "two\n").replace("28\n", "");
  expect(unifiedDiff("x", before, after).match(/^@@/gm)).toHaveLength(2);
});

test("says where a last line has no end", () => {
  expect(unifiedDiff("x", "a", "a\n")).toBe(
    "--- x\n+++ x (mended)\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
  );
});

test("whatever the texts, the difference leads from one to the other", () => {
  const seed = fuzzSeed("DIFF_SEED");
  const random = new Random(seed);
  const text = (): string => {
    const lines = Array.from({ length: random.below(25) }, () => `${random.below(4)}\n`).join("");
    return random.below(3) === 0 ? lines.slice(0, -1) : lines;
  };
  for (let round = 0; round < 500; round++) {
    const before = text();
    const after = text();
    const diff = unifiedDiff("x", before, after);
    // Both sides with the seed, which repeats a failure: DIFF_SEED=…
    expect({ seed, text: before === after ? after : patch(before, diff) }).toEqual({ seed, text: after });
  }
});
