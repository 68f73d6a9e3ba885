/** What websocket_compression makes of permessage-deflate, between clients and upstreams that nobody here wrote. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import type { BrowserContext } from "playwright-core";
import { beforeAll, describe, expect, test } from "vitest";
import { type PerMessageDeflateOptions, WebSocket } from "ws";
import { startRawBackend, startWebSocketBackend, type WebSocketBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { nextTurn, within } from "./rig/deadline.ts";
import { frame } from "./rig/frames.ts";
import { FRONTS } from "./rig/fronts.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes } from "./rig/http-client.ts";
import { type HttpResponse, readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Proxy, runGate, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { has } from "./rig/requires.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";
import { connectWebSocket, requiresClient, WEBSOCKET_CLIENT_KINDS } from "./rig/websocket-clients.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

function startInFrontOf(address: string, settings: string): Promise<Proxy> {
  return startGate({
    http: `error_log stderr info;
      log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code [$websocket_compression] $websocket_compression_ratio";
      server { listen 127.0.0.1:{{port:front}}; access_log logs/tunnel.log tunnel;
        location / { proxy_pass http://${address}; ${settings} } }`,
  });
}

/** What a client gets whose offer a backend answers so, whatever has become of it on the way. */
async function answerTo(offer: string, answer: string, settings: string): Promise<HttpResponse> {
  const backend = await startRawBackend(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\nSec-WebSocket-Extensions: ${answer}\r\n\r\n`,
  );
  const gate = await startInFrontOf(backend.address, settings);
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/", { "Sec-WebSocket-Extensions": offer }));
  return readResponse(client);
}

/** A message of the client's, compressed. */
function compressedFrame(text: string): string {
  const bytes = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });
  return frame("client", bytes.toString("latin1", 0, bytes.length - 4), { reservedBits: 4 });
}

/** What a message to the client says. */
function inflated(payload = ""): string {
  const bytes = Buffer.from(`${payload}\0\0\xff\xff`, "latin1");
  return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString("latin1");
}

async function until(isSo: () => boolean): Promise<void> {
  await within(
    (async () => {
      while (!isSo()) await nextTurn();
    })(),
    "what the test waits for",
  );
}

interface Client {
  readonly socket: WebSocket;
  /** The answer's Sec-WebSocket-Extensions. */
  readonly extensions: string;
  /** The next messages, in order. */
  next(): Promise<Buffer>;
  readonly closed: Promise<number>;
}

async function connect(url: string, perMessageDeflate: PerMessageDeflateOptions | boolean): Promise<Client> {
  const socket = new WebSocket(url, { perMessageDeflate });
  const messages: Buffer[] = [];
  let wake = (): void => {};
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  obtain(`the client of ${url}`, async () => {
    socket.terminate();
    await within(closed, "a client to close");
  });
  socket.on("error", () => {});
  socket.on("message", (data: Buffer) => {
    messages.push(data);
    wake();
  });
  await within(new Promise((resolve) => socket.once("open", resolve)), `a connection to ${url}`);
  return {
    socket,
    extensions: socket.extensions,
    closed: within(closed, "the end of the connection"),
    async next() {
      for (;;) {
        const message = messages.shift();
        if (message !== undefined) return message;
        await within(new Promise<void>((resolve) => (wake = resolve)), "a message");
      }
    },
  };
}

/** A backend that compresses where it is allowed to, and echoes. */
function startCompressingBackend(): Promise<WebSocketBackend> {
  return startWebSocketBackend({ webSocket: { perMessageDeflate: { threshold: 0 } } });
}

const LONG = Buffer.from("All work and no play makes Jack a dull boy. ".repeat(5000));

const SETTINGS: readonly PerMessageDeflateOptions[] = [
  { threshold: 0 },
  { threshold: 0, serverNoContextTakeover: true },
  { threshold: 0, clientNoContextTakeover: true },
  { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true },
  { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
  { threshold: 0, serverMaxWindowBits: 15, clientMaxWindowBits: 15 },
  { threshold: 0, serverMaxWindowBits: 10, clientNoContextTakeover: true },
];

describe("offload", () => {
  test.each(SETTINGS)("compresses with the client, and not with the upstream: %o", async (offer) => {
    const backend = await startCompressingBackend();
    const gate = await startInFrontOf(backend.address, "websocket_compression offload min=0;");
    const client = await connect(gate.url("ws"), offer);
    expect(client.extensions).toContain("permessage-deflate");
    expect(backend.sockets[0]?.extensions).toBe("");
    expect(backend.handshakes[0]?.headers["sec-websocket-extensions"]).toBeUndefined();
    for (const message of [LONG, Buffer.alloc(0), Buffer.from("short"), LONG, Buffer.from("x")]) {
      client.socket.send(message);
      expect((await client.next()).equals(message)).toBe(true);
    }
    client.socket.close(4000, "done");
    expect(await client.closed).toBe(4000);
    await gate.waitForFile("logs/tunnel.log", /^client close 4000 \[permessage-deflate.*\] \d+\.\d\d$/m);
  });
});

describe.each(WEBSOCKET_CLIENT_KINDS)("offload with %s", (kind) => {
  let browser: BrowserContext | undefined;
  beforeAll(async () => {
    if (kind === "chromium" && has("chromium")) browser = await startBrowser();
  });

  test.for(["", "takeover=off window=9", "window=15 level=1"])(
    "gets back what it sends: %s",
    async (parameters, context) => {
      requiresClient(context, kind);
      const backend = await startCompressingBackend();
      const gate = await startInFrontOf(
        backend.address,
        `websocket_compression offload min=0 ${parameters};`,
      );
      const client = await connectWebSocket(kind, gate.url("ws"), { browser });
      const messages = [
        "grüße, 世界",
        Buffer.from([0, 1, 254, 255]),
        "",
        "again ".repeat(1000),
        randomBytes(300_000),
      ];
      for (let round = 0; round < 3; round++) {
        for (const message of messages) client.send(message);
        for (const message of messages) {
          expect(Buffer.compare(Buffer.from(await client.next()), Buffer.from(message))).toBe(0);
        }
      }
      expect(backend.sockets[0]?.extensions).toBe("");
      client.close(4000, "done");
      expect(await client.closed).toEqual({ code: 4000, reason: "done" });
      await gate.waitForFile("logs/tunnel.log", /^client close 4000 \[permessage-deflate.*\] \d/m);
    },
  );
});

describe.each(FRONTS)("offload over $name", (front) => {
  interface Sides {
    readonly gate: Proxy;
    readonly client: WebSocketPeer;
    readonly upstream: WebSocketPeer;
  }

  async function open(settings = "", early = ""): Promise<Sides> {
    const backend = await startTunnelBackend();
    const gate = await startGate({
      http: `error_log stderr info;
        log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code $websocket_bytes_in $websocket_bytes_out $websocket_messages_in $websocket_messages_out";
        server { ${await front.listen()} access_log logs/tunnel.log tunnel;
          location / { proxy_pass http://${backend.address}; websocket_compression offload min=10; ${settings} } }`,
    });
    const headers = { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" };
    const opening = await front.open(gate, "/", { headers, early });
    expect([opening.status, opening.body, opening.header("sec-websocket-extensions")]).toEqual([
      front.openStatus,
      "",
      "permessage-deflate; client_max_window_bits=12",
    ]);
    const upstream = await backend.tunnel("/");
    expect(upstream.handshake.header("sec-websocket-extensions")).toBeUndefined();
    return {
      gate,
      client: new WebSocketPeer(opening.wire, "client"),
      upstream: new WebSocketPeer(upstream.wire, "server"),
    };
  }

  test("messages are plain behind wsgate and compressed before it, the first ones included", async () => {
    const hello = compressedFrame("Hello");
    const { gate, client, upstream } = await open("", hello);
    await client.wire.send(hello);
    const answer = "answer ".repeat(50);
    await upstream.sendFrame(answer);
    await upstream.sendFrame("short");
    await client.sendClose(1000);
    await upstream.ended;
    await client.ended;
    expect(upstream.payloads).toEqual(["Hello", "Hello"]);
    expect(client.payloads[0]?.length).toBeLessThan(30);
    expect([inflated(client.payloads[0]), client.payloads[1]]).toEqual([answer, "short"]);
    // Two messages and the Close frame from the client, compressed; two and the Close frame from the upstream, plain.
    const bytesIn = 2 * hello.length + 8;
    const bytesOut = 4 + answer.length + 7 + 4;
    await gate.waitForFile(
      "logs/tunnel.log",
      new RegExp(`^client close 1000 ${bytesIn} ${bytesOut} 2 2$`, "m"),
    );
  });

  test.each([
    ["data that cannot be inflated", "\xc1\x84\0\0\0\0\xff\xff\xff\xff", 1007, "deflate-data"],
    ["a continuation marked as compressed", `\x41\x81\0\0\0\0\0\xc0\x80\0\0\0\0`, 1002, "reserved-bits"],
    ["a ping marked as compressed", "\xc9\x80\0\0\0\0", 1002, "reserved-bits"],
    [
      "a message that is too long once it is inflated",
      compressedFrame("x".repeat(2000)),
      1009,
      "max-message-size",
    ],
  ])("%s: the client is told so, and the upstream that it is over", async (_what, bytes, code, rule) => {
    const limit = rule === "max-message-size" ? "websocket_max_message_size 1000;" : "";
    const { gate, client, upstream } = await open(limit);
    await client.wire.send(compressedFrame("fine") + bytes);
    expect((await client.ended).close?.code).toBe(code);
    expect((await upstream.ended).close?.code).toBe(1001);
    expect(upstream.payloads[0]).toBe("fine");
    await gate.waitForLog(new RegExp(`client sent a .*\\(rule "${rule}"\\)`));
    const reason = limit === "" ? "violation" : "limit";
    await gate.waitForFile("logs/tunnel.log", new RegExp(`^proxy ${reason} ${code} `, "m"));
  });

  test("pings of wsgate's own go to both sides, and their answers stay with it", async () => {
    const { client, upstream } = await open("websocket_ping_interval 100ms;");
    await client.wire.send(compressedFrame("Hello"));
    await upstream.sendFrame("answer ".repeat(50));
    await until(() => client.pings.length > 2 && upstream.pings.length > 2);
    expect([client.pongs, upstream.pongs]).toEqual([[], []]);
    expect([client.payloads.length, upstream.payloads]).toEqual([1, ["Hello"]]);
  });
});

