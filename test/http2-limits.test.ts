/** Times, sizes and counts of HTTP/2 connections, and how they end; frames and heads that break the rules. */
import { beforeAll, describe, expect, test } from "vitest";
import { startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { connectHttp2 } from "./rig/http2-client.ts";
import {
  END_HEADERS,
  END_STREAM,
  type Frame,
  FRAME_TYPES,
  goawayCode,
  headerBlock,
  http2Frame,
  PREFACE,
  readFrames,
  requestBlock,
  resetCode,
  uint32,
  untilFrame,
} from "./rig/http2-frames.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

const NO_ERROR = 0;
const PROTOCOL_ERROR = 1;
const REFUSED_STREAM = 7;
const CANCEL = 8;

/** A gate with one server on a plain address. */
function startServer(inside: string, clockFactor = 1): Promise<Proxy> {
  return startGate({
    clockFactor,
    files: { "html/large": "x".repeat(1_000_000) },
    http: `
      log_format h '"$request" $status $body_bytes_sent';
      http2 on;
      error_log stderr info;
      server { listen 127.0.0.1:{{port:front}}; access_log logs/h.log h; root {{prefix}}/html; ${inside} }`,
  });
}

async function speak(gate: Proxy, ...frames: readonly Uint8Array[]): Promise<RawPeer> {
  const client = await connectRaw({ port: gate.port() });
  await client.send(Buffer.concat([Buffer.from(PREFACE, "latin1"), http2Frame("settings", 0, 0), ...frames]));
  return client;
}

function untilReset(client: RawPeer, streamId = 1): Promise<Frame> {
  return untilFrame(client, (frame) => frame.type === FRAME_TYPES.rstStream && frame.streamId === streamId);
}

function headers(
  streamId: number,
  changes: Readonly<Record<string, string>> = {},
  flags = END_STREAM,
): Buffer {
  return http2Frame("headers", END_HEADERS | flags, streamId, requestBlock(changes));
}

async function framesToEnd(client: RawPeer): Promise<readonly Frame[]> {
  await client.toEnd();
  return readFrames(client.inbox.received);
}

describe("a connection ends with GOAWAY and no error", () => {
  test("when nothing has come within client_header_timeout", async () => {
    const gate = await startServer("client_header_timeout 60s;", 100);
    const client = await speak(gate);
    expect(goawayCode(await framesToEnd(client))).toBe(NO_ERROR);
    await gate.stderr.waitFor(/client timed out \(110: Connection timed out\) while waiting for request/);
  });

  test("when no other request has come within keepalive_timeout", async () => {
    const gate = await startServer('keepalive_timeout 75s; location / { return 200 "x"; }', 100);
    const client = await speak(gate, headers(1));
    const frames = await framesToEnd(client);
    expect(goawayCode(frames)).toBe(NO_ERROR);
    expect(frames.some(({ type, streamId }) => type === FRAME_TYPES.headers && streamId === 1)).toBe(true);
  });

  test("after keepalive_requests, the last of them answered", async () => {
    const gate = await startServer('keepalive_requests 3; location / { return 200 "x"; }');
    const client = await connectHttp2({ port: gate.port() });
    const answers = [await client.request(), await client.request(), await client.request()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await client.goneAway).toBe(NO_ERROR);
    await client.closed;
  });

  test("at QUIT, once the answer under way is complete", async () => {
    const backend = await startRawBackend("");
    const gate = await startServer(`location / { proxy_pass http://${backend.address}; }`);
    const client = await connectHttp2({ port: gate.port() });
    const answer = client.request();
    const connection = await backend.connection(0);
    const stopped = gate.stop("SIGQUIT");
    expect(await client.goneAway).toBe(NO_ERROR);
    await connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlate");
    expect((await answer).body).toBe("late");
    expect((await stopped).code).toBe(0);
  });
});

test("a new plan holds for new streams of an open connection", async () => {
  const gate = await startServer('location / { return 200 "before"; }');
  const client = await connectHttp2({ port: gate.port() });
  expect((await client.request()).body).toBe("before");
  await gate.write("conf/nginx.conf", gate.read("conf/nginx.conf").replace("before", "after"));
  expect(await gate.reload()).toBe(true);
  expect((await client.request()).body).toBe("after");
});

test.each([
  ["offers no HTTP/2", "http2 on;", ""],
  ["allows another number of streams", "http2_max_concurrent_streams 9;", "http2_max_concurrent_streams 10;"],
])("a new plan that %s answers what comes, and says goodbye", async (_what, before, after) => {
  const gate = await startServer('http2_max_concurrent_streams 9; location / { return 200 "x"; }');
  const client = await connectHttp2({ port: gate.port() });
  expect((await client.request()).status).toBe(200);
  await gate.write("conf/nginx.conf", gate.read("conf/nginx.conf").replace(before, after));
  expect(await gate.reload()).toBe(true);
  expect((await client.request()).status).toBe(200);
  expect(await client.goneAway).toBe(NO_ERROR);
});

describe("a stream is reset, and nothing else, whose", () => {
  test("body does not come within client_body_timeout", async () => {
    const backend = await startHttpBackend();
    const gate = await startServer(
      `client_body_timeout 60s; location / { proxy_pass http://${backend.address}; }`,
      100,
    );
    const client = await speak(gate, headers(1, { ":method": "POST" }, 0));
    const { payload } = await untilReset(client);
    expect(payload.readUInt32BE(0)).toBe(CANCEL);
    expect(await gate.waitForFile("logs/h.log", /"POST \/ HTTP\/2.0" 408 0/)).toBeDefined();
  });

  test("client opens no window for the answer within send_timeout", async () => {
    const gate = await startServer("send_timeout 60s;", 100);
    const client = await speak(gate, headers(1, { ":path": "/large" }));
    expect((await untilReset(client)).payload.readUInt32BE(0)).toBe(CANCEL);
    expect(await gate.waitForFile("logs/h.log", /"GET \/large HTTP\/2.0" 200 \d+/)).toBeDefined();
  });

  test("client opens one too many before it knows the limit", async () => {
    const backend = await startRawBackend("");
    const gate = await startServer(
      `http2_max_concurrent_streams 2; location / { proxy_pass http://${backend.address}; }`,
    );
    const client = await speak(gate, headers(1), headers(3), headers(5));
    expect((await untilReset(client, 5)).payload.readUInt32BE(0)).toBe(REFUSED_STREAM);
  });
});

test("a stream beyond the limit that the client has acknowledged ends the connection", async () => {
  const backend = await startRawBackend("");
  const gate = await startServer(
    `http2_max_concurrent_streams 2; location / { proxy_pass http://${backend.address}; }`,
  );
  const client = await speak(gate, http2Frame("settings", 1, 0));
  await untilFrame(client, ({ type, flags }) => type === FRAME_TYPES.settings && flags === 1);
  await client.send(Buffer.concat([headers(1), headers(3), headers(5)]));
  expect(goawayCode(await framesToEnd(client))).toBe(PROTOCOL_ERROR);
});

describe("a malformed head never becomes a request:", () => {
  let gate: Proxy;
  beforeAll(async () => {
    gate = await startServer('location / { return 200 "x"; }');
  });

  const HEADS: readonly (readonly [string, Buffer])[] = [
    ["a name in capitals", requestBlock({ "X-Own": "1" })],
    ["Connection", requestBlock({ connection: "close" })],
    ["Transfer-Encoding", requestBlock({ "transfer-encoding": "chunked" })],
    ["Upgrade", requestBlock({ upgrade: "websocket" })],
    ["a TE other than trailers", requestBlock({ te: "gzip" })],
    ["no path", requestBlock({ ":path": "" })],
    ["no scheme", requestBlock({ ":scheme": "" })],
    ["no method", requestBlock({ ":method": "" })],
    ["an unknown pseudo-header", requestBlock({ ":status": "200" })],
    [
      "a path twice",
      headerBlock([
        [":path", "/"],
        [":path", "/"],
        [":method", "GET"],
        [":scheme", "http"],
        [":authority", "a"],
      ]),
    ],
    [
      "a pseudo-header after a field",
      headerBlock([
        [":method", "GET"],
        [":scheme", "http"],
        ["x", "y"],
        [":path", "/"],
        [":authority", "a"],
      ]),
    ],
    ["a path that is none", requestBlock({ ":path": "x" })],
    ["a path with a space", requestBlock({ ":path": "/a b" })],
    ["neither authority nor Host", requestBlock({ ":authority": "" })],
    ["an authority with userinfo", requestBlock({ ":authority": "u@a" })],
    ["a Host that differs", requestBlock({ host: "another" })],
    ["a length without a body", requestBlock({ "content-length": "5" })],
    [
      "two lengths",
      Buffer.concat([requestBlock({ "content-length": "0" }), headerBlock([["content-length", "0"]])]),
    ],
    [":protocol without CONNECT", requestBlock({ ":protocol": "websocket" })],
  ];

  test.each(HEADS)("%s", async (_what, block) => {
    const client = await speak(gate, http2Frame("headers", END_HEADERS | END_STREAM, 1, block));
    const frame = await untilFrame(
      client,
      ({ streamId, type }) => streamId === 1 || type === FRAME_TYPES.goaway,
    );
    const frames = readFrames(client.inbox.received);
    const refusal =
      frame.type === FRAME_TYPES.headers ? "an answer" : (resetCode(frames, 1) ?? goawayCode(frames));
    expect(["an answer", PROTOCOL_ERROR]).toContain(refusal);
    await client.send(http2Frame("goaway", 0, 0, Buffer.alloc(8)));
    await client.toEnd();
    expect(gate.read("logs/h.log")).not.toMatch(/ 200 /);
  });

  test("DATA of another length than announced", async () => {
    const backend = await startHttpBackend();
    const proxy = await startServer(`location / { proxy_pass http://${backend.address}; }`);
    const post = headers(1, { ":method": "POST", "content-length": "5" }, 0);
    const client = await speak(proxy, post, http2Frame("data", END_STREAM, 1, "four"));
    expect((await untilReset(client)).payload.readUInt32BE(0)).toBe(PROTOCOL_ERROR);
    expect(backend.requests).toHaveLength(0);
  });
});

describe("a head too large", () => {
  test.each([
    ["a field longer than a buffer", { "x-long": "v".repeat(2_100) }],
    [
      "more than the buffers hold",
      { "x-a": "v".repeat(1_900), "x-b": "v".repeat(1_900), "x-c": "v".repeat(1_900) },
    ],
    [
      "more fields than max_headers",
      Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`x-${i}`, "v"])),
    ],
  ])("is answered 400 and the connection goes on: %s", async (_what, fields) => {
    const gate = await startServer(
      'large_client_header_buffers 2 2k; max_headers 20; location / { return 200 "x"; }',
    );
    const client = await connectHttp2({ port: gate.port() });
    const { status, body } = await client.request(fields);
    expect(status).toBe(400);
    expect(body).toContain("Request Header Or Cookie Too Large");
    expect((await client.request()).status).toBe(200);
  });
});

