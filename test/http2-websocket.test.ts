/** WebSockets over HTTP/2 (RFC 8441), through the whole proxy, to upstreams that know HTTP/1.1 alone. */
import { randomBytes } from "node:crypto";
import type { OutgoingHttpHeaders } from "node:http2";
import { describe, expect, test } from "vitest";
import { startHttpBackend, startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { clientFrame, readClose, serverFrame } from "./rig/frames.ts";
import {
  END_HEADERS,
  END_STREAM,
  FRAME_TYPES,
  http2Frame,
  PREFACE,
  requestBlock,
  uint32,
  untilFrame,
} from "./rig/http2-frames.ts";
import { connectHttp2, type Http2Client } from "./rig/http2-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, type ProxyOptions, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";
import { connectWebSocket, type Message } from "./rig/websocket-clients.ts";

useRig();

const FORMAT =
  '"$request" $status $websocket_ended_by $websocket_end $websocket_close_code [$websocket_subprotocol] in=$websocket_messages_in out=$websocket_messages_out';

async function startInFrontOf(
  backend: { readonly address: string },
  settings = "",
  options: Partial<ProxyOptions> = {},
): Promise<Proxy> {
  const { certificate, key } = await leafFiles();
  return await startGate({
    ...options,
    values: { more: "", ...options.values },
    files: { "html/page.html": "<title>a page</title>\n" },
    http: `
      log_format tunnel '${FORMAT}';
      http2 on;
      ssl_certificate ${certificate};
      ssl_certificate_key ${key};
      error_log stderr info;
      server {
        listen 127.0.0.1:{{port:tls}} ssl;
        listen 127.0.0.1:{{port:plain}};
        access_log logs/tunnel.log tunnel;
        location / { proxy_pass http://${backend.address}; ${settings} }
        {{more}}
        location /page { root {{prefix}}/html; try_files /page.html =404; }
      }`,
  });
}

async function connect(gate: Proxy, front: "tls" | "plain" = "tls"): Promise<Http2Client> {
  const ca = await authorityCertificate();
  return await connectHttp2({ port: gate.port(front), ...(front === "tls" ? { ca } : {}) });
}

function bytesOf(message: Message): Buffer {
  return typeof message === "string" ? Buffer.from(message) : message;
}

const HANDSHAKE: OutgoingHttpHeaders = {
  ":method": "CONNECT",
  ":protocol": "websocket",
  ":path": "/chat",
  "sec-websocket-version": "13",
};

describe.each(["tls", "plain"] as const)("over a %s connection", (front) => {
  test("messages of all sizes come back, and the log says how the tunnel ended", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const http2 = await connect(gate, front);
    const client = await connectWebSocket("ws", gate.url("ws", "/chat?room=1", front), { http2 });
    const binary = randomBytes(1_048_576);
    for (const message of ["hello", "", binary, "x".repeat(70_000)]) {
      client.send(message);
      const echo = await client.next();
      // Compared element by element, a mebibyte takes seconds.
      expect(bytesOf(echo).equals(bytesOf(message))).toBe(true);
    }
    client.close(1000, "done");
    expect(await client.closed).toEqual({ code: 1000, reason: "done" });
    expect(backend.handshakes[0]?.url).toBe("/chat?room=1");
    await gate.waitForFile(
      "logs/tunnel.log",
      /^"GET \/chat\?room=1 HTTP\/2\.0" 200 client close 1000 \[-\] in=4 out=4$/m,
    );
  });
});

test("tunnels and requests share one connection", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startInFrontOf(backend);
  const http2 = await connect(gate);
  const clients = await Promise.all(
    Array.from({ length: 20 }, (_, i) => connectWebSocket("ws", gate.url("ws", `/${i}`, "tls"), { http2 })),
  );
  for (const [i, client] of clients.entries()) client.send(`number ${i}`);
  expect((await http2.request({ ":path": "/page" })).status).toBe(200);
  for (const [i, client] of clients.entries()) expect(await client.next()).toBe(`number ${i}`);
});

