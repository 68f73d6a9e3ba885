import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";

const WSGATE = fileURLToPath(new URL("../../bin/wsgate", import.meta.url));
/** How long the gate may take to close its connections before it is killed. */
const STOP_LIMIT_MS = 5_000;

export interface DemoGate {
  /** The ports it listens on, plain and with TLS. */
  readonly httpPort: number;
  readonly httpsPort: number;
  /** Settles with what to tell the user when the gate has ended without having been asked to. */
  readonly failed: Promise<string>;
}

/**
 * Runs `bin/wsgate` on a configuration until `stop` aborts, then ends it; `ended` settles when it is gone. What it
 * logs at warn and above goes to standard error. `started` is undefined when it was stopped before it was ready, and
 * rejects with what it said when it could not start.
 */
export function runGateProcess(
  configPath: string,
  prefix: string,
  stop: AbortSignal,
): { readonly started: Promise<DemoGate | undefined>; readonly ended: Promise<void> } {
  const args = [
    WSGATE,
    "-c",
    configPath,
    "-p",
    `${prefix}/`,
    "-e",
    "stderr",
    "-g",
    "error_log stderr notice;",
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "pipe"] });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.once("error", () => resolve());
  });
  void endOnAbort(child, stop, ended);
  return { started: waitUntilReady(child, stop, ended), ended };
}

async function waitUntilReady(
  child: ChildProcessByStdio<null, null, Readable>,
  stop: AbortSignal,
  ended: Promise<void>,
): Promise<DemoGate | undefined> {
  const said: string[] = [];
  const ports = { http: 0, https: 0 };
  const ready = new Promise<true>((resolve) => {
    let isReady = false;
    createInterface(child.stderr).on("line", (line) => {
      if (isReady) forwardComplaint(line);
      else said.push(line);
      const [, port, ssl] = / listening on \S+:(\d+)( ssl)?$/.exec(line) ?? [];
      if (port !== undefined) ports[ssl === undefined ? "http" : "https"] = Number(port);
      if (/\bready$/.test(line)) {
        isReady = true;
        resolve(true);
      }
    });
  });
  if ((await Promise.race([ready, ended])) !== true) {
    if (stop.aborted) return undefined;
    throw new Error(said.filter((line) => !/\[notice\]/.test(line)).join("\n") || "wsgate did not start");
  }
  const failed = ended.then(() => `wsgate ended: code ${child.exitCode}, signal ${child.signalCode}`);
  return { httpPort: ports.http, httpsPort: ports.https, failed };
}

function forwardComplaint(line: string): void {
  if (/\[(warn|error|crit|alert|emerg)\]/.test(line)) process.stderr.write(`${line}\n`);
}

async function endOnAbort(
  child: ChildProcessByStdio<null, null, Readable>,
  stop: AbortSignal,
  ended: Promise<void>,
): Promise<void> {
  const onAbort = (): void => {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS).unref();
  };
  if (stop.aborted) onAbort();
  stop.addEventListener("abort", onAbort);
  await ended;
  stop.removeEventListener("abort", onAbort);
}
