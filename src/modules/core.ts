import { DEFAULT_PID_FILE } from "../compile/compile.ts";
import { availableParallelism } from "node:os";
import { HTTP_SERVER_LOCATION } from "../compile/contexts.ts";
import type { Module } from "../compile/module.ts";
import type { MainPlan } from "../compile/plan.ts";
import { many, one, settingsAt, withoutEffect } from "../compile/rows.ts";
import type { Scope } from "../compile/scope.ts";
import { custom, enumOf, flag, integer, MANY, path, timeMs, words } from "../compile/values.ts";
import type { Check } from "../compile/check.ts";
import type { ErrorLog } from "../observe/error-log.ts";
import { errorLogTarget } from "./core/error-log-target.ts";
import { lookUpUser } from "./core/user.ts";

const rows = {
  daemon: one({
    in: ["main"],
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether wsgate detaches from the terminal. Unlike nginx it stays in the foreground by default.",
  }),
  master_process: one({
    in: ["main"],
    type: flag(),
    default: true,
    doc: "With off, one process does everything whatever worker_processes says.",
  }),
  worker_processes: one({
    in: ["main"],
    type: custom("number | auto", [1, 1], ([word], check, directive) => {
      if (word?.text === "auto") return availableParallelism();
      return integer(1, 1024).parse(word === undefined ? [] : [word], check, directive);
    }),
    default: 1,
    doc: "Number of worker processes; auto is one per processor. With 1 everything runs in one process.",
  }),
  worker_shutdown_timeout: one({
    in: ["main"],
    type: timeMs(),
    default: null,
    doc: "After this time a graceful shutdown closes the connections that are still open.",
  }),
  pid: one({
    in: ["main"],
    type: path("prefix"),
    default: null,
    defaultText: DEFAULT_PID_FILE,
    doc: "The file that holds the process ID of the main process.",
  }),
  user: one({
    in: ["main"],
    type: custom("user [group]", [1, 2], ([user, group], check) => lookUpUser(user, group, check)),
    default: null,
    doc: "The user and group that worker processes run as, where the main process may change them.",
  }),
  working_directory: one({
    in: ["main"],
    type: path("prefix", "directory"),
    default: null,
    doc: "The working directory of the process.",
  }),
  error_log: many({
    in: ["main", ...HTTP_SERVER_LOCATION],
    type: custom("file [level]", [1, 2], errorLogTarget),
    inherit: "list",
    defaultText: "logs/error.log error",
    doc: "Where errors are written, and from which level on. Several may stand on one level.",
  }),
  env: withoutEffect({
    in: ["main"],
    type: words("variable[=value]", 1, 1),
    repeats: true,
    doc: "Environment variables are kept as they are.",
  }),
  load_module: withoutEffect({
    in: ["main"],
    type: words("file", 1, 1),
    repeats: true,
    doc: "There are no loadable modules here; what one would add is refused where it is used.",
  }),
  lock_file: withoutEffect({ in: ["main"], type: words("file", 1, 1), doc: "No lock file is needed." }),
  pcre_jit: withoutEffect({ in: ["main"], type: flag(), doc: "Regular expressions are always compiled." }),
  ssl_engine: withoutEffect({
    in: ["main"],
    type: words("device", 1, 1),
    doc: "Node's OpenSSL has no engines.",
  }),
  ssl_object_cache_inheritable: withoutEffect({
    in: ["main"],
    type: flag(),
    doc: "Certificates are read anew at each reload.",
  }),
  thread_pool: withoutEffect({
    in: ["main"],
    type: words("name threads=number [max_queue=number]", 2, 3),
    repeats: true,
    doc: "Node has its own pool of threads.",
  }),
  timer_resolution: withoutEffect({ in: ["main"], type: timeMs(), doc: "Timers are coarse already." }),
  worker_cpu_affinity: withoutEffect({
    in: ["main"],
    type: words("cpumask …", 1, MANY),
    doc: "The kernel places the workers.",
  }),
  worker_priority: withoutEffect({
    in: ["main"],
    type: words("number", 1, 1),
    doc: "Workers run at the priority of the main process.",
  }),
  worker_rlimit_core: withoutEffect({
    in: ["main"],
    type: words("size", 1, 1),
    doc: "Set the limit where the process is started.",
  }),
  worker_rlimit_nofile: withoutEffect({
    in: ["main"],
    type: integer(1, MANY),
    doc: "Node raises the limit to the hard one by itself.",
  }),
  debug_points: withoutEffect({
    in: ["main"],
    type: enumOf("abort", "stop"),
    doc: "For debugging nginx itself.",
  }),
  stall_threshold: withoutEffect({ in: ["main"], type: timeMs(), doc: "For debugging nginx itself." }),
} as const;

/** Process-wide directives and the error logs. */
export const coreModule: Module = {
  name: "ngx_core_module",
  directives: rows,
  main(scope, check): Partial<MainPlan> {
    const settings = settingsAt(rows, scope);
    return {
      worker_processes: settings.worker_processes,
      worker_shutdown_timeout: settings.worker_shutdown_timeout,
      daemon: settings.daemon,
      master_process: settings.master_process,
      pid: settings.pid ?? check.path(DEFAULT_PID_FILE, "prefix"),
      user: settings.user,
      working_directory: settings.working_directory,
      error_log: errorLogAt(scope, check),
    };
  },
  location: (scope, check) => ({ errorLog: errorLogAt(scope, check) }),
};

/** One object per level that has an error_log of its own, so that levels which inherit it share it. */
function errorLogAt(scope: Scope, check: Check): ErrorLog {
  const logs = check.share(ERROR_LOGS);
  const decider = scope.deciding(rows.error_log);
  let log = logs.get(decider);
  if (log === undefined) {
    const targets = settingsAt({ error_log: rows.error_log }, scope).error_log;
    log = check.errorLog(
      targets.length > 0 ? targets : [{ file: check.logFile(check.defaultErrorLog), level: "error" }],
    );
    logs.set(decider, log);
  }
  return log;
}

const ERROR_LOGS = {
  description: "error logs by the level that defines them",
  make: (): Map<Scope | null, ErrorLog> => new Map(),
};
