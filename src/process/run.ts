import { VERSION } from "../base/version.ts";
import type { CompileResult } from "../compile/compile.ts";
import type { Plan } from "../compile/plan.ts";
import { headline } from "../config/format-diagnostic.ts";
import { frozen, load, type Source } from "./load.ts";
import { giveLogsToUser, reopenLogs } from "./log-files.ts";
import { removePidFile, writePidFile } from "./pid-file.ts";
import type { Server, WriteLog } from "./server.ts";
import { createSingleServer } from "./single-server.ts";
import { WorkerServer } from "./worker-server.ts";

/** How a run of the main process tells whoever started it what became of it. */
export interface RunHooks {
  /** It serves. Called once. */
  readonly onReady?: () => void;
  /** It does not serve; lines for the terminal. By default they go to the standard error stream. */
  readonly onRefusal?: (lines: readonly string[]) => void;
}

/**
 * Runs a compiled configuration until a signal ends it, and resolves with the exit code. The signals mean what they
 * mean to nginx: TERM and INT stop at once, QUIT lets everything come to its end, HUP reloads, USR1 reopens logs.
 */
export async function run(
  source: Source,
  compiled: CompileResult & { readonly plan: Plan },
  hooks: RunHooks = {},
): Promise<number> {
  let { plan } = compiled;
  const log: WriteLog = (level, message) => plan.main.error_log.write(level, message);
  const server = usesWorkers(plan) ? new WorkerServer(log) : createSingleServer();

  const started = await server.apply(plan, frozen(source, compiled));
  if (!started.ok) {
    await server.stop();
    return refuse(started.messages, hooks);
  }
  const pidFile = plan.main.pid;
  const written = writePidFile(pidFile, process.pid);
  if (!written.ok) {
    await server.stop();
    return refuse([written.message], hooks);
  }
  announce(server, log);
  hooks.onReady?.();

  const ending = new Promise<number>((resolve) => {
    let reloading: Promise<void> = Promise.resolve();
    let isEnding = false;
    const end = async (how: Promise<void>): Promise<void> => {
      isEnding = true;
      await how;
      resolve(0);
    };
    const stop = (): void => void end(server.stop());
    const quit = (): void => {
      if (isEnding) return;
      log("notice", "gracefully shutting down");
      const timeoutMs = plan.main.worker_shutdown_timeout;
      if (timeoutMs !== null) setTimeout(stop, timeoutMs).unref();
      void end(server.drain());
    };
    const reload = (): void => {
      const before = reloading;
      reloading = (async () => {
        await before;
        if (!isEnding) plan = (await reloadOnce(source, plan, server, log)) ?? plan;
      })();
    };
    const reopen = (): void => {
      log("notice", "reopening logs");
      for (const message of reopenLogs(plan)) log("emerg", message);
      giveLogsToUser(plan);
      server.reopenLogs();
    };
    process
      .on("SIGTERM", stop)
      .on("SIGINT", stop)
      .on("SIGQUIT", quit)
      .on("SIGHUP", reload)
      .on("SIGUSR1", reopen);
  });
  const code = await ending;
  removePidFile(pidFile, process.pid);
  log("notice", "exit");
  for (const file of plan.logFiles) file.flush();
  return code;
}

/** Compiles the source anew and applies it. Null where it was refused: nothing has changed then. */
async function reloadOnce(source: Source, plan: Plan, server: Server, log: WriteLog): Promise<Plan | null> {
  log("notice", "signal 1 (SIGHUP) received, reconfiguring");
  const result = await load(source);
  for (const diagnostic of result.diagnostics) log(diagnostic.severity, headline(diagnostic));
  if (result.plan === null) {
    log("notice", "the configuration in force stays as it is");
    return null;
  }
  if (usesWorkers(result.plan) !== usesWorkers(plan)) {
    log(
      "warn",
      "going from one process to several, or back, takes a restart; worker_processes stays as it is",
    );
  }
  const applied = await server.apply(result.plan, frozen(source, result));
  if (!applied.ok) {
    for (const message of applied.messages) log("emerg", message);
    return null;
  }
  const next = result.plan;
  announce(server, (level, message) => next.main.error_log.write(level, message));
  return next;
}

function usesWorkers({ main }: Plan): boolean {
  // A main process that keeps its privileges needs somebody else to do the work without them.
  return main.master_process && (main.worker_processes > 1 || main.user !== null);
}

function announce(server: Server, log: WriteLog): void {
  for (const { text, ssl } of server.addresses) log("notice", `listening on ${text}${ssl ? " ssl" : ""}`);
  log("notice", `wsgate/${VERSION} is ready`);
}

function refuse(messages: readonly string[], { onRefusal }: RunHooks): number {
  const lines = messages.map((message) => `wsgate: [emerg] ${message}`);
  if (onRefusal === undefined) process.stderr.write(`${lines.join("\n")}\n`);
  else onRefusal(lines);
  return 1;
}