test("a window update of nothing ends the connection as a breach of the protocol", async () => {
  const gate = await startServer('location / { return 200 "x"; }');
  const client = await speak(gate, http2Frame("windowUpdate", 0, 0, uint32(0)));
  expect(goawayCode(await framesToEnd(client))).toBe(PROTOCOL_ERROR);
  await gate.stderr.waitFor(/client broke the protocol: .*\(rule "protocol"\)/);
});

/** GREASE: RFC 9113 section 5.5 has frames of an unknown type ignored. */
const UNKNOWN_FRAME = 0x2b;

// nghttp2 counts them itself from version 1.69 on, gives up much earlier, and calls it an error of the protocol.
test.each([[UNKNOWN_FRAME], ["priority"]] as const)(
  "frames of type %s, which carry nothing, end the connection in the long run",
  async (type) => {
    const gate = await startServer('location / { return 200 "x"; }', 20);
    const client = await speak(gate);
    const thousand = Buffer.concat(
      Array.from({ length: 1_000 }, () => http2Frame(type, 0, 3, Buffer.alloc(5))),
    );
    for (let i = 0; i < 700; i++) await client.send(thousand);
    await client.toEnd();
    expect(await gate.stderr.waitFor(/\(rule "(frame-flood|protocol)"\)/)).toBeDefined();
  },
);

test("an answer without a body, to a request whose body has not come, is followed by a reset without an error", async () => {
  const gate = await startServer("location / { return 204; }");
  const client = await speak(gate, headers(1, { ":method": "POST" }, 0));
  await untilReset(client);
  const frames = readFrames(client.inbox.received);
  const ofStream = frames.filter(({ streamId }) => streamId === 1);
  expect(ofStream.map(({ type }) => type)).toEqual([FRAME_TYPES.headers, FRAME_TYPES.rstStream]);
  expect(resetCode(frames, 1)).toBe(NO_ERROR);
});