test("the upstream gets a whole opening handshake with a key that is not the client's", async () => {
  const backend = await startRawBackend("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
  const gate = await startInFrontOf(backend);
  const http2 = await connect(gate);
  const { status, body } = await http2.request({
    ...HANDSHAKE,
    "sec-websocket-protocol": "a, b",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    origin: "https://a.example",
  });
  expect({ status, body }).toEqual({ status: 400, body: "no" });
  const seen = Object.fromEntries(
    (backend.requests[0]?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]),
  );
  expect(seen).toMatchObject({
    upgrade: "websocket",
    connection: "upgrade",
    origin: "https://a.example",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "a, b",
  });
  expect(seen["sec-websocket-key"]).toMatch(/^[A-Za-z0-9+/]{22}==$/);
  expect(seen["sec-websocket-key"]).not.toBe("dGhlIHNhbXBsZSBub25jZQ==");
  expect(backend.requests[0]?.method).toBe("GET");
});

test("the client gets 200 with the subprotocol, and nothing that belongs to HTTP/1.1", async () => {
  const backend = await startWebSocketBackend({ webSocket: { handleProtocols: () => "b" } });
  const gate = await startInFrontOf(backend);
  const http2 = await connect(gate);
  const stream = http2.open({ ...HANDSHAKE, "sec-websocket-protocol": "a, b" });
  const headers = await new Promise<Record<string, unknown>>((resolve) => stream.on("response", resolve));
  expect(headers).toMatchObject({ ":status": 200, "sec-websocket-protocol": "b" });
  for (const name of ["upgrade", "connection", "sec-websocket-accept"])
    expect(headers).not.toHaveProperty(name);
  stream.close(8);
  await expectLine(gate, / 200 client (eof|reset) \S+ \[b\]/);
});

/** Sooner or later the log of tunnels has such a line. */
async function expectLine(gate: Proxy, pattern: RegExp): Promise<void> {
  expect(await gate.waitForFile("logs/tunnel.log", pattern)).toBeDefined();
}

/** An open tunnel on a connection of raw frames, on stream 1. */
async function openRaw(gate: Proxy): Promise<RawPeer> {
  const client = await connectRaw({ port: gate.port("plain") });
  const handshake = requestBlock({
    ":method": "CONNECT",
    ":protocol": "websocket",
    "sec-websocket-version": "13",
  });
  await client.send(PREFACE);
  await client.send(http2Frame("settings", 0, 0));
  await client.send(http2Frame("headers", END_HEADERS, 1, handshake));
  await untilFrame(client, (frame) => frame.type === FRAME_TYPES.headers && frame.streamId === 1);
  return client;
}

