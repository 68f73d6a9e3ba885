import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import type { Check } from "../../compile/check.ts";
import type { Module } from "../../compile/module.ts";
import type { LogStep } from "../../compile/outcome.ts";
import { many, settingsAt, withoutEffect } from "../../compile/rows.ts";
import type { Scope } from "../../compile/scope.ts";
import type { Template } from "../../compile/template.ts";
import { custom, MANY, words } from "../../compile/values.ts";
import type { LogFile } from "../../observe/log-file.ts";
import { type AccessLog, parseAccessLog } from "./access-log.ts";
import { COMBINED, compileFormat, type LineFormat, type NamedFormat, parseLogFormat } from "./format.ts";

const rows = {
  access_log: many<AccessLog>({
    in: [...HTTP_SERVER_LOCATION, "if in location", "limit_except"],
    type: custom("path [format [buffer=size] [flush=time] [if=condition]] | off", [1, MANY], parseAccessLog),
    inherit: "list",
    defaultText: "logs/access.log combined",
    doc: "Where a line is written when a request is over; for a WebSocket that is the end of its tunnel.",
  }),
  log_format: many<NamedFormat>({
    in: ["http"],
    type: custom("name [escape=default | json | none] string …", [2, MANY], parseLogFormat),
    inherit: "list",
    defaultText: 'combined "…"',
    doc: "Names a format for access_log.",
  }),
  open_log_file_cache: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("off | max=N [inactive=time] [min_uses=N] [valid=time]", 1, 4),
    doc: "Log files stay open.",
  }),
} as const;

/** Access logs. */
export const logModule: Module = {
  name: "ngx_http_log_module",
  directives: rows,
  location: (scope, check) => ({ log: logStep(scope, check) }),
};

interface OpenLog {
  readonly file: LogFile;
  readonly line: LineFormat;
  readonly condition: Template | null;
}

function logStep(scope: Scope, check: Check): LogStep | null {
  const { access_log, log_format } = settingsAt(rows, scope);
  if (access_log.some((log) => log.kind === "off")) return null;
  const files = access_log.filter((log) => log.kind === "file");
  const logs: OpenLog[] =
    files.length === 0 ? [defaultLog(check)] : files.map((log) => openLog(log, log_format, check));
  return (request) => {
    for (const { file, line, condition } of logs) {
      if (condition !== null) {
        const value = condition.render(request);
        if (value === "" || value === "0") continue;
      }
      file.write(`${line(request)}\n`);
    }
  };
}

function openLog(
  log: Extract<AccessLog, { kind: "file" }>,
  formats: readonly NamedFormat[],
  check: Check,
): OpenLog {
  const file = check.logFile(log.path);
  if (log.buffer !== null) file.setBuffer(log.buffer, log.flush);
  const name = log.format?.text ?? "combined";
  const named = formats.find((format) => format.name === name);
  if (named === undefined && name !== "combined") {
    check.error(log.format?.span ?? log.word.span, `unknown log format "${name}"`, {
      code: "unknown-log-format",
      notes: [{ message: `log_format ${name} stands nowhere in the http block` }],
    });
  }
  return { file, line: named?.line ?? combined(log.word, check), condition: log.condition };
}

function defaultLog(check: Check): OpenLog {
  const file = check.logFile(check.path("logs/access.log", "prefix"));
  file.makesFolder = true;
  return { file, line: combined(null, check), condition: null };
}

function combined(word: AccessLogWord | null, check: Check): LineFormat {
  const span = word?.span ?? check.scope.directive?.name.span;
  return span === undefined ? () => "" : compileFormat([{ text: COMBINED, span }], "default", check);
}

type AccessLogWord = Extract<AccessLog, { kind: "file" }>["word"];
