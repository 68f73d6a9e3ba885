import { expect, test } from "vitest";
import { startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate } from "./rig/proxy-process.ts";

useRig();

test("a target is passed on as the client sent it where neither proxy_pass nor a rewrite changes it", async () => {
  const backend = await startHttpBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const target = "/a/../b//%7e/%2F?x=%20&y#".replace("#", "");
  await request({ port: gate.port(), target });
  expect(backend.requests[0]?.url).toBe(target);
});

test("the URI of proxy_pass takes the place of what a prefix location matched, and the rest is escaped again", async () => {
  const backend = await startHttpBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location /name/ { proxy_pass http://${backend.address}/remote/; } }`,
  });
  await request({ port: gate.port(), target: "/name/a%20b/../c%3f?d=%20" });
  expect(backend.requests[0]?.url).toBe("/remote/c%3F?d=%20");
});

test("a body that comes in pieces reaches the upstream whole, whether it is buffered or streamed", async () => {
  const backend = await startHttpBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; }
      location /streamed { proxy_pass http://${backend.address}; proxy_request_buffering off; } }`,
  });
  const body = "0123456789".repeat(20_000);
  for (const target of ["/buffered", "/streamed"]) {
    await request({ port: gate.port(), method: "POST", target, body });
    expect(backend.requests.at(-1)).toMatchObject({ method: "POST", url: target, body });
  }
});

test("the client's fields pass, except those of its own connection and those that the location sets", async () => {
  const backend = await startHttpBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; proxy_set_header X-Set $remote_addr; proxy_set_header Accept ""; } }`,
  });
  const headers = {
    Connection: "close, X-Set, X-Mine",
    "X-Set": "forged",
    "X-Mine": "of this hop",
    "X-Passed": "yes",
    Accept: "*/*",
    TE: "trailers",
    "Keep-Alive": "timeout=5",
  };
  await request({ port: gate.port(), headers });
  expect(backend.requests[0]?.headers).toEqual({
    host: backend.address,
    "x-set": "127.0.0.1",
    "x-passed": "yes",
  });
});

test("an upstream that refuses the connection is 502, and the log names it and what was being done", async () => {
  const backend = await startRawBackend("");
  await backend.close();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const response = await request({ port: gate.port(), target: "/x" });
  expect(response.status).toBe(502);
  await gate.waitForLog(
    new RegExp(
      `connect\\(\\) failed \\(111: Connection refused\\) while connecting to upstream, client: 127.0.0.1, .*upstream: "http://${backend.address}/x"`,
    ),
  );
});
