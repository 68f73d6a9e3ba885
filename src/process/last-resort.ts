import { inspect } from "node:util";
import { byteStringFromText } from "../base/bytes.ts";
import type { ErrorLog } from "../observe/error-log.ts";

/** EX_SOFTWARE of sysexits(3): an internal error. No configuration and no input is to blame. */
export const EXIT_BUG = 70;

/**
 * What becomes of an exception that nothing has caught: it is a bug, after which nobody knows what state the process is
 * in, so it is logged with its stack, in one line, and the process ends. A worker is then replaced by the main process;
 * a single process by whatever has started it.
 *
 * @param errorLog the log of the configuration in force; null before there is one: then the standard error stream.
 * @param beforeExit writes the logs out, and takes back what the process would leave behind.
 */
export function endOnBug(errorLog: () => ErrorLog | null, beforeExit: () => void): void {
  // Covers rejected promises, too, which Node raises as exceptions.
  process.on("uncaughtException", (error: unknown) => {
    const message = `uncaught exception, please report it: ${inOneLine(error)}`;
    const log = errorLog();
    if (log === null) process.stderr.write(`wsgate: [alert] ${message}\n`);
    else log.write("alert", byteStringFromText(message));
    try {
      beforeExit();
    } finally {
      process.exit(EXIT_BUG);
    }
  });
}

/** An error with its stack, fit for a log. */
export function inOneLine(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? String(error)) : inspect(error);
  return text
    .split("\n")
    .map((line) => line.trim())
    .join(" | ");
}
