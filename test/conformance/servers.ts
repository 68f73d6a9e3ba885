/** Echo servers that nobody here wrote. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { startWebSocketBackend } from "../rig/backends.ts";
import { within } from "../rig/deadline.ts";
import { obtain } from "../rig/ledger.ts";
import { has, isContinuousIntegration } from "../rig/requires.ts";

export type ServerKind = "ws" | "python";

/** Those that are on this machine; on a CI machine all. */
export const SERVER_KINDS: readonly ServerKind[] =
  has("python3-websockets") || isContinuousIntegration() ? ["ws", "python"] : ["ws"];

const START: Readonly<Record<ServerKind, () => Promise<number>>> = { ws: startWs, python: startPython };

/** Returns the port on 127.0.0.1. */
export function startEchoServer(kind: ServerKind): Promise<number> {
  return START[kind]();
}

async function startWs(): Promise<number> {
  const { port } = await startWebSocketBackend({ webSocket: { perMessageDeflate: { threshold: 0 } } });
  return port;
}

async function startPython(): Promise<number> {
  const script = fileURLToPath(new URL("../rig/peers/python_echo.py", import.meta.url));
  const child = spawn("/usr/bin/python3", [script], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  obtain("Python's echo server", async () => {
    child.kill("SIGKILL");
    await within(ended, "Python's echo server to end");
  });
  const [line] = await within(once(createInterface(child.stdout), "line"), "Python's echo server to start");
  return Number(line);
}