describe("pass", () => {
  test("leaves it to both sides, and holds the answer against the offer", async () => {
    const backend = await startCompressingBackend();
    const gate = await startInFrontOf(backend.address, "");
    const client = await connect(gate.url("ws"), { threshold: 0, clientMaxWindowBits: 10 });
    expect(backend.sockets[0]?.extensions).toBe("permessage-deflate");
    client.socket.send(LONG);
    expect((await client.next()).equals(LONG)).toBe(true);
    client.socket.close();
    await gate.waitForFile("logs/tunnel.log", /^client close \d+ \[permessage-deflate.*\] -$/m);
  });

  test("an answer with parameters that the client has not offered is a 502 that names the rule", async () => {
    const { status, body } = await answerTo(
      "permessage-deflate",
      "permessage-deflate; client_max_window_bits=10",
      "",
    );
    expect(status).toBe(502);
    expect(body).toContain('(rule "compression", RFC 7692 section 7.1)');
  });

  test("and passes where the handshake is relaxed", async () => {
    const { status } = await answerTo(
      "permessage-deflate",
      "permessage-deflate; client_max_window_bits=10",
      "websocket_handshake relaxed;",
    );
    expect(status).toBe(101);
  });
});

describe("offload", () => {
  test("a bomb is cut off with 1009, and the log says why", async () => {
    const backend = await startCompressingBackend();
    const gate = await startInFrontOf(backend.address, "websocket_compression offload;");
    const client = await connect(gate.url("ws"), { threshold: 0 });
    client.socket.send(Buffer.alloc(20_000_000));
    expect(await client.closed).toBe(1009);
    await gate.waitForLog(/client sent a message that grows .*rule "deflate-growth"/);
    await gate.waitForFile("logs/tunnel.log", /^proxy limit 1009 /m);
  });

  test("leaves alone what an upstream agrees on otherwise, and then compresses nothing", async () => {
    const answer = await answerTo("permessage-deflate, x-other", "x-other", "websocket_compression offload;");
    expect(answer.status).toBe(101);
    expect(answer.header("sec-websocket-extensions")).toBe("x-other");
  });

  test("declines what it cannot keep, and the upstream is not asked either", async () => {
    const backend = await startTunnelBackend();
    const gate = await startInFrontOf(backend.address, "websocket_compression offload;");
    const client = await connectRaw({ port: gate.port() });
    const offer = "permessage-deflate; server_max_window_bits=8, x-other; a=1";
    await client.send(handshakeBytes("/", { "Sec-WebSocket-Extensions": offer }));
    const answer = await readResponse(client);
    expect([answer.status, answer.header("sec-websocket-extensions")]).toEqual([101, undefined]);
    const { handshake } = await backend.tunnel("/");
    expect(handshake.header("sec-websocket-extensions")).toBe("x-other; a=1");
  });
});

