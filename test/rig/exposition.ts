/**
 * Prometheus' text format, version 0.0.4, read as its documentation has it and no more leniently: to hold against it what
 * a proxy says. Throws where a line is none.
 */

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/;
const VALUE = /^[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf|NaN)$/;
const TYPES = new Set(["counter", "gauge", "histogram", "summary", "untyped"]);

export function parseExposition(text: string): readonly Family[] {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, { name: string; type: string; help: string; samples: Sample[] }>();
  for (const line of text.slice(0, -1).split("\n")) {
    const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === undefined) {
      addSample(line, families);
      continue;
    }
    const family = families.get(name) ?? { name, type: "", help: "", samples: [] };
    families.set(name, family);
    const field = keyword === "HELP" ? "help" : "type";
    if (family[field] !== "" || family.samples.length > 0) throw new Error(`too late or twice: ${line}`);
    if (field === "type" && !TYPES.has(rest)) throw new Error(`no type: ${line}`);
    family[field] = rest.replace(/\\([\\n])/g, (_, escaped) => (escaped === "n" ? "\n" : "\\"));
  }
  return [...families.values()];
}

function addSample(line: string, families: ReadonlyMap<string, { samples: Sample[] }>): void {
  const name = NAME.exec(line)?.[0] ?? "";
  const family = families.get(name);
  if (family === undefined) throw new Error(`a sample of no family: ${line}`);
  const [labels, valueText] = parseLabels(line.slice(name.length));
  if (!VALUE.test(valueText)) throw new Error(`no value: ${line}`);
  const id = JSON.stringify(labels);
  if (family.samples.some((sample) => JSON.stringify(sample.labels) === id))
    throw new Error(`twice: ${line}`);
  family.samples.push({ labels, value: Number(valueText) });
}

/** The labels, and what follows the space behind them. */
function parseLabels(text: string): readonly [labels: Readonly<Record<string, string>>, rest: string] {
  if (!text.startsWith("{")) return [{}, text.slice(1)];
  const end = text.lastIndexOf("} ");
  if (end < 0) throw new Error(`labels without an end: ${text}`);
  const labels: Record<string, string> = {};
  for (let left = text.slice(1, end); left !== ""; ) {
    const [all, name, value] = LABEL.exec(left) ?? [];
    if (all === undefined || name === undefined || value === undefined) throw new Error(`no label: ${left}`);
    labels[name] = value.replace(/\\([\\"n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
    left = left.slice(all.length);
  }
  return [labels, text.slice(end + 2)];
}