describe("a tunnel ends, and both sides and the log are told how, when", () => {
  test("the client resets its stream", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    await client.send(http2Frame("rstStream", 0, 1, uint32(8)));
    await expectLine(gate, / 200 client reset 1001 /);
    await gate.stderr.waitFor(
      /client reset its stream: RST_STREAM CANCEL, as browsers do that leave a page while/,
    );
  });

  test("the client resets its connection", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    client.reset();
    await expectLine(gate, / 200 client reset 1001 /);
    await gate.stderr.waitFor(/client connection failed \(104: Connection reset by peer\) while/);
  });

  test("the client's process dies, which closes its connection", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    client.end();
    await expectLine(gate, / 200 client eof 1001 /);
    await gate.stderr.waitFor(/client closed its connection without a Close frame while/);
  });

  test("the client gives up its connection with an error", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    await client.send(http2Frame("goaway", 0, 0, Buffer.concat([uint32(0), uint32(2)])));
    await expectLine(gate, / 200 client reset 1001 /);
    await gate.stderr.waitFor(/client reset its connection: GOAWAY INTERNAL_ERROR while/);
  });

  test("the client breaks the rules of HTTP/2", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    await client.send(http2Frame("settings", 0, 1));
    await expectLine(gate, / 200 client error 1001 /);
    await gate.stderr.waitFor(/client connection failed \(the client broke the protocol: .*\) while/);
  });

  test("the client closes its connection, and what it has sent waits for a slow upstream", async () => {
    const backend = await startTunnelBackend();
    const gate = await startInFrontOf(backend, "websocket_rate 100k/s burst=1k from=client;");
    const client = await openRaw(gate);
    const { wire } = await backend.tunnel("/");
    const data = clientFrame("x".repeat(60_000));
    for (let at = 0; at < data.length; at += 16_384)
      await client.send(http2Frame("data", 0, 1, data.slice(at, at + 16_384)));
    client.end();
    const came = await wire.toEnd();
    expect(came.length).toBeGreaterThan(60_000);
    expect(readClose(came.slice(data.length))?.code).toBe(1001);
  });

  test("the client ends its half without a Close frame", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    await client.send(http2Frame("data", END_STREAM, 1));
    await expectLine(gate, / 200 client eof 1001 /);
  });

  test("the upstream's connection is lost", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const http2 = await connect(gate);
    const client = await connectWebSocket("ws", gate.url("ws", "/", "tls"), { http2 });
    client.send("x");
    await client.next();
    for (const socket of backend.sockets) socket.terminate();
    expect((await client.closed).code).toBe(1014);
    await expectLine(gate, / 200 upstream (eof|reset) 1014 /);
  });

  test("a frame breaks the rules", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const client = await openRaw(gate);
    await client.send(http2Frame("data", 0, 1, serverFrame("not masked")));
    const { payload } = await untilFrame(
      client,
      (frame) => frame.type === FRAME_TYPES.data && frame.streamId === 1,
    );
    expect(readClose(payload.toString("latin1"))?.code).toBe(1002);
    await client.send(http2Frame("data", END_STREAM, 1));
    await expectLine(gate, / 200 proxy violation 1002 /);
  });
});

test("an opening handshake in pieces, frame by frame, is one", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startInFrontOf(backend);
  const client = await openRaw(gate);
  const text = clientFrame("in pieces");
  for (const byte of text) await client.send(http2Frame("data", 0, 1, byte));
  const { payload } = await untilFrame(
    client,
    (frame) => frame.type === FRAME_TYPES.data && frame.payload.length > 0,
  );
  expect(payload.toString("latin1")).toBe(serverFrame("in pieces"));
});

describe("what is refused:", () => {
  test.each([
    ["a version of WebSocket other than 13", { "sec-websocket-version": "12" }, 426],
    ["no version at all", { "sec-websocket-version": "" }, 400],
    ["another protocol", { ":protocol": "connect-udp" }, 501],
  ])("%s", async (_what, changes, status) => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const http2 = await connect(gate);
    const fields = Object.entries({ ...HANDSHAKE, ...changes }).filter(([, value]) => value !== "");
    expect((await http2.request(Object.fromEntries(fields))).status).toBe(status);
    expect(backend.handshakes).toHaveLength(0);
  });

  test("a WebSocket where upgrades are off", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend, "websocket_upgrade off;", {
      values: { more: `location /open { proxy_pass http://${backend.address}; }` },
    });
    const http2 = await connect(gate);
    expect((await http2.request(HANDSHAKE)).status).toBe(426);
  });

  test("success that is no tunnel, of an upstream or of a file: the client would take it for one", async () => {
    const backend = await startHttpBackend();
    const gate = await startInFrontOf(backend, "", { tolerates: [/not 101/] });
    const http2 = await connect(gate);
    expect((await http2.request(HANDSHAKE)).status).toBe(502);
    expect((await http2.request({ ...HANDSHAKE, ":path": "/page" })).status).toBe(502);
  });

  test("a wrong Sec-WebSocket-Accept of the upstream", async () => {
    const switching =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n";
    const backend = await startRawBackend(switching);
    const gate = await startInFrontOf(backend);
    const http2 = await connect(gate);
    const { status, body } = await http2.request(HANDSHAKE);
    expect(status).toBe(502);
    expect(body).toContain('rule "accept"');
  });

  test("CONNECT without a protocol", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend);
    const http2 = await connect(gate);
    expect((await http2.request({ ":method": "CONNECT", ":authority": "localhost:443" })).status).toBe(405);
  });
});