test.each([
  ["websocket_compression on;", 'invalid parameter "on"'],
  ["websocket_compression pass level=1;", 'invalid parameter "level=1"'],
  ["websocket_compression offload level=0;", 'invalid parameter "level=0"'],
  ["websocket_compression offload window=8;", 'invalid parameter "window=8"'],
  ["websocket_compression offload window=16;", 'invalid parameter "window=16"'],
  ["websocket_compression offload min=x;", 'invalid parameter "min=x"'],
  ["websocket_compression offload takeover=yes;", 'invalid parameter "takeover=yes"'],
  ["websocket_compression offload level=1 level=2;", 'invalid parameter "level=2"'],
  ["websocket_compression offload level;", 'invalid parameter "level"'],
  ["websocket_compression offload constructor=1;", 'invalid parameter "constructor=1"'],
])("%s is refused", async (line, complaint) => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "nginx.conf"), `events {} http { ${line} server { listen 127.0.0.1:8080; } }`);
  const { code, stderr } = await runGate(["-t", "-c", "nginx.conf"], { cwd: folder });
  expect(code).toBe(1);
  expect(stderr).toContain(complaint);
});

describe("off", () => {
  test.each(["off", "offload"])("%s: an answer that has it all the same is a 502", async (kind) => {
    const { status, body } = await answerTo(
      "permessage-deflate",
      "permessage-deflate",
      `websocket_handshake relaxed; websocket_compression ${kind};`,
    );
    expect(status).toBe(502);
    expect(body).toContain('(rule "compression-withheld", RFC 7692 section 5)');
  });

  test("keeps the offer from the upstream", async () => {
    const backend = await startCompressingBackend();
    const gate = await startInFrontOf(backend.address, "websocket_compression off;");
    const client = await connect(gate.url("ws"), true);
    expect(client.extensions).toBe("");
    client.socket.send("hello");
    expect((await client.next()).toString()).toBe("hello");
    expect(backend.handshakes[0]?.headers["sec-websocket-extensions"]).toBeUndefined();
  });
});
