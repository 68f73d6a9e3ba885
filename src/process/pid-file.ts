import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { describeSystemError } from "../base/errno.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { openFault } from "./faults.ts";

/** Writes the process ID of the main process; returns why that failed, if it did. */
export function writePidFile(path: string, pid: number): readonly Diagnostic[] {
  try {
    makeDefaultFolder(path);
    writeFileSync(path, `${pid}\n`);
    return [];
  } catch (error) {
    return [openFault(path, error)];
  }
}

export type PidResult =
  | { readonly ok: true; readonly pid: number }
  | { readonly ok: false; readonly message: string };

/** Reads the process ID that a running wsgate has written; the message is nginx's. */
export function readPidFile(path: string): PidResult {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    return { ok: false, message: `open() "${path}" failed (${describeSystemError(error)})` };
  }
  if (!/^[1-9]\d{0,9}$/.test(text))
    return { ok: false, message: `invalid PID number "${text}" in "${path}"` };
  return { ok: true, pid: Number(text) };
}

/**
 * Whether the process calls itself wsgate, as main processes do. True also where that cannot be known: where nobody has
 * that ID, which the signal will show, and where there is no /proc.
 */
export function looksLikeWsgate(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").startsWith("wsgate");
  } catch {
    return true;
  }
}

/** Removes the file unless another process has written itself into it meanwhile. */
export function removePidFile(path: string, pid: number): void {
  const written = readPidFile(path);
  if (!written.ok || written.pid !== pid) return;
  try {
    rmSync(path, { force: true });
  } catch {
    // In a folder that this process may not write to, or not any more: what is left is a stale file.
  }
}

/** The default place is below logs/, which a folder with nothing but a configuration does not have yet. */
export function makeDefaultFolder(path: string): void {
  if (basename(dirname(path)) === "logs") mkdirSync(dirname(path), { recursive: true });
}
