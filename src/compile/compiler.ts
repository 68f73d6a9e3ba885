import { isAbsolute, join } from "node:path";
import { assert } from "../base/assert.ts";
import { byteStringFromText, textFromByteString } from "../base/bytes.ts";
import { createDiagnostic, isError, type Diagnostic, type Severity } from "../config/diagnostic.ts";
import type { Span } from "../config/position.ts";
import type { Directive, Word } from "../config/tree.ts";
import { ErrorLog, type LogLevel } from "../observe/error-log.ts";
import { logFileAt, type LogFile } from "../observe/log-file.ts";
import type { Check, Extra, SharedKey, Slot } from "./check.ts";
import type { VariableRow } from "./module.ts";
import { compilePcre, patternFailureMessage } from "./pcre/compile-pcre.ts";
import type { LocationPlan, PlanRegex, Stateful } from "./plan.ts";
import { Scope } from "./scope.ts";
import { scanTemplate, templateFromParts, type Getter, type Template, type VariableRef } from "./template.ts";
import { Variables } from "./variables.ts";

/** The state of one compilation: what modules may ask of it ({@link Check}), and what it gathers from them. */
export class Compiler implements Check {
  readonly prefix: string;
  readonly confPrefix: string;
  readonly defaultErrorLog: string;
  readonly main: Scope = new Scope("main", null, null, { kind: "plain" });
  readonly diagnostics: Diagnostic[] = [];
  readonly withoutEffect: { readonly name: string; readonly span: Span }[] = [];
  readonly statefulParts: Stateful[] = [];
  readonly logFiles: Set<LogFile> = new Set();
  readonly variables: Variables;
  readonly filesRead: Map<string, Uint8Array> = new Map();
  scope: Scope;
  /** The directive in hand while the text is walked: nginx names the line it ends on. */
  directive: Directive | null = null;

  private readonly read: (path: string) => Uint8Array;
  private readonly shared = new Map<SharedKey<unknown>, unknown>();
  private readonly tasks: (() => Promise<void>)[] = [];
  private readonly locationPlans = new Map<Scope, LocationPlan>();

  constructor(
    places: Pick<Check, "prefix" | "confPrefix" | "defaultErrorLog">,
    rows: readonly VariableRow[],
    read: (path: string) => Uint8Array,
  ) {
    this.prefix = places.prefix;
    this.confPrefix = places.confPrefix;
    this.defaultErrorLog = places.defaultErrorLog;
    this.scope = this.main;
    this.read = read;
    this.variables = new Variables(rows, (span, message, extra) => this.error(span, message, extra));
  }

  get hasErrors(): boolean {
    return this.diagnostics.some(isError);
  }

  error(span: Span | null, message: string, extra?: Extra): void {
    this.report("emerg", span, message, extra);
  }

  warn(span: Span | null, message: string, extra?: Extra): void {
    this.report("warn", span, message, extra);
  }

  report(severity: Severity, span: Span | null, message: string, extra: Extra = {}): void {
    this.diagnostics.push(
      createDiagnostic({
        severity,
        code: extra.code ?? "invalid-configuration",
        message,
        span: span ?? this.directive?.span ?? null,
        reportLine: this.directive?.reportLine ?? null,
        ...(extra.notes === undefined ? {} : { notes: extra.notes }),
        ...(extra.suggestion === undefined ? {} : { suggestion: extra.suggestion }),
      }),
    );
  }

  template(word: Word): Template {
    return this.templateOf(word.text, word.span);
  }

  templateOf(text: string, span: Span): Template {
    const scan = scanTemplate(text);
    if (!scan.ok) {
      this.error(span, scan.message, { code: "invalid-variable" });
      return templateFromParts(text, []);
    }
    return templateFromParts(
      text,
      scan.parts.map((part) =>
        "name" in part ? this.variable(part.name, span) : byteStringFromText(part.text),
      ),
    );
  }

  variable(name: string, span: Span): VariableRef {
    return this.variables.reference(name, span);
  }

  declare(name: string, span: Span, getter?: (slot: Slot) => Getter): Slot | undefined {
    return this.variables.declare(name, span, getter);
  }

  regex(pattern: string, span: Span, options: { readonly caseInsensitive: boolean }): PlanRegex | undefined {
    const bytes = byteStringFromText(pattern);
    const compiled = compilePcre(bytes, options);
    if (!compiled.ok) {
      this.error(span, textFromByteString(patternFailureMessage(bytes, compiled)), {
        code: "invalid-regex",
        ...(compiled.hint === "" ? {} : { suggestion: compiled.hint }),
      });
      return undefined;
    }
    for (const warning of compiled.warnings) this.warn(span, warning, { code: "risky-regex" });
    const named: { slot: number; group: number }[] = [];
    for (const [name, group] of compiled.groupNames) {
      const slot = this.declare(name, span);
      if (slot !== undefined) named.push({ slot: slot.index, group });
    }
    return { source: pattern, regexp: compiled.regexp, named };
  }

  path(file: string, base: "prefix" | "conf"): string {
    return isAbsolute(file) ? file : join(base === "conf" ? this.confPrefix : this.prefix, file);
  }

  readFile(path: string): Buffer {
    const bytes = this.read(path);
    this.filesRead.set(path, bytes);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  logFile(path: string): LogFile {
    const file = logFileAt(path);
    // What the configuration before said of it is over, unless this one says it again.
    if (!this.logFiles.has(file)) file.setBuffer(0, null);
    this.logFiles.add(file);
    return file;
  }

  errorLog(targets: readonly { readonly file: LogFile; readonly level: LogLevel }[]): ErrorLog {
    return new ErrorLog(targets);
  }

  locationOf(scope: Scope): () => LocationPlan {
    return () => {
      const plan = this.locationPlans.get(scope);
      assert(plan !== undefined, "locations are built before a request asks for them");
      return plan;
    };
  }

  setLocation(scope: Scope, plan: LocationPlan): void {
    this.locationPlans.set(scope, plan);
  }

  share<T>(key: SharedKey<T>): T {
    if (!this.shared.has(key)) this.shared.set(key, key.make());
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only key.make() was ever stored under this key
    return this.shared.get(key) as T;
  }

  stateful(part: Stateful): void {
    this.statefulParts.push(part);
  }

  later(task: () => Promise<void>): void {
    this.tasks.push(task);
  }

  /** Runs what was put off, also what those tasks put off in turn. */
  async runLater(): Promise<void> {
    for (let batch = this.tasks.splice(0); batch.length > 0; batch = this.tasks.splice(0)) {
      await Promise.all(batch.map((task) => task()));
    }
  }
}
