/** Two texts as `diff -u` shows them, for a person to look at before a file is written. */

/** Lines around a change that are shown with it. */
const CONTEXT = 3;

interface Step {
  readonly mark: " " | "-" | "+";
  readonly line: string;
}

/** The difference with its header, or "" where the texts are the same. Line ends are part of the lines. */
export function unifiedDiff(name: string, before: string, after: string): string {
  if (before === after) return "";
  const steps = compareLines(linesOf(before), linesOf(after));
  return [`--- ${name}\n`, `+++ ${name} (mended)\n`, ...hunksOf(steps)].join("");
}

function linesOf(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** The fewest lines taken away and added, by the longest common subsequence of what lies between common ends. */
function compareLines(before: readonly string[], after: readonly string[]): readonly Step[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  )
    tail++;
  const same = (lines: readonly string[]): Step[] => lines.map((line) => ({ mark: " ", line }));
  return [
    ...same(before.slice(0, head)),
    ...compareMiddle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

function compareMiddle(before: readonly string[], after: readonly string[]): readonly Step[] {
  const width = after.length + 1;
  // lengths[i * width + j]: of the longest common subsequence of before from i on and after from j on.
  const lengths = new Uint32Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        before[i] === after[j]
          ? (lengths[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(lengths[(i + 1) * width + j] ?? 0, lengths[i * width + j + 1] ?? 0);
    }
  }
  const steps: Step[] = [];
  let i = 0;
  let j = 0;
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]];
    if (old !== undefined && old === fresh) {
      steps.push({ mark: " ", line: old });
      i++;
      j++;
    } else if (
      old !== undefined &&
      (fresh === undefined || (lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0))
    ) {
      steps.push({ mark: "-", line: old });
      i++;
    } else {
      steps.push({ mark: "+", line: fresh ?? "" });
      j++;
    }
  }
  return steps;
}

function hunksOf(steps: readonly Step[]): readonly string[] {
  const hunks: string[] = [];
  let oldLine = 1;
  let newLine = 1;
  let i = 0;
  while (i < steps.length) {
    const change = steps.findIndex(({ mark }, at) => at >= i && mark !== " ");
    if (change === -1) break;
    const start = Math.max(i, change - CONTEXT);
    oldLine += start - i;
    newLine += start - i;
    const end = endOfHunk(steps, change);
    const hunk = steps.slice(start, end);
    const oldCount = hunk.filter(({ mark }) => mark !== "+").length;
    const newCount = hunk.filter(({ mark }) => mark !== "-").length;
    hunks.push(`@@ -${range(oldLine, oldCount)} +${range(newLine, newCount)} @@\n`, ...hunk.map(printStep));
    oldLine += oldCount;
    newLine += newCount;
    i = end;
  }
  return hunks;
}

/** Changes that are closer to one another than twice the context stand in one hunk. */
function endOfHunk(steps: readonly Step[], change: number): number {
  let last = change;
  for (let at = change; at < steps.length && at <= last + 2 * CONTEXT; at++) {
    if (steps[at]?.mark !== " ") last = at;
  }
  return Math.min(steps.length, last + 1 + CONTEXT);
}

/** An empty range names the line before it. */
function range(line: number, count: number): string {
  if (count === 1) return String(line);
  return `${count === 0 ? line - 1 : line},${count}`;
}

function printStep({ mark, line }: Step): string {
  return line.endsWith("\n") ? `${mark}${line}` : `${mark}${line}\n\\ No newline at end of file\n`;
}
