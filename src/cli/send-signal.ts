import { constants } from "node:os";
import { describeSystemError } from "../base/errno.ts";
import { formatDiagnostics, load, type Source } from "../process/load.ts";
import { looksLikeWsgate, readPidFile } from "../process/pid-file.ts";
import type { Flags } from "./flags.ts";

const SIGNALS = {
  stop: "SIGTERM",
  quit: "SIGQUIT",
  reopen: "SIGUSR1",
  reload: "SIGHUP",
  drain: "SIGUSR2",
} as const;

/**
 * `-s`: tells the running main process. The configuration is read first, as nginx does: it says where the pid file is,
 * and one that would be refused is reported here, where somebody is looking. A reload is told to the running process all
 * the same: it refuses as well, and its error log says why nothing has changed.
 */
export async function sendSignal(source: Source, signal: NonNullable<Flags["signal"]>): Promise<number> {
  const { plan, diagnostics, pid: file } = await load(source);
  process.stderr.write(formatDiagnostics(diagnostics, process.stderr.isTTY));
  if (plan === null) {
    if (signal === "reload") noteRefusal(file);
    return 1;
  }
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

/** There may be nobody running yet: then there is no log to write to. */
function noteRefusal(file: string): void {
  const read = readPidFile(file);
  if (!read.ok || !looksLikeWsgate(read.pid)) return;
  try {
    process.kill(read.pid, "SIGHUP");
  } catch {
    // It has ended meanwhile, or is somebody else's: the command has said what is wrong.
  }
}

function fail(level: "error" | "alert", message: string): number {
  process.stderr.write(`wsgate: [${level}] ${message}\n`);
  return 1;
}
