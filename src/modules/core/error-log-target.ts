import type { Check } from "../../compile/check.ts";
import type { Word } from "../../config/tree.ts";
import { LOG_LEVELS, type LogLevel } from "../../observe/error-log.ts";
import type { LogFile } from "../../observe/log-file.ts";

interface Target {
  readonly file: LogFile;
  readonly level: LogLevel;
}

/** `error_log file [level]`; the file may be `stderr`. The level is `error` where none stands, as in nginx. */
export function errorLogTarget(args: readonly Word[], check: Check): Target | undefined {
  const [file, level] = args;
  if (file === undefined) return undefined;
  const known = LOG_LEVELS.find((candidate) => candidate === (level?.text ?? "error"));
  if (known === undefined) {
    const debugMask = level?.text.startsWith("debug_") === true;
    if (!debugMask) {
      check.error(level?.span ?? null, `invalid log level "${level?.text ?? ""}"`, {
        code: "invalid-value",
        notes: [{ message: `one of ${LOG_LEVELS.join(", ")} may stand here` }],
      });
      return undefined;
    }
  }
  for (const scheme of ["syslog:", "memory:"]) {
    if (!file.text.startsWith(scheme)) continue;
    check.error(file.span, `invalid file name "${file.text}"`, {
      code: "not-implemented",
      notes: [{ message: `wsgate does not write logs to ${scheme.slice(0, -1)}` }],
      suggestion: "write to stderr, and let the service manager pass it on",
    });
    return undefined;
  }
  const path = file.text === "stderr" ? "stderr" : check.path(file.text, "prefix");
  return { file: check.logFile(path), level: known ?? "debug" };
}
