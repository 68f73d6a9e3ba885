/** `--fix`: the safe mends of all findings, made in memory until nothing is left to mend. */
import { type ConfigFiles, diskFiles } from "../../config/files.ts";
import { applyEdits } from "./edits.ts";
import { type Finding, lint, type LintOptions, type LintResult } from "./lint.ts";

export interface ChangedFile {
  readonly name: string;
  readonly before: string;
  readonly after: string;
}

export interface FixResult {
  /** In the order of reading; only those that change. */
  readonly changes: readonly ChangedFile[];
  /** What lint says of the mended files. */
  readonly result: LintResult;
}

/** A mend may make room for another one; none makes work for many. */
const roundsMax = 10;

/** Mends what `isWanted` admits. Nothing is written. */
export function fix(options: LintOptions, isWanted: (finding: Finding) => boolean): FixResult {
  const files = options.files ?? diskFiles;
  const mended = new Map<string, string>();
  const originals = new Map<string, string>();
  const overlay: ConfigFiles = {
    read: (path) => {
      const original = files.read(path);
      const text = mended.get(path);
      if (text === undefined || !original.ok) return original;
      return { ok: true, content: hasByteOrderMark(original.content) ? `\ufeff${text}` : text };
    },
    list: (folder) => files.list(folder),
  };
  let result = lint({ ...options, files: overlay });
  for (let round = 0; round < roundsMax; round++) {
    const groups = result.findings
      .filter(isWanted)
      .map(({ edits }) => edits)
      .filter((edits) => edits.length > 0);
    if (groups.length === 0) break;
    for (const file of result.tree.files) if (!originals.has(file.name)) originals.set(file.name, file.text);
    for (const [name, text] of applyEdits(groups)) mended.set(name, text);
    result = lint({ ...options, files: overlay });
  }
  const changes = [...mended].map(([name, after]) => ({ name, before: originals.get(name) ?? "", after }));
  return { changes: changes.filter(({ before, after }) => before !== after), result };
}

function hasByteOrderMark(content: string | Uint8Array): boolean {
  if (typeof content === "string") return content.startsWith("\ufeff");
  return content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf;
}
