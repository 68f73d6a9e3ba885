/** `wsgate demo`: the quickstart configuration in front of an embedded chat, on a certificate made on the fly. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { assert } from "../base/assert.ts";
import { describeSystemError } from "../base/errno.ts";
import { portOwner } from "../process/port-owner.ts";
import { ensureSelfSigned } from "../process/self-signed.ts";
import { type ChatBackend, startChatBackend } from "./demo-chat.ts";
import { type DemoGate, runGateProcess } from "./demo-gate.ts";
import { portObstacle } from "./demo-ports.ts";

const QUICKSTART = fileURLToPath(new URL("../../examples/quickstart", import.meta.url));
/** Where the certificate, the logs and the pid file are kept, as the configuration says too. */
const STATE = join(QUICKSTART, ".wsgate");
const CONFIG = join(QUICKSTART, "nginx.conf");

/** The ports as they stand in the configuration. */
const HTTP_PORT = 8080;
const HTTPS_PORT = 8443;
const BACKEND_PORT = 8081;

const USAGE = `usage: wsgate demo [--http PORT] [--https PORT]

Starts a chat behind wsgate, with a page on http (port ${HTTP_PORT}) and https (port ${HTTPS_PORT}).
Port 0 takes any free one. Ctrl-C ends it.
`;

interface Ports {
  readonly http: number;
  readonly https: number;
}

/** What keeps the demo from starting, in words for the person who typed the command. */
class DemoFailure extends Error {}

/** Runs until Ctrl-C or SIGTERM. Resolves with the exit code: 0 then, 1 when something failed. */
export async function runDemo(argv: readonly string[]): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  try {
    const ports = readFlags(argv);
    if (ports === "help") process.stdout.write(USAGE);
    else await run(ports, stop);
    return 0;
  } catch (error) {
    if (!(error instanceof DemoFailure)) throw error;
    process.stderr.write(`wsgate demo: ${error.message}\n`);
    return 1;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

async function run(ports: Ports, stop: AbortController): Promise<void> {
  await refuseTakenPorts(ports);
  const certificate = await ensureSelfSigned(STATE);
  if (!certificate.ok) throw new DemoFailure(certificate.failure);
  const chat = await startChat();
  try {
    await runGate(chat, ports, stop);
  } finally {
    await chat.close();
  }
}

async function runGate(chat: ChatBackend, ports: Ports, stop: AbortController): Promise<void> {
  if (stop.signal.aborted) return;
  const configPath = prepareConfig(ports, chat.port);
  try {
    await untilStopped(configPath, stop);
  } finally {
    if (configPath !== CONFIG) rmSync(configPath, { force: true });
  }
}

async function untilStopped(configPath: string, stop: AbortController): Promise<void> {
  const { started, ended } = runGateProcess(configPath, QUICKSTART, stop.signal);
  try {
    const gate = await started.catch((error: unknown) => {
      throw new DemoFailure(error instanceof Error ? error.message : String(error));
    });
    if (gate === undefined) return;
    process.stdout.write(welcome(gate, configPath));
    const failure = await Promise.race([gate.failed, aborted(stop.signal)]);
    if (failure !== undefined) throw new DemoFailure(failure);
  } finally {
    stop.abort();
    await ended;
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
}

function readFlags(argv: readonly string[]): Ports | "help" {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: { http: { type: "string" }, https: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help === true) return "help";
    return {
      http: readPort("http", values.http, HTTP_PORT),
      https: readPort("https", values.https, HTTPS_PORT),
    };
  } catch (error) {
    if (error instanceof DemoFailure) throw error;
    throw new DemoFailure(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

function readPort(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new DemoFailure(`--${flag} wants a port number from 0 to 65535, not "${text}"`);
}

async function refuseTakenPorts(ports: Ports): Promise<void> {
  if (ports.http === ports.https && ports.http !== 0) {
    throw new DemoFailure(`http and https cannot share port ${ports.http}`);
  }
  for (const flag of ["http", "https"] as const) {
    const obstacle = await portObstacle(ports[flag]);
    if (obstacle !== undefined) throw new DemoFailure(explainObstacle(obstacle, flag, ports[flag]));
  }
}

function explainObstacle(code: string, flag: "http" | "https", port: number): string {
  const other = `${ownCommand()} --${flag} ${port < 1024 ? port + 8_000 : port + 10}`;
  if (code === "EACCES") return `port ${port} needs privileges; take another one: ${other}`;
  if (code !== "EADDRINUSE") return `cannot listen on port ${port} (${code}); take another one: ${other}`;
  const owner = portOwner(port);
  const taker = owner === undefined ? "another program" : `${owner.command} (pid ${owner.pid})`;
  return `port ${port} is taken by ${taker}; nothing was started.\nEnd that program, or take another port: ${other}`;
}

/** The command as the person typed it. */
function ownCommand(): string {
  return process.env["npm_lifecycle_event"] === "start" ? "npm start --" : "wsgate demo";
}

/** Nobody but the gate needs to know the backend's port, so any free one will do where the usual one is taken. */
async function startChat(): Promise<ChatBackend> {
  const usual = await startChatBackend(BACKEND_PORT).catch(() => undefined);
  return usual ?? (await startChatBackend(0));
}

/** The quickstart's own configuration or, where a port differs, a copy with that port in it, for this run alone. */
function prepareConfig(ports: Ports, backendPort: number): string {
  const isAsWritten = ports.http === HTTP_PORT && ports.https === HTTPS_PORT && backendPort === BACKEND_PORT;
  if (isAsWritten) return CONFIG;
  const copy = join(STATE, `nginx.${process.pid}.conf`);
  try {
    writeFileSync(copy, adaptConfig(readFileSync(CONFIG, "utf8"), ports, backendPort));
  } catch (error) {
    throw new DemoFailure(`cannot write ${copy} (${describeSystemError(error)})`);
  }
  return copy;
}

function adaptConfig(text: string, ports: Ports, backendPort: number): string {
  const changes: readonly (readonly [from: string, to: string])[] = [
    [`listen ${HTTP_PORT};`, `listen ${ports.http};`],
    [`listen ${HTTPS_PORT} ssl;`, `listen ${ports.https} ssl;`],
    [`server 127.0.0.1:${BACKEND_PORT};`, `server 127.0.0.1:${backendPort};`],
    // These two are relative to the folder of the file they stand in, and the copy lies deeper.
    [".wsgate/localhost.crt", "localhost.crt"],
    [".wsgate/localhost.key", "localhost.key"],
  ];
  let adapted = text;
  for (const [from, to] of changes) {
    assert(adapted.includes(from), `the quickstart's nginx.conf has no "${from}"`);
    adapted = adapted.replace(from, to);
  }
  return adapted;
}

function welcome({ httpPort, httpsPort }: DemoGate, configPath: string): string {
  const rows = [
    ["", "page", "WebSocket"],
    ["plain", `http://localhost:${httpPort}/`, `ws://localhost:${httpPort}/chat`],
    ["TLS", `https://localhost:${httpsPort}/`, `wss://localhost:${httpsPort}/chat`],
  ];
  const table = rows.map(([kind = "", page = "", webSocket = ""]) =>
    `  ${kind.padEnd(7)}${page.padEnd(27)}${webSocket}`.trimEnd(),
  );
  return `
wsgate is running the quickstart: a chat behind a reverse proxy.

${table.join("\n")}

  configuration  ${relative(process.cwd(), configPath)}
  logs           ${relative(process.cwd(), STATE)}/access.log, error.log

The certificate was made on this machine, so the browser asks once whether to trust it.
Open the page twice to talk to yourself. Ctrl-C stops everything.
`;
}
