import type { BrowserContext } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { startWebSocketBackend } from "./backends.ts";
import { startBrowser } from "./browser.ts";
import { authorityCertificate, leafCertificate } from "./certificates.ts";
import { request } from "./http-client.ts";
import { useRig } from "./ledger.ts";
import { connectRaw } from "./raw-peer.ts";
import { has } from "./requires.ts";
import { connectWebSocket, requiresClient, WEBSOCKET_CLIENT_KINDS } from "./websocket-clients.ts";

useRig();

let browser: BrowserContext | undefined;
beforeAll(async () => {
  if (has("chromium")) browser = await startBrowser();
});

describe.each(WEBSOCKET_CLIENT_KINDS)("the client %s", (kind) => {
  test("talks text and binary over wss, agrees on a subprotocol and reports the closing code and reason", async (context) => {
    requiresClient(context, kind);
    const backend = await startWebSocketBackend({
      tls: await leafCertificate(),
      webSocket: { handleProtocols: (protocols) => (protocols.has("two") ? "two" : false) },
    });
    const ca = await authorityCertificate();
    const url = `wss://127.0.0.1:${backend.port}/x`;
    const client = await connectWebSocket(kind, url, { ca, browser, protocols: ["one", "two"] });
    expect(client.protocol).toBe("two");
    client.send("grüße");
    expect(await client.next()).toBe("grüße");
    client.send(Buffer.from([0, 255, 10]));
    expect(await client.next()).toEqual(Buffer.from([0, 255, 10]));
    backend.sockets[0]?.close(4321, "that was all");
    expect(await client.closed).toEqual({ code: 4321, reason: "that was all" });
  });

  test("closes by itself, and fails where nobody upgrades", async (context) => {
    requiresClient(context, kind);
    const backend = await startWebSocketBackend();
    const client = await connectWebSocket(kind, `ws://127.0.0.1:${backend.port}/`, { browser });
    const ended = new Promise<number>((resolve) => backend.sockets[0]?.once("close", resolve));
    client.close(4000, "enough");
    expect(await ended).toBe(4000);
    expect(await client.closed).toMatchObject({ code: 4000 });
    await backend.close();
    await expect(connectWebSocket(kind, `ws://127.0.0.1:${backend.port}/`, { browser })).rejects.toThrow(
      /ECONNREFUSED|Connect call failed|could not connect|network error/,
    );
  });
});

test.each(["ec", "rsa"] as const)(
  "a leaf with an %s key is valid for its names and no others",
  async (keyType) => {
    const leaf = await leafCertificate({ keyType, names: ["a.example", "127.0.0.1"] });
    const backend = await startWebSocketBackend({ tls: leaf });
    const ca = await authorityCertificate();
    expect((await request({ port: backend.port, tls: { ca, servername: "a.example" } })).status).toBe(200);
    await expect(connectRaw({ port: backend.port, tls: { ca, servername: "b.example" } })).rejects.toThrow(
      /altnames/,
    );
    await expect(connectRaw({ port: backend.port, tls: { servername: "a.example" } })).rejects.toThrow(
      /verify the first/,
    );
  },
);

test("an expired leaf is refused as such", async () => {
  const backend = await startWebSocketBackend({ tls: await leafCertificate({ validForDays: -1 }) });
  const ca = await authorityCertificate();
  await expect(connectRaw({ port: backend.port, tls: { ca } })).rejects.toThrow(/expired/);
});
