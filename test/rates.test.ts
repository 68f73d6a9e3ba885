/** websocket_rate from the configuration to the wire. */
import { expect, test } from "vitest";
import { compile } from "../src/compile/compile.ts";
import { memoryFiles } from "../src/config/files.ts";
import { modules } from "../src/modules/index.ts";
import { startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { clientFrame, readClose, serverFrame } from "./rig/frames.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;

interface Tunnel {
  readonly gate: Proxy;
  readonly client: RawPeer;
  readonly upstream: RawPeer;
}

function startInFrontOf(address: string, settings: string): Promise<Proxy> {
  return startGate({
    http: `error_log stderr info;
      log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code $websocket_messages_in $websocket_messages_out";
      server { listen 127.0.0.1:{{port:front}}; access_log logs/tunnel.log tunnel;
        location / { proxy_pass http://${address}; ${settings} } }`,
  });
}

async function openTunnel(settings: string): Promise<Tunnel> {
  const backend = await startRawBackend(SWITCHING);
  const gate = await startInFrontOf(backend.address, settings);
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/"));
  expect((await readResponse(client)).status).toBe(101);
  return { gate, client, upstream: await backend.connection(0) };
}

function elapsedSince(startMs: number): number {
  return performance.now() - startMs;
}

test("a client that sends faster is slowed to the rate, all its messages arrive in order, and the tunnel goes on", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startInFrontOf(backend.address, "websocket_rate 200r/s burst=20;");
  const client = await connectWebSocket("ws", gate.url("ws"));
  const startMs = performance.now();
  for (let index = 0; index < 120; index++) client.send(`message ${index}`);
  for (let index = 0; index < 120; index++) expect(await client.next()).toBe(`message ${index}`);
  // A hundred messages beyond the burst.
  expect(elapsedSince(startMs)).toBeGreaterThanOrEqual(495);
  client.close(1000, "");
  expect((await client.closed).code).toBe(1000);
  await gate.waitForFile("logs/tunnel.log", /^client close 1000 120 120$/m);
});

test("a rate of bytes lets a message bigger than its burst pass in pieces", async () => {
  const { client, upstream } = await openTunnel("websocket_rate 100k/s burst=10k;");
  const head = "\x82\xfe\xea\x60\0\0\0\0";
  const startMs = performance.now();
  await client.send(head + "x".repeat(60_000));
  await upstream.bytes(40_000);
  expect(elapsedSince(startMs)).toBeGreaterThanOrEqual(290);
});

test("messages that wsgate decompresses are paced like others", async () => {
  const backend = await startWebSocketBackend();
  const settings =
    "websocket_compression offload; websocket_rate 100r/s burst=10; websocket_rate 1m/s burst=1k;";
  const gate = await startInFrontOf(backend.address, settings);
  const client = await connectWebSocket("ws", gate.url("ws"));
  const text = (index: number): string => `${index} ${"compressible ".repeat(200)}`;
  const startMs = performance.now();
  for (let index = 0; index < 40; index++) client.send(text(index));
  for (let index = 0; index < 40; index++) expect(await client.next()).toBe(text(index));
  expect(elapsedSince(startMs)).toBeGreaterThanOrEqual(295);
  client.close(1000, "");
  expect((await client.closed).code).toBe(1000);
});

test("from=upstream holds the upstream to it and leaves the client alone", async () => {
  const { client, upstream } = await openTunnel("websocket_rate 1r/s burst=2 from=upstream;");
  const flood = clientFrame("up").repeat(50);
  await client.send(flood);
  await upstream.until(flood);
  const startMs = performance.now();
  await upstream.send(serverFrame("1") + serverFrame("2") + serverFrame("3"));
  await client.exactly(serverFrame("1") + serverFrame("2"));
  await client.exactly(serverFrame("3"));
  expect(elapsedSince(startMs)).toBeGreaterThanOrEqual(950);
});

test("with close, who sends more gets 1008, the other side 1001, and the log names the rule", async () => {
  const { gate, client, upstream } = await openTunnel("websocket_rate 10r/s burst=3 close;");
  await client.send(clientFrame("m").repeat(5));
  const farewell = readClose(await client.toEnd());
  expect(farewell).toEqual({ code: 1008, reason: "message above websocket_rate" });
  const received = await upstream.toEnd();
  const passed = clientFrame("m").repeat(3);
  expect(received.startsWith(passed)).toBe(true);
  expect(readClose(received.slice(passed.length))?.code).toBe(1001);
  client.end();
  upstream.end();
  await gate.waitForLog(/\[info\] .*client sent a message above websocket_rate \(rule "messages-rate"\)/);
  await gate.waitForFile("logs/tunnel.log", /^proxy limit 1008 3 0$/m);
});

test("a FIN waits behind what is kept back, and the tunnel then ends as without a rate", async () => {
  const { gate, client, upstream } = await openTunnel("websocket_rate 20r/s burst=1;");
  await client.send(clientFrame("a") + clientFrame("b") + clientFrame("c"));
  client.end();
  expect((await upstream.toEnd()).startsWith(clientFrame("a") + clientFrame("b") + clientFrame("c"))).toBe(
    true,
  );
  upstream.end();
  await gate.waitForFile("logs/tunnel.log", /^client eof \d+ 3 0$/m);
});

test("rates are written as those of limit_req and limit_rate, and what is none is refused with what is meant", async () => {
  const complain = async (rate: string): Promise<string> => {
    const text = `events {} http { websocket_rate 5r/s; server { websocket_rate ${rate}; } }`;
    const { diagnostics } = await compile({
      file: "/x.conf",
      prefix: "/",
      defaultErrorLog: "stderr",
      files: memoryFiles({ "/x.conf": text }),
      modules,
    });
    return diagnostics
      .map(({ message, notes }) => [message, ...notes.map((note) => note.message)].join(" | "))
      .join();
  };
  for (const right of [
    "off",
    "100r/s",
    "30r/m burst=5",
    "64k/s burst=256k close",
    "1M/s from=upstream delay",
    "512/s close burst=1",
    "5r/s; websocket_rate 1k/s",
  ]) {
    expect(await complain(right)).toBe("");
  }
  for (const [wrong, word] of [
    ["100", "100"],
    ["0r/s", "0r/s"],
    ["100r/h", "100r/h"],
    ["10m/m", "10m/m"],
    ["-1r/s", "-1r/s"],
    ["5r/s burst=1k", "burst=1k"],
    ["5k/s burst=x", "burst=x"],
    ["5r/s from=both", "from=both"],
    ["5r/s reject", "reject"],
    ["off close", "off"],
  ] as const) {
    expect(await complain(wrong)).toContain(`invalid value "${word}" | `);
  }
});
