/** WebSocket clients that nobody here wrote, through the gate, over ws and wss, to a backend that nobody here wrote. */
import { randomBytes } from "node:crypto";
import type { BrowserContext } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { startWebSocketBackend, type WebSocketBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { has } from "./rig/requires.ts";
import {
  connectWebSocket,
  requiresClient,
  WEBSOCKET_CLIENT_KINDS,
  type WebSocketClient,
  type WebSocketClientKind,
} from "./rig/websocket-clients.ts";

useRig();

let browser: BrowserContext | undefined;
let backend: WebSocketBackend;
let gate: Proxy;

beforeAll(async () => {
  if (has("chromium")) browser = await startBrowser();
  backend = await startWebSocketBackend({
    webSocket: {
      perMessageDeflate: true,
      handleProtocols: (protocols) => (protocols.has("second") ? "second" : false),
    },
  });
  const { certificate, key } = await leafFiles();
  gate = await startGate({
    http: `
      server {
        listen 127.0.0.1:{{port:ws}};
        listen 127.0.0.1:{{port:wss}} ssl;
        ssl_certificate ${certificate};
        ssl_certificate_key ${key};
        location / { proxy_pass http://${backend.address}; }
      }`,
  });
});

const CASES: readonly { kind: WebSocketClientKind; scheme: "ws" | "wss" }[] = WEBSOCKET_CLIENT_KINDS.flatMap(
  (kind) => [
    { kind, scheme: "ws" },
    { kind, scheme: "wss" },
  ],
);

describe.each(CASES)("$kind over $scheme", ({ kind, scheme }) => {
  async function connect(protocols: readonly string[] = []): Promise<WebSocketClient> {
    const ca = await authorityCertificate();
    return await connectWebSocket(kind, gate.url(scheme, "/chat?room=1", scheme), { ca, browser, protocols });
  }

  test("gets back text, binary, an empty message and a mebibyte, each as it was sent", async (context) => {
    requiresClient(context, kind);
    const client = await connect();
    const messages = ["grüße, 世界", Buffer.from([0, 1, 254, 255]), "", randomBytes(1024 * 1024)];
    for (const message of messages) client.send(message);
    const echoes = [await client.next(), await client.next(), await client.next(), await client.next()];
    expect(
      echoes.map((echo, i) => Buffer.compare(Buffer.from(echo), Buffer.from(messages[i] ?? ""))),
    ).toEqual([0, 0, 0, 0]);
    expect(echoes.map((echo) => typeof echo)).toEqual(["string", "object", "string", "object"]);
    expect(backend.handshakes.at(-1)?.url).toBe("/chat?room=1");
  });

  test("gets the subprotocol that the backend chose, and sees its close code and reason", async (context) => {
    requiresClient(context, kind);
    const client = await connect(["first", "second"]);
    expect(client.protocol).toBe("second");
    backend.sockets.at(-1)?.close(4321, "the backend has spoken");
    expect(await client.closed).toEqual({ code: 4321, reason: "the backend has spoken" });
  });

  test("tells the backend its own close code and reason", async (context) => {
    requiresClient(context, kind);
    const client = await connect();
    const ended = new Promise<string>((resolve) => {
      backend.sockets.at(-1)?.once("close", (code, reason) => resolve(`${code} ${reason.toString()}`));
    });
    client.close(4000, "enough");
    expect(await ended).toBe("4000 enough");
    expect(await client.closed).toMatchObject({ code: 4000 });
  });

  test("may compress its messages, which the gate passes on as they are", async (context) => {
    requiresClient(context, kind);
    const client = await connect();
    const offered = backend.handshakes.at(-1)?.headers["sec-websocket-extensions"] ?? "";
    // Each of them but Node 20's own client offers it.
    expect(kind === "node" || offered.startsWith("permessage-deflate")).toBe(true);
    const text = "the same again and again, ".repeat(1_000);
    client.send(text);
    expect(await client.next()).toBe(text);
  });
});
