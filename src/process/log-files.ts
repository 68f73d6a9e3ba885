import { lchownSync, lstatSync } from "node:fs";
import type { Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import type { LogFile } from "../observe/log-file.ts";
import { openFault } from "./faults.ts";

/** Opens all log files of a plan, or none: then the faults say why. They are given back with {@link closeLogs}. */
export function openLogs(plan: Plan): readonly Diagnostic[] {
  const opened: LogFile[] = [];
  const faults: Diagnostic[] = [];
  for (const file of plan.logFiles) {
    try {
      file.open();
      opened.push(file);
    } catch (error) {
      faults.push(openFault(file.path, error));
    }
  }
  if (faults.length > 0) for (const file of opened) file.close();
  return faults;
}

export function closeLogs(plan: Plan): void {
  for (const file of plan.logFiles) file.close();
}

/** Writes what is pending: buffered lines, and those of this turn of the event loop. */
export function flushLogs(plan: Plan | null): void {
  for (const file of plan?.logFiles ?? []) file.flush();
}

/** Opens them anew, after they have been moved away. Returns what went wrong; such a log goes on with its old file. */
export function reopenLogs(plan: Plan): readonly Diagnostic[] {
  const faults: Diagnostic[] = [];
  for (const file of plan.logFiles) {
    try {
      file.reopen();
    } catch (error) {
      faults.push(openFault(file.path, error));
    }
  }
  return faults;
}

/**
 * Gives the files to the user that workers run as, so that they can open them after a reload or a reopen. Not what a
 * symbolic link leads to: in a folder of that user's it could lead to anything of root's (CVE-2016-1247).
 */
export function giveLogsToUser(plan: Plan): void {
  const { user } = plan.main;
  if (user === null || process.getuid?.() !== 0) return;
  for (const { path } of plan.logFiles) {
    try {
      const stat = lstatSync(path);
      if (stat.isFile() && stat.uid !== user.uid) lchownSync(path, user.uid, stat.gid);
    } catch {
      // A worker that cannot open the file says so itself, with the file's name.
    }
  }
}
