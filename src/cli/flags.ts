/** What the command line asks for, as nginx's users know it. */
export interface Flags {
  readonly config: string | null;
  readonly prefix: string | null;
  /** `-e`: where errors go if no error_log says otherwise. */
  readonly errorLog: string | null;
  /** `-g`: directives of the main level. */
  readonly globals: string | null;
  readonly test: boolean;
  readonly dump: boolean;
  readonly quiet: boolean;
  readonly version: boolean;
  readonly build: boolean;
  readonly help: boolean;
  readonly signal: "stop" | "quit" | "reopen" | "reload" | "drain" | null;
}

export type FlagsResult =
  | { readonly ok: true; readonly flags: Flags }
  /** nginx's words. */
  | { readonly ok: false; readonly message: string };

const SIGNALS = ["stop", "quit", "reopen", "reload", "drain"] as const;

/** What each flag with an argument misses when it stands alone. */
const ARGUMENTS: ReadonlyMap<string, string> = new Map([
  ["c", "file name"],
  ["p", "directory name"],
  ["e", "file name"],
  ["g", "parameter"],
  ["s", "parameter"],
]);
const SWITCHES = "tTqvVh?";

/**
 * Reads flags as ngx_get_options: single letters that may stand together, an argument glued to its letter or as the
 * next word. `-T` implies `-t`; `-g` may be repeated. `--help` and `--version`, which nginx does not know, are what people
 * try first.
 */
export function parseFlags(args: readonly string[]): FlagsResult {
  const values = new Map<string, string[]>();
  const switches = new Set<string>();
  for (let i = 0; i < args.length; i++) {
    const word = args[i] ?? "";
    if (word === "--help" || word === "--version") {
      switches.add(word === "--help" ? "h" : "v");
      continue;
    }
    if (!word.startsWith("-") || word === "-") return { ok: false, message: `invalid option: "${word}"` };
    for (let j = 1; j < word.length; j++) {
      const letter = word[j] ?? "";
      const wanted = ARGUMENTS.get(letter);
      if (wanted === undefined) {
        if (!SWITCHES.includes(letter)) return { ok: false, message: `invalid option: "${letter}"` };
        switches.add(letter);
        continue;
      }
      const glued = word.slice(j + 1);
      const argument = glued === "" ? args[++i] : glued;
      if (argument === undefined || argument === "") {
        return { ok: false, message: `option "-${letter}" requires ${wanted}` };
      }
      values.set(letter, [...(values.get(letter) ?? []), argument]);
      break;
    }
  }
  const signalName = values.get("s")?.at(-1) ?? null;
  const signal = SIGNALS.find((known) => known === signalName) ?? null;
  if (signalName !== null && signal === null)
    return { ok: false, message: `invalid option: "-s ${signalName}"` };
  return {
    ok: true,
    flags: {
      config: values.get("c")?.at(-1) ?? null,
      prefix: values.get("p")?.at(-1) ?? null,
      errorLog: values.get("e")?.at(-1) ?? null,
      globals: values.get("g")?.join(" ") ?? null,
      test: switches.has("t") || switches.has("T"),
      dump: switches.has("T"),
      quiet: switches.has("q"),
      version: switches.has("v"),
      build: switches.has("V"),
      help: switches.has("h") || switches.has("?"),
      signal,
    },
  };
}
