import { expect, test } from "vitest";
import { startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;

test("a WebSocket passes through a location that says nothing about upgrades", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const client = await connectWebSocket("ws", gate.url("ws", "/chat"));
  client.send("hello");
  expect(await client.next()).toBe("hello");
  client.close(1000, "done");
  expect(await client.closed).toEqual({ code: 1000, reason: "done" });
  await gate.waitForFile("logs/access.log", /"GET \/chat HTTP\/1.1" 101 /);
});

test("bytes that come with the 101 reach the client first, and what the client sent too early is held until then", async () => {
  const backend = await startRawBackend(async (_request, peer) => {
    expect(peer.inbox.unread).toBe("");
    await peer.send(`${SWITCHING}first`);
    await peer.exactly("early");
    await peer.send("second");
  });
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const client = await connectRaw({ port: gate.port() });
  await client.send(`${handshakeBytes("/")}early`);
  await client.until("\r\n\r\n");
  await client.exactly("firstsecond");
});
