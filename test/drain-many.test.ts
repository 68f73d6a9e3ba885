/** Drains of many tunnels, several at once, and where their clients go. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { ReconnectingWebSocket } from "../src/client/reconnecting-websocket.ts";
import { startWebSocketBackend } from "./rig/backends.ts";
import { within } from "./rig/deadline.ts";
import { clientFrame } from "./rig/frames.ts";
import { handshakeBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { GrowingText } from "./rig/log.ts";
import { workersOf } from "./rig/processes.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

useRig();

const CLOSE = 8;

function startFront(
  address: string,
  workers: number,
  settings: string,
  tolerates: readonly RegExp[] = [],
): Promise<Proxy> {
  return startGate({
    tolerates,
    config: `worker_processes ${workers}; worker_rlimit_nofile 20000;
      events { worker_connections 10000; }
      http { access_log logs/tunnel.log; ${settings}
        server { listen 127.0.0.1:{{port:front}} backlog=4096; location / { proxy_pass http://${address}; } } }`,
  });
}

/** Opens a tunnel that answers its Close frame; resolves, when that has come, to the moment. */
async function openAnswering(gate: Proxy): Promise<{ readonly closedAtMs: Promise<number> }> {
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/"));
  expect((await readResponse(client)).status).toBe(101);
  // Without a deadline of its own: until the last tunnel is open, the first one waits for nothing.
  const asked = once(client.socket, "data");
  const answer = async (): Promise<number> => {
    await asked;
    const atMs = performance.now();
    await client.send(clientFrame("\x03\xf4", CLOSE));
    client.end();
    return atMs;
  };
  return { closedAtMs: answer() };
}

async function openMany(gate: Proxy, count: number): Promise<Promise<number>[]> {
  const closings: Promise<number>[] = [];
  const open = async (): Promise<void> => {
    while (closings.length < count) closings.push((await openAnswering(gate)).closedAtMs);
  };
  await Promise.all(Array.from({ length: 20 }, open));
  return closings;
}

describe.each([1, 2])("with %i workers", (workers) => {
  test("six hundred clients are asked one by one, not as a herd", async () => {
    const backend = await startTunnelBackend();
    const gate = await startFront(
      backend.address,
      workers,
      "websocket_drain 6s; websocket_ping_interval off;",
    );
    const closings = await openMany(gate, 600);
    gate.signal("SIGUSR2");
    await gate.waitForLog(/draining tunnels/);
    const startedMs = performance.now();
    const moments = (await Promise.all(closings)).map((ms) => ms - startedMs);
    // Within the first four of six seconds, and evenly so: the register's own tests hold that by its clock. A machine that
    // is busy can only make them later: what is held here is that they are not asked earlier.
    for (const seconds of [1, 2, 3]) {
      const early = moments.filter((ms) => ms < seconds * 1000).length;
      expect(early, `in ${seconds} s`).toBeLessThan(150 * seconds + 75);
    }
  });
});

test("a new worker that takes the place of one that has died refuses tunnels, too", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startFront(backend.address, 2, "websocket_drain 300ms;", [
    /another one takes its place/,
  ]);
  gate.signal("SIGUSR2");
  await gate.waitForLog(/no tunnels are left/);
  const [victim = 0] = workersOf(gate);
  process.kill(victim, "SIGKILL");
  await gate.waitForLog(/another one takes its place/);
  // Also those that come in the moment it begins to accept: the first ones are with the worker that lives.
  const statuses: number[] = [];
  const knock = async (): Promise<void> => {
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/"));
    statuses.push((await readResponse(client)).status);
    await client.close();
  };
  while (workersOf(gate).length < 2) await Promise.all(Array.from({ length: 4 }, knock));
  for (let i = 0; i < 100; i++) await Promise.all(Array.from({ length: 4 }, knock));
  expect(new Set(statuses)).toEqual(new Set([503]));
});

test("a worker that a reload makes superfluous keeps its tunnels, until QUIT drains them with the others", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startFront(backend.address, 2, "websocket_drain 600ms;");
  const clients: WebSocketClient[] = [];
  for (let i = 0; i < 4; i++) clients.push(await connectWebSocket("ws", gate.url("ws")));
  const config = gate.read("conf/nginx.conf").replace("worker_processes 2", "worker_processes 1");
  await gate.write("conf/nginx.conf", config);
  const from = gate.stderr.text.length;
  gate.signal("SIGHUP");
  await gate.waitForLog(/is ready/, from);
  for (const client of clients) {
    client.send("still here");
    expect(await client.next()).toBe("still here");
  }
  expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
  for (const client of clients) expect((await client.closed).code).toBe(1012);
});

test("QUIT in the middle of a drain hurries those that have not been asked", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startGate({
    config: `worker_shutdown_timeout 900ms; events {} http { access_log off; websocket_drain 600s;
      server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } } }`,
  });
  const clients = await Promise.all(Array.from({ length: 10 }, () => connectWebSocket("ws", gate.url("ws"))));
  gate.signal("SIGUSR2");
  await gate.waitForLog(/draining tunnels/);
  expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
  for (const client of clients) expect((await client.closed).code).toBe(1012);
});

test("a client that comes back by itself is on the other gate after a drain, behind a balancer that knows nothing", async () => {
  const backends = [await startWebSocketBackend(), await startWebSocketBackend()];
  const gates = await Promise.all(
    backends.map(({ address }) => startFront(address, 1, "websocket_drain 600ms;")),
  );
  const [first, second] = gates.map((gate) => `127.0.0.1:${gate.port()}`);
  const balancer = await startGate({
    http: `upstream gates { server ${first}; server ${second} backup; }
      server { listen 127.0.0.1:{{port:front}};
        location / { proxy_pass http://gates; proxy_next_upstream error http_503; } }`,
  });
  const events = new GrowingText();
  const client = new ReconnectingWebSocket(balancer.url("ws"), [], {
    WebSocket,
    delayMsBase: 50,
    spreadMsMax: 50,
  });
  client.addEventListener("open", () => events.push("open\n"));
  client.addEventListener("message", ({ data }) => events.push(`message ${String(data)}\n`));
  client.addEventListener("reconnecting", ({ code }) => events.push(`reconnecting ${code}\n`));
  client.addEventListener("reconnected", () => events.push("reconnected\n"));
  client.addEventListener("close", () => events.push("close\n"));
  obtain("a client", async () => {
    client.close();
    await events.waitFor(/^close$/m);
  });
  await events.waitFor(/^open$/m);
  expect(backends.map(({ sockets }) => sockets.length)).toEqual([1, 0]);

  gates[0]?.signal("SIGUSR2");
  await events.waitFor(/^reconnecting 1012\n(.*\n)*reconnected$/m);
  client.send("hello");
  await events.waitFor(/^message hello$/m);
  expect(backends.map(({ sockets }) => sockets.length)).toEqual([1, 1]);
  await within(gates[0]?.waitForLog(/no tunnels are left/) ?? Promise.reject(), "the end of the drain");
});
