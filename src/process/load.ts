import { join } from "node:path";
import { readFileSync } from "node:fs";
import { compile, type CompileResult, DEFAULT_PID_FILE } from "../compile/compile.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { type ConfigFiles, diskFiles, memoryFiles } from "../config/files.ts";
import { formatDiagnostic } from "../config/format-diagnostic.ts";
import { modules } from "../modules/index.ts";
import { fault } from "./faults.ts";
import { inOneLine } from "./last-resort.ts";
import type { Places } from "./places.ts";

/** What a process runs. Plain data, so that it can be handed to workers. */
export interface Source {
  readonly places: Places;
  /** What `-g` gave. */
  readonly globals: string | null;
  /** Contents of configuration files by path, in place of those on the disk: for text that is no file. */
  readonly files: Readonly<Record<string, string>>;
  /** The same for what the configuration names, such as certificates. */
  readonly filesRead?: ReadonlyMap<string, Uint8Array>;
  /**
   * True: there are no other files. For workers, which must all read what the main process has read, whatever happens
   * to the files meanwhile.
   */
  readonly isFrozen: boolean;
}

/**
 * Compiles a configuration with all modules. A bug that shows in it is a refusal like any other: compiling changes nothing
 * that is in force, so that there is no reason to end a process that serves.
 */
export async function load(source: Source): Promise<CompileResult> {
  try {
    return await compile({
      file: source.places.config,
      prefix: source.places.prefix,
      defaultErrorLog: source.places.errorLog,
      modules,
      ...(source.globals === null ? {} : { globalDirectives: source.globals }),
      files: filesOf(source),
      readFile: (path) => source.filesRead?.get(path) ?? readFileSync(path),
    });
  } catch (error) {
    const message = `internal error in reading the configuration, please report it: ${inOneLine(error)}`;
    return {
      plan: null,
      diagnostics: [fault("internal-error", message)],
      tree: { directives: [], files: [] },
      pid: join(source.places.prefix, DEFAULT_PID_FILE),
      filesRead: new Map(),
    };
  }
}

/** The source with the contents of all the files that were read for it: plain data still, fit to be sent to a worker. */
export function frozen(source: Source, result: CompileResult): Source {
  const { tree, filesRead } = result;
  return {
    ...source,
    files: Object.fromEntries(tree.files.map((file) => [file.name, file.text])),
    filesRead,
    isFrozen: true,
  };
}

function filesOf({ files, isFrozen }: Source): ConfigFiles {
  const given = memoryFiles(files);
  if (isFrozen) return given;
  return {
    read(path) {
      const result = given.read(path);
      return result.ok ? result : diskFiles.read(path);
    },
    list: (folder) => [...new Set([...given.list(folder), ...diskFiles.list(folder)])],
  };
}

/** Diagnostics as a terminal shows them, one after the other. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], colour: boolean): string {
  return diagnostics.map((each) => `${formatDiagnostic(each, { program: "wsgate", colour })}\n`).join("");
}
