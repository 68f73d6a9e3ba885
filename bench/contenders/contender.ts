/** What a proxy must offer to take part, and how it is started. One contender is one file beside this one. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import * as net from "node:net";
import { join } from "node:path";
import type { CertificateFiles } from "../certificate.ts";

const START_TIMEOUT_MS = 10_000;
const STDERR_CHARACTERS_KEPT = 2_000;

export interface Contender {
  readonly name: string;
  /** Where it is not `websocket`: what tunnels through it are asked for as. Such a contender takes part in nothing else. */
  readonly protocol?: string;
  /** What is installed, such as `nginx 1.22.1`, or undefined when it is not. */
  version(): string | undefined;
  /** Writes what it needs into `place.folder` and says which command proxies from there, in the foreground. */
  prepare(place: Place): Launch;
}

export const WEBSOCKET = "websocket";

/** Where a contender listens, what it forwards to, and a folder of its own. */
export interface Place {
  readonly folder: string;
  readonly plainPort: number;
  readonly tlsPort: number;
  readonly backendPort: number;
  readonly certificate: CertificateFiles;
}

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
}

export interface RunningProxy {
  readonly pid: number;
  readonly plainPort: number;
  readonly tlsPort: number;
  stop(): Promise<void>;
}

/** Why a contender cannot take part, in its own words where it has any. */
export interface NotStarted {
  readonly failure: string;
}

/** Starts `contender` in a new folder under `parent`; resolves when both of its ports accept connections. */
export async function startContender(
  contender: Contender,
  parent: string,
  backendPort: number,
  certificate: CertificateFiles,
): Promise<RunningProxy | NotStarted> {
  const [plainPort, tlsPort] = await twoFreePorts();
  const folder = join(parent, `${contender.name}-${plainPort}`);
  mkdirSync(folder, { recursive: true });
  const { command, args } = contender.prepare({ folder, plainPort, tlsPort, backendPort, certificate });

  const child = spawn(command, args, { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-STDERR_CHARACTERS_KEPT);
  });
  child.on("error", (error) => {
    said += error.message;
  });
  const stop = (): Promise<void> => stopProcess(child);
  for (const port of [plainPort, tlsPort]) {
    if (await acceptsBefore(port, child, Date.now() + START_TIMEOUT_MS)) continue;
    await stop();
    return { failure: said.trim() || "it does not listen and says nothing" };
  }
  return { pid: child.pid ?? 0, plainPort, tlsPort, stop };
}

/** The first version number in what `command` prints, or undefined when the command cannot be run. */
export function installedVersion(command: string, args: readonly string[]): string | undefined {
  const run = spawnSync(command, args, { encoding: "utf8" });
  if (run.error !== undefined || run.status !== 0) return undefined;
  return /\d+\.\d+(\.\d+)?/.exec(run.stdout + run.stderr)?.[0];
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const impatience = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await ended;
  clearTimeout(impatience);
}

async function acceptsBefore(port: number, child: ChildProcess, deadlineMs: number): Promise<boolean> {
  while (Date.now() < deadlineMs && !hasEnded(child)) {
    if (await accepts(port)) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function twoFreePorts(): Promise<[number, number]> {
  const servers = [net.createServer(), net.createServer()] as const;
  const [first, second] = await Promise.all(servers.map(portOf));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [first ?? 0, second ?? 0];
}

function portOf(server: net.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}
