import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Source } from "./load.ts";

/** Tells the process that the terminal waits for whether the one behind it serves. */
export type DaemonMessage =
  | { readonly kind: "ready" }
  /** `text` is what would have stood on the terminal. */
  | { readonly kind: "failed"; readonly text: string };

/**
 * `daemon on`: starts the main process anew, detached from the terminal, and resolves with the exit code of the command
 * once that one serves or has failed. Of its standard streams only standard error remains, as in nginx, and only where
 * the configuration logs to it.
 */
export function startDaemon(source: Source, logsToStderr: boolean): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("daemon-main.js", import.meta.url))], {
    detached: true,
    stdio: ["ignore", "ignore", logsToStderr ? "inherit" : "ignore", "ipc"],
  });
  return new Promise((resolve) => {
    const fail = (text: string): void => {
      process.stderr.write(text);
      resolve(1);
    };
    // Ctrl-C while the terminal still waits takes the start back.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => child.kill());
    child.once("error", (error) => fail(`wsgate: [emerg] no background process: ${error.message}\n`));
    child.once("exit", (code, signal) =>
      fail(
        `wsgate: [emerg] the background process ended with ${signal ?? `code ${code}`} before it was ready\n`,
      ),
    );
    child.on("message", (message: DaemonMessage) => {
      child.removeAllListeners();
      child.disconnect();
      child.unref();
      if (message.kind === "failed") fail(message.text);
      else resolve(0);
    });
    child.send(source, () => {});
  });
}
