import type { Severity } from "../config/diagnostic.ts";
import type { Span } from "../config/position.ts";
import type { Word } from "../config/tree.ts";
import type { ErrorLog, LogLevel } from "../observe/error-log.ts";
import type { LogFile } from "../observe/log-file.ts";
import type { LocationPlan, PlanRegex, Stateful } from "./plan.ts";
import type { Scope } from "./scope.ts";
import type { Getter, Template, VariableRef } from "./template.ts";

/** What else a diagnostic may carry besides nginx's own words. */
export interface Extra {
  readonly code?: string;
  readonly notes?: readonly { readonly message: string; readonly span?: Span }[];
  readonly suggestion?: string;
}

/** A variable whose value is kept with the request: `set $x`, `map … $x`, a named capture. */
export interface Slot {
  readonly name: string;
  readonly index: number;
}

/** A key under which modules share something for the length of one compilation (peer groups, zones). */
export interface SharedKey<T> {
  readonly description: string;
  readonly make: () => T;
}

/** Everything that value types and modules may ask of the compiler while a configuration is checked and built. */
export interface Check {
  /** The level the directive in hand stands on. */
  readonly scope: Scope;
  /** `-p`: what relative paths of files are relative to. Absolute. */
  readonly prefix: string;
  /** The folder of the main configuration file: what include, certificates and the like are relative to. Absolute. */
  readonly confPrefix: string;
  /** Where errors go if no error_log says otherwise: an absolute path, or `stderr`. */
  readonly defaultErrorLog: string;

  /** Reports an error in nginx's words; the position is added. The plan will not be built. */
  error(span: Span | null, message: string, extra?: Extra): void;
  warn(span: Span | null, message: string, extra?: Extra): void;
  report(severity: Severity, span: Span | null, message: string, extra?: Extra): void;

  /** A word as a template: variables found, the rest turned into bytes. Reports bad variable names. */
  template(word: Word): Template;
  /** The same for text that is not a word of its own, such as a part of one. */
  templateOf(text: string, span: Span): Template;
  /** A reference to a variable by name (without the dollar sign), bound when everything has been read. */
  variable(name: string, span: Span): VariableRef;
  /**
   * Declares a variable that the configuration itself makes. Declaring one twice gives the same slot, as nginx has it;
   * built-in variables that may not be changed are refused (`the duplicate "x" variable`).
   * With `getter` the variable is computed (map); without, it reads its slot (set, captures).
   */
  declare(name: string, span: Span, getter?: (slot: Slot) => Getter): Slot | undefined;
  /** Translates a PCRE pattern; reports what is wrong with it. Named groups become variables. */
  regex(pattern: string, span: Span, options: { readonly caseInsensitive: boolean }): PlanRegex | undefined;

  /** `file` made absolute against the prefix, or against the configuration's own folder. */
  path(file: string, base: "prefix" | "conf"): string;
  /**
   * The contents of a file that the configuration names, such as a certificate. Throws the system's error. Workers get
   * what the main process has read: it may read more, and the file may change between one worker and the next.
   */
  readFile(path: string): Buffer;
  /** The process-wide log file of that absolute path, or `stderr`; opened when the plan is activated. */
  logFile(path: string): LogFile;
  errorLog(targets: readonly { readonly file: LogFile; readonly level: LogLevel }[]): ErrorLog;

  /** The plan of a location-like block, to be asked for when all have been built (not before a request comes). */
  locationOf(scope: Scope): () => LocationPlan;
  share<T>(key: SharedKey<T>): T;
  /** Registers something with a life of its own that a reload hands over. */
  stateful(part: Stateful): void;
  /** Work that must wait (name resolution): run after everything has been read, before the plan is complete. */
  later(task: () => Promise<void>): void;
}
