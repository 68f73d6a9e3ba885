import { constants } from "node:os";
import { describeSystemError } from "../base/errno.ts";
import { formatDiagnostics, load, type Source } from "../process/load.ts";
import { looksLikeWsgate, readPidFile } from "../process/pid-file.ts";
import type { Flags } from "./flags.ts";

const SIGNALS = { stop: "SIGTERM", quit: "SIGQUIT", reopen: "SIGUSR1", reload: "SIGHUP" } as const;

/**
 * `-s`: tells the running main process. The configuration is read first, as nginx does: it says where the pid file is,
 * and one that would be refused is reported here, where somebody is looking, and not sent on.
 */
export async function sendSignal(source: Source, signal: NonNullable<Flags["signal"]>): Promise<number> {
  const { plan, diagnostics } = await load(source);
  process.stderr.write(formatDiagnostics(diagnostics, process.stderr.isTTY));
  if (plan === null) return 1;
  const file = plan.main.pid;
  const read = readPidFile(file);
  if (!read.ok) return fail("error", read.message);
  const { pid } = read;
  if (!looksLikeWsgate(pid))
    return fail("error", `process ${pid} of "${file}" is not wsgate; the file is stale`);
  const name = SIGNALS[signal];
  try {
    process.kill(pid, name);
    return 0;
  } catch (error) {
    return fail("alert", `kill(${pid}, ${constants.signals[name]}) failed (${describeSystemError(error)})`);
  }
}

function fail(level: "error" | "alert", message: string): number {
  process.stderr.write(`wsgate: [${level}] ${message}\n`);
  return 1;
}