describe("the setting of RFC 8441 is announced", () => {
  test.each([
    ["where a location proxies", "proxy_pass http://127.0.0.1:9;", true],
    ["not where no location does", "return 200;", false],
    ["not where upgrades are off", "websocket_upgrade off; proxy_pass http://127.0.0.1:9;", false],
    ["not where Upgrade is taken away", 'proxy_set_header Upgrade ""; proxy_pass http://127.0.0.1:9;', false],
  ])("%s", async (_where, inside, expected) => {
    const gate = await startGate({
      http: `http2 on; server { listen 127.0.0.1:{{port:plain}}; location / { ${inside} } }`,
    });
    expect((await connect(gate, "plain")).takesWebSockets).toBe(expected);
  });
});

test("a client without a window stops the upstream from being read, and gets all of it later", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startInFrontOf(backend);
  const ca = await authorityCertificate();
  const http2 = await connectHttp2({ port: gate.port("tls"), ca, settings: { initialWindowSize: 1_000 } });
  const stream = http2.open(HANDSHAKE);
  await new Promise((resolve) => stream.once("response", resolve));
  const [socket] = backend.sockets;
  const message = Buffer.alloc(16_000_000, "m");
  let sentAll = false;
  socket?.send(message, () => (sentAll = true));
  await http2.request({ ":path": "/page" });
  expect(sentAll).toBe(false);
  let bytes = 0;
  const whole = new Promise<void>((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes === message.length + 10) resolve();
    });
  });
  await whole;
  expect(bytes).toBe(message.length + 10);
});

test("chromium, which has a connection of HTTP/2, opens its WebSockets over it, and resets them when their page is closed", async (context) => {
  requires(context, "chromium");
  const backend = await startWebSocketBackend();
  const gate = await startInFrontOf(backend);
  const browser = await startBrowser();
  const page = await browser.newPage();
  await page.goto(gate.url("https", "/page", "tls"));
  const echo = await page.evaluate(`new Promise((resolve, reject) => {
    const socket = new WebSocket("${gate.url("wss", "/chat", "tls")}", ["a"]);
    socket.onopen = () => socket.send("from chromium");
    socket.onmessage = ({ data }) => { socket.close(4001, "enough"); socket.onclose = ({ code }) => resolve([data, code]); };
    socket.onerror = () => reject(new Error("no WebSocket"));
  })`);
  expect(echo).toEqual(["from chromium", 4001]);
  await expectLine(gate, /^"GET \/chat HTTP\/2\.0" 200 client close 4001 /m);
  await page.evaluate(`new Promise((resolve, reject) => {
    globalThis.left = new WebSocket("${gate.url("wss", "/left", "tls")}");
    left.onopen = resolve;
    left.onerror = () => reject(new Error("no WebSocket"));
  })`);
  await page.close();
  await expectLine(gate, /^"GET \/left HTTP\/2\.0" 200 client reset 1001 /m);
  await gate.stderr.waitFor(
    /client reset its stream: RST_STREAM CANCEL, as browsers do that leave a page while .*"GET \/left /,
  );
});

test("a tunnel may carry a lot, though it asks for nothing more", async () => {
  const backend = await startWebSocketBackend();
  // The watch over a connection's frames looks every five seconds.
  const gate = await startInFrontOf(backend, "", { clockFactor: 50 });
  const http2 = await connect(gate);
  const client = await connectWebSocket("ws", gate.url("ws", "/", "tls"), { http2 });
  for (let i = 0; i < 12; i++) {
    client.send(Buffer.alloc(1_000_000));
    expect((await client.next()).length).toBe(1_000_000);
  }
  client.close(1000, "done");
  expect(await client.closed).toEqual({ code: 1000, reason: "done" });
});
