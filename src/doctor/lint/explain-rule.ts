/** A rule's row as text for a person: in the terminal, and as a page. */
import type { Rule, RuleExample } from "./rule.ts";

/** One line for each rule. */
export function listRules(rules: readonly Rule[]): string {
  const width = Math.max(...rules.map(({ name }) => name.length));
  return rules
    .map(({ name, severity, summary }) => `${name.padEnd(width)}  ${severity.padEnd(7)}  ${summary}\n`)
    .join("");
}

/** All that is to be said of one rule. */
export function explainRule({ name, severity, summary, why, only, examples }: Rule): string {
  const lines = [
    `${name} (${severity}${only === undefined ? "" : `, for ${only}`}): ${summary}.`,
    "",
    ...wrap(why, 100),
  ];
  for (const { bad, good, inside } of examples) {
    lines.push("", `Not this (${placeOf(inside)}):`, ...indent(bad), "", "but this:", ...indent(good));
  }
  return `${lines.join("\n")}\n`;
}

/** docs/LINT.md. */
export function rulesPage(rules: readonly Rule[], generated: string): string {
  const lines = [
    "# What `wsgate lint` looks for",
    "",
    generated,
    "",
    "One section for each rule, with an example that it finds (the line that ends in `# <--`) and a near twin in which nothing is",
    "wrong; the tests run both, and a real nginx has to accept the twins. *error*: WebSockets fail, or somebody gets in;",
    "*warning*: sooner or later; *info*: good to know. Rules *for nginx* are left out with `--for wsgate`, and the other way round.",
    "",
    "| rule | severity | finds |",
    "|---|---|---|",
    ...rules.map(({ name, severity, summary }) => `| [${name}](#${name}) | ${severity} | ${cell(summary)} |`),
  ];
  for (const { name, severity, summary, why, only, examples } of rules) {
    lines.push(
      "",
      `## ${name}`,
      "",
      `*${severity}${only === undefined ? "" : `, for ${only}`}*: ${summary}. ${why}`,
    );
    for (const { bad, good } of examples) lines.push("", ...fence(bad), "", "but", "", ...fence(good));
  }
  return `${lines.join("\n")}\n`;
}

function fence(text: string): readonly string[] {
  return ["```nginx", ...text.trim().split("\n"), "```"];
}

function indent(text: string): readonly string[] {
  return text
    .trim()
    .split("\n")
    .map((line) => `    ${line}`.trimEnd());
}

function placeOf(inside: RuleExample["inside"]): string {
  return inside === "main" ? "the whole file" : `inside ${inside}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
