import { dirname } from "node:path";
import { nestStatements } from "./blocks.ts";
import { balanceBraces } from "./braces.ts";
import { decodeSource } from "./decode.ts";
import { createDiagnostic, inReadingOrder, type Diagnostic, type Report } from "./diagnostic.ts";
import { diskFiles, type ConfigFiles } from "./files.ts";
import { IncludeExpander } from "./include.ts";
import type { DirectiveKnowledge } from "./knowledge.ts";
import type { SourceFile, SourceOrigin } from "./position.ts";
import { readStatements } from "./statements.ts";
import type { Directive, Tree } from "./tree.ts";

/**
 * Text -> Tree, step by step, each of which reports what it finds and hands on something the next one can use:
 *
 *   lexer.ts       characters -> words and punctuation
 *   statements.ts  words      -> `words;`, `words {` and `}`
 *   braces.ts      the same, with the braces balanced
 *   blocks.ts      statements -> nested directives
 *   include.ts     puts other files, read in the same way, in the place of `include`
 */
export interface ParseOptions extends DirectiveKnowledge {
  /** The name under which messages mention the text. */
  readonly file: string;
  /** As text, or as the bytes of the file. */
  readonly text: string | Uint8Array;
  /** The folder to which relative includes belong; for nginx, and by default, the folder of the main file. */
  readonly prefix?: string;
  /** Where included files come from; by default from the disk. */
  readonly files?: ConfigFiles;
}

export interface ParseResult {
  /** What could be understood; complete where no diagnostic is an error. */
  readonly tree: Tree;
  /** Everything that is wrong, in the order in which nginx would come upon it. */
  readonly diagnostics: readonly Diagnostic[];
}

/** At most so many diagnostics are kept: past that a text is no configuration at all. */
export const diagnosticsMax = 100;

/** Parses a configuration and everything it includes. Never throws on account of its input. */
export function parseConfig(options: ParseOptions): ParseResult {
  return new ConfigReader(options).read(options.file, options.text, {});
}

/** Reads the main file and parses it. A file that cannot be read is a diagnostic like any other. */
export function parseConfigFile(options: Omit<ParseOptions, "text">): ParseResult {
  const main = (options.files ?? diskFiles).read(options.file);
  if (main.ok) return parseConfig({ ...options, text: main.content });
  const failure = createDiagnostic({ code: "unreadable-file", message: main.failure, span: null });
  return { tree: { directives: [], files: [] }, diagnostics: [failure] };
}

/** Parses what stands behind `-g`: directives without blocks that nginx reads before those of the file. */
export function parseCommandLine(text: string, options: Omit<ParseOptions, "file" | "text">): ParseResult {
  return new ConfigReader({ ...options, file: "command line" }).read("command line", text, {
    isCommandLine: true,
  });
}

/** One run over a main text and what it includes. */
class ConfigReader {
  readonly #knowledge: DirectiveKnowledge;
  readonly #includes: IncludeExpander;
  readonly #files = new Map<string, SourceFile>();
  readonly #diagnostics: Diagnostic[] = [];
  readonly #report: Report = (diagnostic) => {
    if (this.#diagnostics.length < diagnosticsMax) this.#diagnostics.push(diagnostic);
  };

  constructor(options: Omit<ParseOptions, "text">) {
    this.#knowledge = options;
    this.#includes = new IncludeExpander({
      prefix: options.prefix ?? dirname(options.file),
      files: options.files ?? diskFiles,
      report: this.#report,
      parse: ({ name, content, includedFrom, parents }) =>
        this.#parse(name, content, { includedFrom }, parents),
    });
  }

  read(name: string, content: string | Uint8Array, origin: SourceOrigin): ParseResult {
    const directives = this.#parse(name, content, origin, []);
    return {
      tree: { directives, files: [...this.#files.values()] },
      diagnostics: inReadingOrder(this.#diagnostics),
    };
  }

  #parse(
    name: string,
    content: string | Uint8Array,
    origin: SourceOrigin,
    parents: readonly string[],
  ): readonly Directive[] {
    const file = decodeSource(name, content, origin, this.#report);
    if (file === null) return [];
    if (!this.#files.has(name)) this.#files.set(name, file);
    const statements = readStatements(file, this.#report);
    const balanced = balanceBraces(statements, {
      file,
      parents,
      knowledge: this.#knowledge,
      report: this.#report,
    });
    return this.#includes.expand(nestStatements(balanced, parents, this.#report), parents);
  }
}
