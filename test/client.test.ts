/** The client in Node and in a real browser, against a gate that is reloaded, killed and restarted. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import type { BrowserContext, Page } from "playwright-core";
import { beforeAll, describe, expect, test, type TestContext } from "vitest";
import { WebSocket } from "ws";
import { type ReconnectingOptions, ReconnectingWebSocket } from "../src/client/reconnecting-websocket.ts";
import { startWebSocketBackend, type WebSocketBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { within } from "./rig/deadline.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { GrowingText } from "./rig/log.ts";
import { reservePort } from "./rig/ports.ts";
import { type Command, REPOSITORY, startCommand, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { has, requires } from "./rig/requires.ts";

useRig();

/** Options that pass as JSON into a page. */
type PlainOptions = Omit<ReconnectingOptions, "WebSocket" | "decide">;

/** Waits short enough for a test. */
const QUICK: PlainOptions = { delayMsBase: 50, delayMsMax: 200, spreadMsMax: 50 };

interface Client {
  /** A line for each event. */
  readonly events: GrowingText;
  send(...messages: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

type Connect = (url: string, options?: PlainOptions) => Promise<Client>;

/** Runs in Node and, as text, in the page. */
function watch(client: ReconnectingWebSocket, report: (line: string) => unknown): ReconnectingWebSocket {
  client.addEventListener("open", () => report("open"));
  client.addEventListener("message", ({ data }) => report(`message ${String(data)}`));
  client.addEventListener("reconnecting", ({ code, reason }) => report(`reconnecting ${code} ${reason}`));
  client.addEventListener("reconnected", () => report("reconnected"));
  client.addEventListener("error", () => report("error"));
  client.addEventListener("close", ({ code, reason }) => report(`close ${code} ${reason}`));
  return client;
}

const connectInNode: Connect = (url, options = QUICK) => {
  const events = new GrowingText();
  const client = watch(new ReconnectingWebSocket(url, [], { ...options, WebSocket }), (line) =>
    events.push(`${line}\n`),
  );
  const close = async (): Promise<void> => {
    client.close();
    if (client.readyState !== client.CLOSED) await events.waitFor(/^close /m);
  };
  obtain("a client", close);
  return Promise.resolve({
    events,
    send: async (...messages) => {
      for (const message of messages) client.send(message);
    },
    close,
  });
};

let browser: BrowserContext | undefined;
let script = "";

beforeAll(async () => {
  if (!has("chromium")) return;
  browser = await startBrowser({ backForwardCache: true });
  const result = await build({
    entryPoints: [join(REPOSITORY, "src/client/reconnecting-websocket.ts")],
    bundle: true,
    format: "iife",
    globalName: "wsgate",
    write: false,
  });
  script = result.outputFiles[0]?.text ?? "";
});

async function openPage(url: string): Promise<Page> {
  if (browser === undefined) throw new Error("there is no browser");
  const page = await browser.newPage();
  obtain("a page in chromium", () => page.close());
  await page.goto(url);
  await page.addScriptTag({ content: script });
  return page;
}

async function connectInPage(page: Page, url: string, options: PlainOptions = QUICK): Promise<Client> {
  const events = new GrowingText();
  await page.exposeFunction("report", (line: string) => events.push(`${line}\n`));
  const made = `new wsgate.ReconnectingWebSocket(${JSON.stringify(url)}, [], ${JSON.stringify(options)})`;
  await page.evaluate(`window.client = (${watch.toString()})(${made}, report); undefined`);
  return {
    events,
    send: (...messages) =>
      page.evaluate(`for (const message of ${JSON.stringify(messages)}) client.send(message)`),
    close: () => page.evaluate("client.close()"),
  };
}

const connectInChromium: Connect = async (url, options) => {
  const page = await openPage(url.replace("ws", "http").replace(/\/chat.*/, "/page"));
  return connectInPage(page, url, options);
};

const PAGE = `location = /page { default_type text/html; return 200 "<!doctype html><title>client</title>"; }`;

function serverFor(backend: WebSocketBackend, port: string): string {
  return `server { listen 127.0.0.1:${port}; ${PAGE} location /chat { proxy_pass http://${backend.address}; } }`;
}

/** A gate that a test may kill, on a port to which the next one comes back. */
async function startMortalGate(port: number, backend: WebSocketBackend): Promise<Command> {
  const prefix = temporaryFolder();
  const file = join(prefix, "nginx.conf");
  const main = `pid ${prefix}/pid; error_log stderr notice; events {}`;
  writeFileSync(file, `${main} http { access_log off; ${serverFor(backend, String(port))} }`);
  const gate = startCommand(["-c", file, "-p", `${prefix}/`]);
  await gate.stderr.waitFor(/\bready\b/);
  return gate;
}

async function kill(gate: Command): Promise<void> {
  process.kill(-gate.pid, "SIGKILL");
  await within(gate.exited, "the gate to be gone");
}

/** What arrived at the backend over all of its connections, a message a line. */
async function startRecordingBackend(): Promise<{ backend: WebSocketBackend; got: GrowingText }> {
  const got = new GrowingText();
  const backend = await startWebSocketBackend({
    onSocket: (socket) => socket.on("message", (data: Buffer) => got.push(`${data.toString("utf8")}\n`)),
  });
  return { backend, got };
}

const PLACES: readonly { place: string; connect: Connect; needs: readonly "chromium"[] }[] = [
  { place: "Node", connect: connectInNode, needs: [] },
  { place: "chromium", connect: connectInChromium, needs: ["chromium"] },
];

describe.each(PLACES)("in $place", ({ connect, needs }) => {
  const here = (context: TestContext): void => requires(context, ...needs);

  test("a reload is not noticed: the same socket goes on", async (context) => {
    here(context);
    const backend = await startWebSocketBackend();
    const gate = await startGate({ http: serverFor(backend, "{{port:front}}") });
    const client = await connect(gate.url("ws", "/chat"));
    await client.send("before");
    await client.events.waitFor(/^message before$/m);
    expect(await gate.reload()).toBe(true);
    await client.send("after");
    await client.events.waitFor(/^message after$/m);
    expect(client.events.text).toBe("open\nmessage before\nmessage after\n");
    expect(backend.sockets).toHaveLength(1);
    await client.close();
    await client.events.waitFor(/^close 1005/m);
  });

  test("a gate that is killed and started again gets what was sent meanwhile, in order, each once", async (context) => {
    here(context);
    const { backend, got } = await startRecordingBackend();
    const port = await reservePort();
    const gate = await startMortalGate(port, backend);
    const client = await connect(`ws://127.0.0.1:${port}/chat`);
    await client.send("first");
    await got.waitFor(/^first$/m);
    await kill(gate);
    await client.events.waitFor(/^reconnecting 1006/m);
    const messages = Array.from({ length: 100 }, (_, i) => `message ${i}`);
    await client.send(...messages);
    await client.events.waitFor(/(reconnecting[^]*){2}/);
    await startMortalGate(port, backend);
    await client.events.waitFor(/^open\nreconnected$/m);
    await client.send("last");
    await got.waitFor(/^last$/m);
    expect(got.text).toBe(["first", ...messages, "last", ""].join("\n"));
    expect(backend.sockets).toHaveLength(2);
    await client.close();
  });

  test("1012 and 1013 come back; 1008 and 4001 are the end, each told once", async (context) => {
    here(context);
    const backend = await startWebSocketBackend();
    const gate = await startGate({ http: serverFor(backend, "{{port:front}}") });
    for (const final of [1008, 4001]) {
      const client = await connect(gate.url("ws", "/chat"));
      await client.events.waitFor(/open/);
      backend.sockets.at(-1)?.close(1012, "restart");
      await client.events.waitFor(/(open[^]*){2}/);
      backend.sockets.at(-1)?.close(1013, "later");
      await client.events.waitFor(/(open[^]*){3}/);
      backend.sockets.at(-1)?.close(final, "enough");
      await client.events.waitFor(/^close/m);
      expect(client.events.text.split("\n")).toEqual([
        "open",
        "reconnecting 1012 restart",
        "open",
        "reconnected",
        "reconnecting 1013 later",
        "open",
        "reconnected",
        `close ${final} enough`,
        "",
      ]);
    }
    expect(backend.sockets).toHaveLength(6);
  });

  test("a handshake that is refused is tried again until it is let in", async (context) => {
    here(context);
    const backend = await startWebSocketBackend();
    const open = serverFor(backend, "{{port:front}}");
    const shut = `server { listen 127.0.0.1:{{port:front}}; ${PAGE} location /chat { return 403; } }`;
    const gate = await startGate({ http: shut });
    const client = await connect(gate.url("ws", "/chat"));
    await client.send("hello");
    await client.events.waitFor(/(reconnecting 1006[^]*){2}/);
    await gate.write("conf/nginx.conf", `events {} http { ${open} }`);
    expect(await gate.reload()).toBe(true);
    await client.events.waitFor(/^message hello$/m);
    expect(client.events.text).toMatch(/^(reconnecting 1006 \n)+open\nmessage hello\n$/);
    await client.close();
  });

  test("a server that has stopped answering is left for a new connection", async (context) => {
    here(context);
    let isDeaf = true;
    const backend = await startWebSocketBackend({
      onSocket: (socket) => socket.on("message", () => isDeaf || socket.send("pong")),
    });
    const gate = await startGate({ http: serverFor(backend, "{{port:front}}") });
    const heartbeat = { message: "ping", intervalMs: 100, timeoutMs: 2_000 };
    const client = await connect(gate.url("ws", "/chat"), { ...QUICK, heartbeat });
    await client.events.waitFor(/reconnecting/);
    isDeaf = false;
    await client.events.waitFor(/(message pong[^]*){3}/);
    expect(client.events.text).toMatch(
      /^open\nreconnecting 1006 no answer to the heartbeat\nopen\nreconnected\n(message pong\n)+$/,
    );
    expect(backend.sockets).toHaveLength(2);
    await client.close();
  });
});

test("protocols that are no tokens, or offered twice, throw in the constructor as those of any WebSocket do", () => {
  for (const protocols of [["a", "a"], "not a token", [""]])
    expect(() => new ReconnectingWebSocket("ws://127.0.0.1/", protocols, { WebSocket })).toThrow(SyntaxError);
});

describe("only in a page", () => {
  test("a relative URL is that of the page, and offline and online are heard", async (context) => {
    requires(context, "chromium");
    const { backend, got } = await startRecordingBackend();
    const gate = await startGate({ http: serverFor(backend, "{{port:front}}") });
    const page = await openPage(gate.url("http", "/page"));
    const client = await connectInPage(page, "chat?from=page");
    await client.events.waitFor(/open/);
    expect(backend.handshakes[0]?.url).toBe("/chat?from=page");
    await page.context().setOffline(true);
    await client.events.waitFor(/^reconnecting 1006 offline$/m);
    await client.send("sent offline");
    await page.context().setOffline(false);
    await client.events.waitFor(/(open[^]*){2}/);
    await got.waitFor(/^sent offline$/m);
    expect(got.text).toBe("sent offline\n");
    await client.close();
  });

  test("a page that is left leaves its server, and is connected again when one goes back", async (context) => {
    requires(context, "chromium");
    const { backend, got } = await startRecordingBackend();
    const gate = await startGate({ http: serverFor(backend, "{{port:front}}") });
    const page = await openPage(gate.url("http", "/page"));
    const client = await connectInPage(page, "/chat");
    await client.events.waitFor(/open/);
    const left = new Promise((resolve) => backend.sockets[0]?.once("close", resolve));
    await page.goto(gate.url("http", "/page?other"));
    expect(await within(left, "the hidden page to leave")).toBe(1005);
    // Playwright's own goBack waits for a load that a page from the cache does not have.
    await page.evaluate("history.back()");
    await client.events.waitFor(/^open\nreconnecting 1006 the page was frozen\nopen\nreconnected$/m);
    await client.send("back");
    await got.waitFor(/^back$/m);
    expect(backend.sockets).toHaveLength(2);
    await client.close();
  });
});
