/** How tunnels end when it is the operator who wants it: QUIT, TERM and `-s drain`. */
import { describe, expect, test } from "vitest";
import { type RawBackend, startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { clientFrame, readClose, serverFrame } from "./rig/frames.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, request } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, runGate, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;
const CLOSE = 8;
/** 1012, as a peer echoes it. */
const ANSWER = clientFrame("\x03\xf4", CLOSE);
const FAREWELL = { code: 1012, reason: "the proxy is going down" };
/** What the upstream gets in place of the answer: wsgate's own Close frame, masked. */
const FAREWELL_BYTES = 2 + 4 + 2 + FAREWELL.reason.length;

interface FrontOptions {
  readonly workers?: number;
  readonly main?: string;
  /** Of the http level. */
  readonly settings?: string;
}

function configuration(address: string, { workers = 1, main = "", settings = "" }: FrontOptions): string {
  return `worker_processes ${workers}; ${main}
    events {}
    http {
      log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code [$websocket_close_reason]";
      ${settings}
      server { listen 127.0.0.1:{{port:front}};
        location / { access_log logs/tunnel.log tunnel; proxy_pass http://${address}; }
        location = /own { access_log off; return 200 own; } } }`;
}

function startFront(backend: { address: string }, options: FrontOptions = {}): Promise<Proxy> {
  return startGate({ config: configuration(backend.address, options) });
}

function openTunnels(gate: Proxy, count: number): Promise<WebSocketClient[]> {
  return Promise.all(Array.from({ length: count }, () => connectWebSocket("ws", gate.url("ws"))));
}

/** A tunnel with raw bytes at both ends. */
async function openRaw(options: FrontOptions): Promise<{ gate: Proxy; client: RawPeer; upstream: RawPeer }> {
  const backend: RawBackend = await startRawBackend(SWITCHING);
  const gate = await startFront(backend, options);
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/"));
  expect((await readResponse(client)).status).toBe(101);
  return { gate, client, upstream: await backend.connection(0) };
}

async function refusedHandshake(gate: Proxy): Promise<{ status: number; retryAfter: string | undefined }> {
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/"));
  const { status, headers } = await readResponse(client);
  await client.close();
  return { status, retryAfter: headers.find(([name]) => name === "Retry-After")?.[1] };
}

describe.each([1, 2])("with %i workers", (workers) => {
  test("QUIT closes every tunnel with 1012, both ends in order, and then the process ends", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startFront(backend, { workers, settings: "websocket_drain 600ms;" });
    const clients = await openTunnels(gate, 20);
    const upstreamCodes = backend.sockets.map(
      (socket) => new Promise<number>((resolve) => socket.once("close", resolve)),
    );
    expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    for (const client of clients) expect(await client.closed).toEqual(FAREWELL);
    // Each upstream had the client's own answer.
    expect(await Promise.all(upstreamCodes)).toEqual(Array.from(clients, () => 1012));
    const line = "proxy shutdown 1012 [the proxy is going down]\n";
    expect(gate.read("logs/tunnel.log")).toBe(line.repeat(20));
  });

  test("TERM tells every tunnel 1001 and does not wait for those that take no notice", async () => {
    const { gate, client, upstream } = await openRaw({ workers });
    expect(await gate.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    const farewell = { code: 1001, reason: "the proxy is going down" };
    expect(readClose(await client.toEnd())).toEqual(farewell);
    expect(readClose(await upstream.toEnd())).toEqual(farewell);
    expect(gate.read("logs/tunnel.log")).toBe("proxy shutdown 1001 [the proxy is going down]\n");
  });

  test("TERM during a drain ends it at once", async () => {
    const gate = await startFront(await startWebSocketBackend(), {
      workers,
      settings: "websocket_drain 600s;",
    });
    const clients = await openTunnels(gate, 10);
    gate.signal("SIGQUIT");
    await gate.waitForLog(/gracefully shutting down/);
    expect(await gate.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    for (const client of clients) expect([1001, 1012]).toContain((await client.closed).code);
  });

  test("worker_shutdown_timeout is all the time that a drain has", async () => {
    const gate = await startFront(await startWebSocketBackend(), {
      workers,
      main: "worker_shutdown_timeout 900ms;",
      settings: "websocket_drain 600s;",
    });
    const clients = await openTunnels(gate, 10);
    expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    for (const client of clients) expect((await client.closed).code).toBe(1012);
  });

  test("-s drain ends the tunnels, refuses new ones and serves everything else, until a reload", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startFront(backend, { workers, settings: "websocket_drain 1500ms code=4001;" });
    const clients = await openTunnels(gate, 2 * workers);
    const kept = await connectRaw({ port: gate.port() });
    await kept.send("GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
    await readResponse(kept);

    expect(await runGate(["-s", "drain", "-p", gate.prefix, "-c", "conf/nginx.conf"])).toMatchObject({
      code: 0,
      stderr: "",
    });
    await gate.waitForLog(/\[notice\] .*draining tunnels; new ones are refused until a reload/);
    for (const client of clients)
      expect(await client.closed).toEqual({
        code: 4001,
        reason: "the proxy asks its clients to connect anew",
      });
    await gate.waitForLog(/\[notice\] .*no tunnels are left; everything else is served as before/);
    // Each worker has its turn.
    for (let i = 0; i < workers; i++)
      expect(await refusedHandshake(gate)).toEqual({ status: 503, retryAfter: "2" });
    expect((await request({ port: gate.port(), target: "/own" })).body).toBe("own");
    await kept.send("GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await readResponse(kept)).status).toBe(200);
    gate.signal("SIGUSR2");
    await gate.waitForLog(/SIGUSR2\) received, ignored: tunnels are being drained/);

    gate.signal("SIGHUP");
    await gate.waitForLog(/new tunnels are welcome again/);
    for (const client of await openTunnels(gate, workers)) {
      client.send("hello");
      expect(await client.next()).toBe("hello");
      client.close(1000);
      await client.closed;
    }
    await gate.waitForFile("logs/tunnel.log", /^(proxy drain 4001 \[the proxy asks [^\]]*\]\n){2}/m);
  });

  test("a reload while tunnels are being drained lets new ones in, and the old ones still go", async () => {
    const gate = await startFront(await startWebSocketBackend(), {
      workers,
      settings: "websocket_drain 1500ms;",
    });
    const old = await openTunnels(gate, 4);
    gate.signal("SIGUSR2");
    await gate.waitForLog(/draining tunnels/);
    gate.signal("SIGHUP");
    await gate.waitForLog(/new tunnels are welcome again/);
    const [fresh] = await openTunnels(gate, 1);
    for (const client of old) expect((await client.closed).code).toBe(1012);
    fresh?.send("still here");
    expect(await fresh?.next()).toBe("still here");
    expect(gate.stderr.text).not.toContain("no tunnels are left");
  });

  test("a drain that is asked for right after a reload holds", async () => {
    const gate = await startFront(await startWebSocketBackend(), { workers });
    gate.signal("SIGHUP");
    await gate.waitForLog(/reconfiguring/);
    gate.signal("SIGUSR2");
    await gate.waitForLog(/reconfiguring[^]*is ready[^]*draining tunnels[^]*no tunnels are left/);
    expect((await refusedHandshake(gate)).status).toBe(503);
  });

  test("a drain holds that is asked for while one reload is under way and another one is to follow", async () => {
    const gate = await startFront(await startWebSocketBackend(), { workers });
    gate.signal("SIGHUP");
    await gate.waitForLog(/reconfiguring/);
    gate.signal("SIGHUP");
    await gate.waitForLog(/reconfiguring[^]*SIGHUP\) received/);
    gate.signal("SIGUSR2");
    await gate.waitForLog(/(reconfiguring[^]*is ready[^]*){2}draining tunnels[^]*no tunnels are left/);
    expect((await refusedHandshake(gate)).status).toBe(503);
  });
});

