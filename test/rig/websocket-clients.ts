/** WebSocket clients that nobody here wrote, behind one interface, so that one test can be put to all of them. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BrowserContext } from "playwright-core";
import type { TestContext } from "vitest";
import { WebSocket } from "ws";
import { within } from "./deadline.ts";
import type { Http2Client } from "./http2-client.ts";
import { obtain } from "./ledger.ts";
import { requires } from "./requires.ts";

export type WebSocketClientKind = "ws" | "node" | "python" | "chromium";

export const WEBSOCKET_CLIENT_KINDS: readonly WebSocketClientKind[] = ["ws", "node", "python", "chromium"];

export type Message = string | Buffer;

export interface WebSocketClient {
  /** The subprotocol that was agreed on, or nothing. */
  readonly protocol: string;
  send(message: Message): void;
  /** The next message, in order of arrival. */
  next(): Promise<Message>;
  close(code?: number, reason?: string): void;
  /** How the connection ended, as this client reports it. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

export interface WebSocketClientOptions {
  readonly protocols?: readonly string[];
  /** The PEM certificate to trust for wss; chromium trusts anything. */
  readonly ca?: string;
  /** Request headers; neither browsers nor Node's own client can set any. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Over a stream of this connection (RFC 8441); the kind `ws` alone. */
  readonly http2?: Http2Client | undefined;
  /** Needed by the kind `chromium`. */
  readonly browser?: BrowserContext | undefined;
}

/** Skips the test, by name, where the client of that kind is missing on this machine. */
export function requiresClient(context: TestContext, kind: WebSocketClientKind): void {
  if (kind === "node") requires(context, "node-websocket");
  if (kind === "python") requires(context, "python3-websockets");
  if (kind === "chromium") requires(context, "chromium");
}

/** An open connection; rejects with the client's own words when the opening handshake fails. */
export async function connectWebSocket(
  kind: WebSocketClientKind,
  url: string,
  options: WebSocketClientOptions = {},
): Promise<WebSocketClient> {
  const events = new ClientEvents();
  const driver = await CONNECT[kind](url, options, events);
  const protocol = await within(events.opened, `${kind} to open ${url}`);
  return {
    protocol,
    send: (message) => driver.send(message),
    next: () => within(events.next(), `a message from ${url}`),
    close: (code = 1000, reason = "") => driver.close(code, reason),
    get closed() {
      return within(events.closed, `${kind} to report the end of ${url}`);
    },
  };
}

interface Driver {
  send(message: Message): void;
  close(code: number, reason: string): void;
}

type Connect = (
  url: string,
  options: WebSocketClientOptions,
  events: ClientEvents,
) => Promise<Driver> | Driver;

const CONNECT: Readonly<Record<WebSocketClientKind, Connect>> = {
  ws: connectWs,
  node: connectNode,
  python: connectPython,
  chromium: connectChromium,
};

/** What a client reports: an opening or an error first, then messages, then one end. */
class ClientEvents {
  readonly opened: Promise<string>;
  readonly closed: Promise<{ code: number; reason: string }>;
  onOpen: (protocol: string) => void = () => {};
  onError: (message: string) => void = () => {};
  onClose: (code: number, reason: string) => void = () => {};
  #messages: Message[] = [];
  #wake: (() => void)[] = [];

  constructor() {
    this.opened = new Promise((resolve, reject) => {
      this.onOpen = resolve;
      this.onError = (message) => reject(new Error(message));
    });
    this.closed = new Promise((resolve) => {
      this.onClose = (code, reason) => {
        this.onError(`closed with ${code} ${reason} before it opened`);
        resolve({ code, reason });
      };
    });
  }

  onMessage(message: Message): void {
    this.#messages.push(message);
    for (const wake of this.#wake.splice(0)) wake();
  }

  async next(): Promise<Message> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }
}

