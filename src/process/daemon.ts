import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Source } from "./load.ts";

/** Tells the process that the terminal waits for whether the one behind it serves. */
export type DaemonMessage =
  | { readonly kind: "ready" }
  /** What would have stood on the terminal. */
  | { readonly kind: "failed"; readonly messages: readonly string[] };

/**
 * `daemon on`: starts the main process anew, detached from the terminal, and resolves with the exit code of the command
 * once that one serves or has failed. Its standard streams are gone; what it has to say stands in the error log.
 */
export function startDaemon(source: Source): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("daemon-main.js", import.meta.url))], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  child.send(source);
  return new Promise((resolve) => {
    child.on("message", (message: DaemonMessage) => {
      if (message.kind === "failed")
        process.stderr.write(message.messages.map((line) => `${line}\n`).join(""));
      child.disconnect();
      child.unref();
      resolve(message.kind === "ready" ? 0 : 1);
    });
    child.once("error", (error) => {
      process.stderr.write(`wsgate: [emerg] the background process cannot be started: ${error.message}\n`);
      resolve(1);
    });
    child.once("exit", () => resolve(1));
  });
}
