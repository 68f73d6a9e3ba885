import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startFaultyBackend, startHttpBackend, startRawBackend, startWebSocketBackend } from "./backends.ts";
import { request, requestBytes } from "./http-client.ts";
import { readResponse } from "./http-message.ts";
import { obtain, useRig } from "./ledger.ts";
import { reservePort } from "./ports.ts";
import { runGate, startGate, startNginx, temporaryFolder } from "./proxy-process.ts";
import { connectRaw } from "./raw-peer.ts";
import { requires } from "./requires.ts";

useRig();

test("a raw backend records requests and answers them in pieces", async () => {
  const backend = await startRawBackend(["HTTP/1.1 200 OK\r\nConte", "nt-Length: 5\r\n\r\nhe", "llo"]);
  const client = await connectRaw(backend);
  await client.sendPieces(
    requestBytes({ method: "POST", target: "/a", body: "x=1", headers: { Host: "h" } }),
  );
  const response = await readResponse(client);
  expect(response.body).toBe("hello");
  expect(backend.requests.map(({ method, target, body }) => [method, target, body])).toEqual([
    ["POST", "/a", "x=1"],
  ]);
});

test("reads chunked bodies with trailers, interim responses and bodies that end with the connection", async () => {
  const backend = await startRawBackend([
    () => {},
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
    async (_request, peer) => {
      await peer.send("HTTP/1.0 200 OK\r\n\r\nall of it");
      peer.end();
    },
  ]);
  const client = await connectRaw(backend);
  await client.send(requestBytes({}) + requestBytes({}) + requestBytes({}));
  const chunked = await readResponse(client);
  expect(chunked.interim.map(({ startLine }) => startLine)).toEqual(["HTTP/1.1 103 Early Hints"]);
  expect([chunked.body, chunked.trailers]).toEqual(["abc", [["X-Sum", "1"]]]);
  expect((await readResponse(client)).body).toBe("all of it");
});

test("an HTTP backend says what it saw", async () => {
  const backend = await startHttpBackend();
  const response = await request({ ...backend, target: "/x?y", headers: { "X-One": "1" } });
  expect(JSON.parse(response.body)).toMatchObject({ method: "GET", url: "/x?y", headers: { "x-one": "1" } });
});

test("a WebSocket backend answers plain requests too", async () => {
  const backend = await startWebSocketBackend();
  expect((await request({ port: backend.port })).status).toBe(200);
});

test("faulty backends fail as they are named", async () => {
  const ways: string[] = [];
  for (const fault of ["reset", "reset-after-request", "close", "half-body"] as const) {
    const { port } = await startFaultyBackend(fault);
    ways.push(`${fault}: ${await endingOfRequest(port)}`);
  }
  expect(ways).toEqual([
    "reset: ECONNRESET",
    "reset-after-request: ECONNRESET",
    "close: end",
    "half-body: bytes, end",
  ]);
  const { port } = await startFaultyBackend("refuse");
  await expect(connectRaw({ port })).rejects.toThrow(/ECONNREFUSED/);
});

async function endingOfRequest(port: number): Promise<string> {
  try {
    const client = await connectRaw({ port });
    await client.send(requestBytes({}));
    const bytes = await client.toEnd();
    return `${bytes.length > 0 ? "bytes, " : ""}${client.inbox.ending}`;
  } catch (error) {
    // A reset can come before the connection is announced.
    return String(error).replace(/.*connect (E\w+) .*/, "$1");
  }
}

test("a wait says what it waited for and what it got instead", async () => {
  const backend = await startRawBackend("abc");
  const client = await connectRaw(backend);
  await client.send(requestBytes({}));
  await expect(client.exactly("abd")).rejects.toThrow(/sent "abc" instead of "abd"/);
  await backend.close();
  await expect(client.until("never")).rejects.toThrow(/ended \(end\).*"never".*"abc"/);
});

test("never reserves a port twice", async () => {
  const ports = await Promise.all(Array.from({ length: 50 }, () => reservePort()));
  expect(new Set(ports).size).toBe(50);
});

test("gives back at once what is asked back early, and only once", async () => {
  let count = 0;
  const release = obtain("a thing", () => {
    count++;
  });
  await release();
  await release();
  expect(count).toBe(1);
});

test("runs the real nginx on the same kind of configuration", async (context) => {
  requires(context, "nginx");
  const backend = await startHttpBackend();
  const nginx = await startNginx({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://{{backend}}/under/; } }`,
    values: { backend: backend.address },
  });
  const response = await request({ port: nginx.port(), target: "/x" });
  expect(response.status).toBe(200);
  expect(backend.requests[0]?.url).toBe("/under/x");
  await nginx.waitForFile("logs/access.log", /"GET \/x HTTP\/1.1" 200/);
  expect(await nginx.stop()).toEqual({ code: 0, signal: null });
});

test("fails the stop of a proxy whose log holds an alert or an emergency", async (context) => {
  requires(context, "nginx");
  const nginx = await startNginx({ http: "server { listen 127.0.0.1:{{port:front}}; }" });
  await nginx.write("conf/nginx.conf", "events {} http { nonsense; }");
  expect(await nginx.reload()).toBe(false);
  await expect(nginx.stop()).rejects.toThrow(/\[emerg\].*nonsense/);
});

test("runs wsgate, says where it listens, reloads it, and sees it end in order", async () => {
  const gate = await startGate({ config: "events {} http { server { listen 127.0.0.1:{{port:front}}; } }" });
  expect(gate.listeners).toEqual([{ address: `127.0.0.1:${gate.port()}`, port: gate.port(), isTls: false }]);
  expect((await request({ port: gate.port("front") })).status).toBeGreaterThanOrEqual(200);
  await gate.write("conf/nginx.conf", "events {} http { server { listen 127.0.0.1:{{port:other}}; } }");
  expect(await gate.reload()).toBe(true);
  expect(gate.listeners.map(({ port }) => port)).toEqual([gate.port("other")]);
  await expect(connectRaw({ port: gate.port("front") })).rejects.toThrow(/ECONNREFUSED/);
  expect(await gate.stop()).toEqual({ code: 0, signal: null });
});

test("lets the time of a gate run faster, so that a timeout of a minute ends within a second", async () => {
  const config = `events {} http { client_header_timeout 60s; server { listen 127.0.0.1:{{port:front}}; } }`;
  const gate = await startGate({ config, clockFactor: 200 });
  const client = await connectRaw({ port: gate.port() });
  const startMs = performance.now();
  await client.send("GET / HTTP/1.1\r\n");
  await client.toEnd();
  const elapsedSeconds = ((performance.now() - startMs) / 1000) * 200;
  expect(elapsedSeconds).toBeGreaterThan(59);
});

test("runs wsgate to its end for a test of the configuration", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "nginx.conf"), "events {}");
  const { code, stderr } = await runGate(["-t", "-p", folder, "-c", join(folder, "nginx.conf")]);
  expect([code, stderr]).toEqual([0, expect.stringContaining("test is successful")]);
});