function connectWs(url: string, options: WebSocketClientOptions, events: ClientEvents): Driver {
  const { http2 } = options;
  // An object of any kind, since it is typed as net.connect: http.request is content with a stream.
  const way: object = http2 === undefined ? {} : { createConnection: () => http2.bridge() };
  const socket = new WebSocket(url, [...(options.protocols ?? [])], {
    headers: { ...options.headers },
    ...way,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  obtain(`the ws client of ${url}`, async () => {
    socket.terminate();
    await within(closed, "a ws client to close");
  });
  socket.on("error", (error) => events.onError(error.message));
  socket.on("open", () => events.onOpen(socket.protocol));
  socket.on("message", (data: Buffer, isBinary) => events.onMessage(isBinary ? data : data.toString("utf8")));
  socket.on("close", (code, reason) => events.onClose(code, reason.toString("utf8")));
  return {
    send: (message) => socket.send(message),
    close: (code, reason) => socket.close(code, reason),
  };
}

function connectPython(url: string, options: WebSocketClientOptions, events: ClientEvents): Driver {
  const { protocols, ca, headers } = options;
  const script = peerScript("python_websocket.py");
  return driveProcess(
    "/usr/bin/python3",
    [script, url, JSON.stringify({ protocols, ca, headers })],
    {},
    events,
  );
}

function connectNode(url: string, options: WebSocketClientOptions, events: ClientEvents): Driver {
  const env: Record<string, string> = { NODE_NO_WARNINGS: "1" };
  if (options.ca !== undefined) {
    // Node's own client takes no TLS options; what it trusts beyond the system's list comes from a file.
    const folder = mkdtempSync(join(tmpdir(), "wsgate-rig-ca-"));
    obtain(folder, () => rmSync(folder, { recursive: true }));
    env["NODE_EXTRA_CA_CERTS"] = join(folder, "ca.crt");
    writeFileSync(env["NODE_EXTRA_CA_CERTS"], options.ca);
  }
  const script = peerScript("node-websocket.mjs");
  const args = ["--experimental-websocket", script, url, JSON.stringify({ protocols: options.protocols })];
  return driveProcess(process.execPath, args, env, events);
}

function peerScript(name: string): string {
  return fileURLToPath(new URL(`./peers/${name}`, import.meta.url));
}

/** A client in a process of its own, driven by lines of JSON. */
function driveProcess(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  events: ClientEvents,
): Driver {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["pipe", "pipe", "pipe"] });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    complaints += chunk;
  });
  child.stdin.on("error", () => {});
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      events.onError(error.message);
      resolve();
    });
    child.once("close", () => {
      events.onError(`${program} ended: ${complaints}`);
      resolve();
    });
  });
  obtain(program, async () => {
    child.kill("SIGKILL");
    await within(ended, `${program} to end`);
  });
  createInterface(child.stdout).on("line", (line) => dispatchLine(line, events));
  const tell = (command: object): void => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
  };
  return {
    send: (message) =>
      tell(typeof message === "string" ? { text: message } : { binary: message.toString("base64") }),
    close: (code, reason) => tell({ close: [code, reason] }),
  };
}

/** One event in the words that the peers and the page share. */
interface PeerEvent {
  readonly open?: string;
  readonly error?: string;
  readonly text?: string;
  readonly binary?: string;
  readonly close?: readonly [code: number, reason: string];
}

function dispatchLine(line: string, events: ClientEvents): void {
  const event: PeerEvent = JSON.parse(line);
  if (event.open !== undefined) events.onOpen(event.open);
  else if (event.error !== undefined) events.onError(event.error);
  else if (event.text !== undefined) events.onMessage(event.text);
  else if (event.binary !== undefined) events.onMessage(Buffer.from(event.binary, "base64"));
  else if (event.close !== undefined) events.onClose(event.close[0], event.close[1]);
}

/** Runs in the page. Text, because its names are the browser's and the rest of the project knows no DOM. */
const PAGE_SCRIPT = `([url, protocols]) => {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  let isOpen = false;
  const report = (event) => window.report(JSON.stringify(event));
  socket.onopen = () => { isOpen = true; report({ open: socket.protocol }); };
  socket.onmessage = ({ data }) => report(
    typeof data === "string"
      ? { text: data }
      : { binary: btoa(Array.from(new Uint8Array(data), (byte) => String.fromCharCode(byte)).join("")) },
  );
  socket.onerror = () => { if (!isOpen) report({ error: "the browser could not connect" }); };
  socket.onclose = ({ code, reason }) => report({ close: [code, reason] });
  window.command = ({ text, binary, close }) => {
    if (text !== undefined) socket.send(text);
    else if (binary !== undefined) socket.send(Uint8Array.from(atob(binary), (char) => char.charCodeAt(0)));
    else socket.close(...close);
  };
}`;

async function connectChromium(
  url: string,
  options: WebSocketClientOptions,
  events: ClientEvents,
): Promise<Driver> {
  if (options.browser === undefined) throw new Error("the kind chromium needs a browser: see startBrowser");
  const page = await options.browser.newPage();
  obtain("a page in chromium", () => page.close());
  await page.exposeFunction("report", (line: string) => dispatchLine(line, events));
  await page.evaluate(`(${PAGE_SCRIPT})(${JSON.stringify([url, options.protocols ?? []])})`);
  const tell = (command: object): void => {
    page
      .evaluate(`window.command(${JSON.stringify(command)})`)
      .catch((error: unknown) => events.onError(String(error)));
  };
  return {
    send: (message) =>
      tell(typeof message === "string" ? { text: message } : { binary: message.toString("base64") }),
    close: (code, reason) => tell({ close: [code, reason] }),
  };
}
