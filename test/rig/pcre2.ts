import { spawnSync } from "node:child_process";

/** A pattern and the subjects to try it on, all of them byte strings. Subjects hold no backslash. */
export type Pcre2Question = {
  readonly pattern: string;
  readonly caseInsensitive: boolean;
  readonly subjects: readonly string[];
};

/** The captures from group 0 on, null where nothing matched, or `gaveUp` where PCRE ran into its own limits. */
export type Pcre2Match = readonly (string | undefined)[] | null | "gaveUp";

export type Pcre2Answer =
  | { readonly ok: true; readonly matches: readonly Pcre2Match[] }
  | { readonly ok: false; readonly message: string; readonly offset: number };

/** Without two of PCRE2's optimizations: in 10.42 they make it miss, for example, "b\r" when it looks for `.+?\R`. */
const modifiers = "hex,allcaptures,no_start_optimize,no_auto_possess";

/** Asks the real PCRE2, by way of Debian's `pcre2test`, how it reads patterns. One process answers all questions. */
export function askPcre2(questions: readonly Pcre2Question[]): Pcre2Answer[] {
  const input = questions.map(({ pattern, caseInsensitive, subjects }) => {
    const head = `/${hex(pattern)}/${modifiers}${caseInsensitive ? ",caseless" : ""}`;
    return [head, ...subjects.map((subject) => `    ${escapeSubject(subject)}`), "", ""].join("\n");
  });
  const run = spawnSync("pcre2test", ["-q", "-8"], {
    input: `#subject ovector=200\n\n${input.join("")}`,
    encoding: "latin1",
    maxBuffer: 1 << 28,
  });
  if (run.status !== 0 || /^\*\* /m.test(run.stdout))
    throw new Error(`pcre2test failed: ${run.stderr || run.stdout.slice(-500)}`);
  const blocks = run.stdout.split(/^\/(?=[0-9a-f]*\/hex)/m).slice(1);
  if (blocks.length !== questions.length)
    throw new Error(`${blocks.length} answers to ${questions.length} questions`);
  return blocks.map(readAnswer);
}

function readAnswer(block: string): Pcre2Answer {
  const failure = /^Failed: error \d+ at offset (\d+): (.*)$/m.exec(block.split("\n")[1] ?? "");
  if (failure !== null) return { ok: false, offset: Number(failure[1]), message: failure[2] ?? "" };
  return {
    ok: true,
    matches: block
      .split(/^ {4}\\.*\n/m)
      .slice(1)
      .map(readMatch),
  };
}

function readMatch(text: string): Pcre2Match {
  if (text.startsWith("No match")) return null;
  if (text.startsWith("Failed")) return "gaveUp";
  return [...text.matchAll(/^ *\d+: (.*)$/gm)].map(([, value = ""]) =>
    value === "<unset>" ? undefined : value.replace(/\\x([0-9a-f]{2})/g, (_, byte: string) => unhex(byte)),
  );
}

function hex(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("hex");
}

function unhex(byte: string): string {
  return String.fromCharCode(Number.parseInt(byte, 16));
}

function escapeSubject(subject: string): string {
  return subject === "" ? "\\" : hex(subject).replace(/../g, "\\x$&");
}
