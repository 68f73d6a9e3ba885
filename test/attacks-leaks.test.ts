/**
 * Thousands of conversations that come to nothing: afterwards no socket is left, neither the client's nor the
 * upstream's, and nothing was kept of them. The gate gets a heap so small that keeping a little of each would end it.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { startConnectionBackend, startRawBackend } from "./rig/backends.ts";
import { nextTurn, within } from "./rig/deadline.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, request, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

/** In MB: what the gate needs at the peak of these tests, and a little more. */
const SMALL_HEAP = { NODE_OPTIONS: "--max-old-space-size=20" };
const AT_ONCE = 50;
const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;

/** Runs `job` so many times, some of them at once. */
async function repeat(times: number, job: (index: number) => Promise<void>): Promise<void> {
  let started = 0;
  const lane = async (): Promise<void> => {
    while (started < times) await job(started++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

function countSockets(gate: Proxy): number {
  const folder = `/proc/${gate.pid}/fd`;
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

async function untilSockets(gate: Proxy, count: number): Promise<void> {
  const reached = async (): Promise<void> => {
    while (countSockets(gate) > count) await nextTurn();
  };
  await within(reached(), () => `${count} sockets of the gate; it has ${countSockets(gate)}`);
}

test("upgrades that fail in every way leave neither sockets nor memory behind", {
  timeout: 60_000,
}, async () => {
  const ways: Readonly<Record<string, (peer: RawPeer) => unknown>> = {
    "/403": (peer) => peer.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"),
    "/200": (peer) => peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "/404": async (peer) => {
      await peer.send("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\nuntil the end");
      peer.end();
    },
    "/wrong": (peer) => peer.send(SWITCHING.replace(HANDSHAKE_ACCEPT, "wrong")),
    "/close": (peer) => peer.end(),
    "/reset": (peer) => peer.reset(),
    "/garbage": (peer) => peer.send("\x81\x05hello"),
    "/silent": () => {},
  };
  const backend = await startRawBackend((seen, peer) => void ways[seen.target]?.(peer));
  const gate = await startGate({
    http: `error_log logs/error.log crit;
      server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; }
        location /refused { proxy_pass http://127.0.0.1:{{port:nobody}}; } }`,
    env: SMALL_HEAP,
  });
  const port = gate.port("front");
  const before = countSockets(gate);
  const targets = [...Object.keys(ways), "/refused"];
  await repeat(3_000, async (index) => {
    const target = targets[index % targets.length] ?? "";
    const client = await connectRaw({ port });
    await client.send(handshakeBytes(target));
    if (target !== "/silent") await readResponse(client);
    else await nextTurn();
    if (index % 2 === 0) client.reset();
    await client.close();
  });
  // The pool may keep as many idle connections as the directive keepalive says.
  await untilSockets(gate, before + 32);
  for (const peer of backend.connections) peer.socket.destroy();
  await untilSockets(gate, before);
  expect(countSockets(gate)).toBe(before);
});

test("tunnels that end in every way leave neither sockets nor memory behind", {
  timeout: 60_000,
}, async () => {
  const backend = await startRawBackend(async (seen, peer) => {
    await peer.send(`${SWITCHING}\x81\x05hello`);
    if (seen.target === "/end") peer.end();
    if (seen.target === "/reset") peer.reset();
    await peer.toEnd();
    peer.end();
  });
  const gate = await startGate({
    http: `error_log logs/error.log crit; server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
    env: SMALL_HEAP,
  });
  const before = countSockets(gate);
  const targets = ["/end", "/reset", "/client-end", "/client-reset"];
  await repeat(2_000, async (index) => {
    const target = targets[index % targets.length] ?? "";
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes(target));
    await client.until("\r\n\r\n").catch(() => "");
    if (target === "/client-end") client.end();
    if (target === "/client-reset") client.reset();
    await client.close();
  });
  for (const peer of backend.connections) peer.socket.destroy();
  await untilSockets(gate, before);
  expect(countSockets(gate)).toBe(before);
});

test("requests that are never finished leave neither sockets nor memory behind", {
  timeout: 60_000,
}, async () => {
  const backend = await startConnectionBackend(() => {});
  const gate = await startGate({
    http: `error_log logs/error.log crit; server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; }
      location /here { return 200; }
      location /streamed { proxy_pass http://${backend.address}; proxy_request_buffering off; } }`,
    env: SMALL_HEAP,
  });
  const before = countSockets(gate);
  const body = "x".repeat(20_000);
  const beginnings = [
    "",
    "GET / HT",
    "GET / HTTP/1.1\r\nHost: a\r\nX: ",
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${body}`,
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n${body}\r\n`,
    `POST /streamed HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${body}`,
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
  ];
  await repeat(2_000, async (index) => {
    const client = await connectRaw({ port: gate.port() });
    await client.send(beginnings[index % beginnings.length] ?? "");
    await nextTurn();
    if (index % 2 === 0) client.reset();
    await client.close();
  });
  // Who is answered was accepted behind all the others, of whom some may have had to wait for it until now.
  expect((await request({ port: gate.port(), target: "/here" })).status).toBe(200);
  for (const peer of backend.connections) peer.socket.destroy();
  await untilSockets(gate, before);
  expect(countSockets(gate)).toBe(before);
});

test("what differs in every request is not kept: hosts, targets, headers, upstreams", {
  timeout: 60_000,
}, async () => {
  const gate = await startGate({
    http: `error_log logs/error.log crit; underscores_in_headers on;
      map $host $mapped { default $host; ~^(?<first>[^.]+) $first; }
      server { listen 127.0.0.1:{{port:front}}; server_name ~^(?<site>.+)$;
        location / { return 200 "$site$mapped$uri$args$http_x_long"; }
        location ~ ^/up/(?<where>\\d+)$ { proxy_pass http://127.0.0.1:{{port:nobody}}/$where?$args; proxy_connect_timeout 1s; }
        location ~ ^/hosts/(?<last>\\d+)$ { proxy_pass http://127.0.0.$last:{{port:nobody}}; } }`,
    env: SMALL_HEAP,
  });
  const port = gate.port("front");
  const long = "v".repeat(4_000);
  await repeat(4_000, async (index) => {
    const folder = ["", "/up", "/hosts"][index % 3] ?? "";
    await request({
      port,
      target: `${folder}/${folder === "/hosts" ? index % 250 : index}?${index}=${long}`,
      headers: { Host: `host-${index}.test`, [`X-Name-${index}`]: long, "X-Long": `${index}${long}` },
    });
  });
  expect((await request({ port })).status).toBe(200);
});

test("a pipeline of thousands is answered in order, in a heap that could not hold it", {
  timeout: 60_000,
}, async () => {
  const gate = await startGate({
    http: `keepalive_requests 100000; server { listen 127.0.0.1:{{port:front}}; location / { return 200 "$arg_n,"; } }`,
    env: SMALL_HEAP,
  });
  const client = await connectRaw({ port: gate.port() });
  const count = 20_000;
  // Headers that would be 80 MB if they were all read at once.
  const filler = `X-Filler: ${"f".repeat(4_000)}\r\n`;
  const sending = (async () => {
    for (let n = 0; n < count; n += 100) {
      let batch = "";
      for (let i = n; i < n + 100; i++) batch += `GET /?n=${i} HTTP/1.1\r\nHost: a\r\n${filler}\r\n`;
      await client.send(batch);
    }
  })();
  for (let n = 0; n < count; n++) expect((await readResponse(client)).body).toBe(`${n},`);
  await sending;
  await client.send(requestBytes({ target: "/?n=last" }));
  expect((await readResponse(client)).body).toBe("last,");
});
