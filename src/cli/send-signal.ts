import { describeSystemError } from "../base/errno.ts";
import { formatDiagnostics, load, type Source } from "../process/load.ts";
import { readPidFile } from "../process/pid-file.ts";
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
  const pid = readPidFile(plan.main.pid);
  if (!pid.ok) return fail(pid.message);
  try {
    process.kill(pid.value, SIGNALS[signal]);
    return 0;
  } catch (error) {
    return fail(`kill(${pid.value}, ${SIGNALS[signal]}) failed (${describeSystemError(error)})`);
  }
}

function fail(message: string): number {
  process.stderr.write(`wsgate: [error] ${message}\n`);
  return 1;
}
