import { directiveDiagnostic, type Report } from "./diagnostic.ts";
import type { ConfigFiles } from "./files.ts";
import { expandGlob, isGlob } from "./glob.ts";
import type { Span } from "./position.ts";
import type { Directive } from "./tree.ts";

/** How many files may stand between the main file and one that is included. */
const includeDepthMax = 64;

/** How many times files may be included altogether. */
const includedFilesMax = 10_000;

export interface IncludeContext {
  /** The folder to which relative paths belong: that of the main file. */
  readonly prefix: string;
  readonly files: ConfigFiles;
  readonly report: Report;
  /** Reads one included text into directives, its own includes expanded. */
  parse(included: IncludedText): readonly Directive[];
}

interface IncludedText {
  readonly name: string;
  readonly content: string | Uint8Array;
  readonly includedFrom: Span;
  /** The names of the blocks around the `include`, the outermost first. */
  readonly parents: readonly string[];
}

/** Puts the directives of included files in the place of each `include`, in all blocks. */
export class IncludeExpander {
  readonly #context: IncludeContext;
  #filesIncluded = 0;

  constructor(context: IncludeContext) {
    this.#context = context;
  }

  expand(directives: readonly Directive[], parents: readonly string[]): readonly Directive[] {
    return directives.flatMap((directive) => {
      if (directive.name.text === "include") return this.#include(directive, parents);
      if (directive.block === null) return [directive];
      return [{ ...directive, block: this.expand(directive.block, [...parents, directive.name.text]) }];
    });
  }

  #include(directive: Directive, parents: readonly string[]): readonly Directive[] {
    const path = this.#pathOf(directive);
    if (path === null) return [];
    const { files } = this.#context;
    const paths = isGlob(path) ? expandGlob(path, files) : [path];
    return paths.flatMap((name) => this.#includeFile(name, directive, parents));
  }

  /** The path or pattern, absolute; null where the directive is malformed, which is reported. */
  #pathOf(directive: Directive): string | null {
    const { prefix, report } = this.#context;
    const path = directive.args[0];
    if (directive.block !== null) {
      report(
        directiveDiagnostic(directive, {
          code: "not-terminated",
          message: 'directive "include" is not terminated by ";"',
          suggestion: 'write "include FILE;" without a block',
        }),
      );
      return null;
    }
    if (path === undefined || directive.args.length !== 1) {
      report(
        directiveDiagnostic(directive, {
          code: "wrong-argument-count",
          message: 'invalid number of arguments in "include" directive',
          suggestion: 'write one file name or pattern, as in "include conf.d/*.conf;"',
        }),
      );
      return null;
    }
    if (path.text.startsWith("/")) return path.text;
    return prefix.endsWith("/") ? prefix + path.text : `${prefix}/${path.text}`;
  }

  #includeFile(name: string, directive: Directive, parents: readonly string[]): readonly Directive[] {
    const { files, report } = this.#context;
    const obstacle = this.#obstacle(name, directive);
    if (obstacle !== null) {
      report(
        directiveDiagnostic(directive, { ...obstacle, span: directive.args[0]?.span ?? directive.span }),
      );
      return [];
    }
    const result = files.read(name);
    if (!result.ok) {
      report(
        directiveDiagnostic(directive, {
          code: "unreadable-file",
          message: result.failure,
          span: directive.args[0]?.span ?? directive.span,
        }),
      );
      return [];
    }
    this.#filesIncluded++;
    return this.#context.parse({
      name,
      content: result.content,
      includedFrom: directive.span,
      parents,
    });
  }

  /** Why the file must not be read, or null. */
  #obstacle(name: string, directive: Directive): { code: string; message: string } | null {
    const ancestors = [directive.span.file.name];
    for (let from = directive.span.file.includedFrom; from !== null; from = from.file.includedFrom) {
      ancestors.push(from.file.name);
    }
    if (ancestors.includes(name)) return { code: "include-loop", message: `"${name}" includes itself` };
    if (ancestors.length > includeDepthMax) {
      return { code: "include-depth", message: `files are included more than ${includeDepthMax} deep` };
    }
    if (this.#filesIncluded === includedFilesMax) {
      return { code: "include-count", message: `more than ${includedFilesMax} files are included` };
    }
    return null;
  }
}