describe("a stuck peer", () => {
  test("a client that answers nothing is cut at the end of the time, and the log says who and how long", async () => {
    const { gate, client, upstream } = await openRaw({ settings: "websocket_drain 600ms spread=off;" });
    gate.signal("SIGQUIT");
    expect(readClose(await client.until(/\x88[^]*down/))).toMatchObject({ code: 1012 });
    await client.send(clientFrame("said too late to be an answer"));
    const said = clientFrame("said too late to be an answer");
    await upstream.exactly(said);
    expect(await client.toEnd()).toBe("");
    // The upstream is told by the proxy instead.
    expect(readClose(await upstream.toEnd())).toMatchObject({ code: 1001 });
    expect(await gate.exited).toEqual({ code: 0, signal: null });
    expect(gate.stderr.text).toMatch(
      /\[notice\] .*tunnel cut after \d+\.\d{3} s: the client has not answered the Close frame while proxying upgraded connection, client: 127\.0\.0\.1, .*upstream: "http:/,
    );
  });

  test("a message of 1 GiB that is under way is not broken into, and cut at the end of the time", async () => {
    const { gate, client, upstream } = await openRaw({ settings: "websocket_drain 300ms;" });
    const beginning = "\x82\x7f\0\0\0\0\x40\0\0\0begins";
    await upstream.send(beginning);
    await client.exactly(beginning);
    gate.signal("SIGQUIT");
    expect(await client.toEnd()).toBe("");
    upstream.end();
    expect(await gate.exited).toEqual({ code: 0, signal: null });
    expect(gate.stderr.text).toMatch(
      /tunnel cut after .*: a frame to the client was under way until the end/,
    );
  });

  test("an upstream that answers nothing does not keep its client waiting", async () => {
    const { gate, client, upstream } = await openRaw({ settings: "websocket_drain 900ms;" });
    gate.signal("SIGQUIT");
    await client.until("\x88");
    await client.send(ANSWER);
    await client.toEnd();
    expect(readClose(await upstream.bytes(FAREWELL_BYTES))).toEqual(FAREWELL);
    client.end();
    expect(await gate.exited).toEqual({ code: 0, signal: null });
    expect(gate.stderr.text).toMatch(/tunnel cut after .*: the upstream has not answered the Close frame/);
  });

  test("a tunnel without frames is ended without a word", async () => {
    const backend = await startRawBackend(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n",
    );
    const gate = await startFront(backend, {
      settings: "websocket_drain 300ms; proxy_upgrade_protocols any;",
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
    expect((await readResponse(client)).status).toBe(101);
    gate.signal("SIGQUIT");
    expect(await client.toEnd()).toBe("");
    expect(await (await backend.connection(0)).toEnd()).toBe("");
    expect(await gate.exited).toEqual({ code: 0, signal: null });
  });
});

test("what is under way when the drain comes arrives: the frame to its end, and the client's last words", async () => {
  const { gate, client, upstream } = await openRaw({ settings: "websocket_drain 3s spread=off;" });
  const frame = serverFrame("a frame that is under way");
  await upstream.send(frame.slice(0, 10));
  await client.exactly(frame.slice(0, 10));
  gate.signal("SIGQUIT");
  await gate.waitForLog(/gracefully shutting down/);
  await client.send(clientFrame("last words"));
  await upstream.exactly(clientFrame("last words"));
  await upstream.send(frame.slice(10) + serverFrame("too late"));
  await client.exactly(frame.slice(10));
  expect(readClose(await client.until(/\x88[^]*down/))).toMatchObject({ code: 1012 });
  await client.send(ANSWER);
  expect(await client.toEnd()).toBe("");
  expect(readClose(await upstream.bytes(FAREWELL_BYTES))).toEqual(FAREWELL);
  await upstream.send(serverFrame("\x03\xf4", CLOSE));
  expect(await upstream.toEnd()).toBe("");
  client.end();
  upstream.end();
  expect(await gate.exited).toEqual({ code: 0, signal: null });
  expect(gate.read("logs/tunnel.log")).toBe("proxy shutdown 1012 [the proxy is going down]\n");
});

test("messages that are being compressed or inflated when the drain comes arrive as well", async () => {
  const received: string[] = [];
  const backend = await startWebSocketBackend({
    onSocket: (socket) => socket.on("message", (data: Buffer) => received.push(data.toString())),
  });
  const gate = await startFront(backend, {
    settings: "websocket_drain 3s spread=off; websocket_compression offload;",
  });
  const client = await connectWebSocket("ws", gate.url("ws"));
  const [socket] = backend.sockets;
  const sent = Array.from({ length: 30 }, (_, i) => `${i} ${"compressible ".repeat(20_000)}`);
  for (const message of sent) client.send(message);
  for (const message of sent) socket?.send(message);
  gate.signal("SIGQUIT");
  // The first one has come, so that the others are on their way.
  const seen = [await client.next()];
  expect(await client.closed).toEqual(FAREWELL);
  expect(await gate.exited).toEqual({ code: 0, signal: null });
  expect(seen).toEqual(sent.slice(0, 1));
  expect(received).toEqual(sent);
});

test.each([
  ["code=999", 'invalid parameter "code=999"'],
  ["code=1005", 'invalid parameter "code=1005"'],
  ["spread=maybe", 'invalid parameter "spread=maybe"'],
  ["soon", 'invalid parameter "soon"'],
])("websocket_drain 10s %s is refused", async (parameter, message) => {
  const globals = `events {} http { websocket_drain 10s ${parameter}; }`;
  const { code, stderr } = await runGate(["-t", "-g", globals, "-c", "/dev/null"]);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
});
