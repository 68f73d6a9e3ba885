import { chownSync } from "node:fs";
import { describeSystemError } from "../base/errno.ts";
import type { Plan } from "../compile/plan.ts";
import type { LogFile } from "../observe/log-file.ts";

export interface OpenedLogs {
  /** Those that were not open before. */
  readonly opened: readonly LogFile[];
  /** In nginx's words, one for each that could not be opened. */
  readonly messages: readonly string[];
}

/** Opens the log files of a plan; those that are open stay as they are. */
export function openLogs(plan: Plan): OpenedLogs {
  const opened: LogFile[] = [];
  const messages: string[] = [];
  for (const file of plan.logFiles) {
    if (file.isOpen) continue;
    try {
      file.open();
      opened.push(file);
    } catch (error) {
      messages.push(openFailure(file, error));
    }
  }
  return { opened, messages };
}

/** Opens them anew, after they have been moved away. Returns what went wrong. */
export function reopenLogs(plan: Plan): readonly string[] {
  const messages: string[] = [];
  for (const file of plan.logFiles) {
    try {
      file.reopen();
    } catch (error) {
      messages.push(openFailure(file, error));
    }
  }
  return messages;
}

/** Gives the files to the user that workers run as, so that they can open them after a reload or a reopen. */
export function giveLogsToUser(plan: Plan): void {
  const { user } = plan.main;
  if (user === null || process.getuid?.() !== 0) return;
  for (const file of plan.logFiles) {
    try {
      if (file.path.startsWith("/") && !file.path.startsWith("/dev/"))
        chownSync(file.path, user.uid, user.gid);
    } catch {
      // A worker that cannot open the file says so itself, with the file's name.
    }
  }
}

function openFailure(file: LogFile, error: unknown): string {
  return `open() "${file.path}" failed (${describeSystemError(error)})`;
}
