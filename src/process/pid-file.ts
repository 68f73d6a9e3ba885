import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { describeSystemError } from "../base/errno.ts";

export type PidResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly message: string };

/** Writes the process ID of the main process; the message of a failure is nginx's. */
export function writePidFile(path: string, pid: number): PidResult<void> {
  try {
    // The default place is below logs/, which a folder with nothing but a configuration does not have yet.
    if (basename(dirname(path)) === "logs") mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${pid}\n`);
    return { ok: true, value: undefined };
  } catch (error) {
    return { ok: false, message: `open() "${path}" failed (${describeSystemError(error)})` };
  }
}

/** Reads the process ID that a running wsgate has written. */
export function readPidFile(path: string): PidResult<number> {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    return { ok: false, message: `open() "${path}" failed (${describeSystemError(error)})` };
  }
  if (!/^[1-9]\d*$/.test(text)) return { ok: false, message: `invalid PID number "${text}" in "${path}"` };
  return { ok: true, value: Number(text) };
}

/** Removes the file unless another process has written itself into it meanwhile. */
export function removePidFile(path: string, pid: number): void {
  const written = readPidFile(path);
  if (written.ok && written.value === pid) rmSync(path, { force: true });
}
