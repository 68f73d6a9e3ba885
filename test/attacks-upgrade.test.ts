/** Attacks on the way from a request to a tunnel: what has been tried against other proxies, byte for byte. */
import { describe, expect, test } from "vitest";
import { type RawAnswer, type RawBackend, startRawBackend } from "./rig/backends.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;
/** What nginx's documentation tells people to write. */
const BY_THE_BOOK =
  "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;";
/** A request for what only the proxy may ask, placed behind another request. */
const SMUGGLED = "GET /admin HTTP/1.1\r\nHost: victim\r\nConnection: close\r\n\r\n";
/** An unmasked text frame: bytes that are no HTTP. */
const FRAME = "\x81\x05hello";

/** A gate that passes everything to one upstream, except /admin. */
async function startPair(
  answers: RawAnswer | readonly RawAnswer[],
  directives = "",
): Promise<{ readonly backend: RawBackend; readonly gate: Proxy }> {
  const backend = await startRawBackend(answers);
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; ${directives} }
      location /admin { return 403 "the proxy says no\\n"; } }`,
  });
  return { backend, gate };
}

function bytesAt(backend: RawBackend): string {
  return backend.connections.map((peer) => peer.inbox.received).join("|");
}

describe("an upgrade that the upstream does not grant leaves an ordinary connection", () => {
  const modes = [
    ["auto", ""],
    ["book", BY_THE_BOOK],
    ["manual", `websocket_upgrade manual; proxy_upgrade_protocols any; ${BY_THE_BOOK}`],
  ] as const;
  const refusals: readonly (readonly [what: string, answer: string])[] = [
    ["200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    // CVE-2024-23326: whatever else the answer claims, 101 alone switches.
    [
      "200 that claims to upgrade",
      "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok",
    ],
    ["403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"],
    [
      "426",
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
    ],
    ["503 in chunks", "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n"],
  ];
  test.each(refusals)(
    "CVE-2026-2833: a request pipelined behind the handshake is routed as one, though the upstream says %s",
    async (_what, answer) => {
      const backend = await startRawBackend(answer);
      const locations = modes.map(
        ([mode, directives]) => `location /${mode} { proxy_pass http://${backend.address}; ${directives} }`,
      );
      const gate = await startGate({
        http: `server { listen 127.0.0.1:{{port:front}}; ${locations.join(" ")} location /admin { return 403 "the proxy says no\n"; } }`,
      });
      for (const [mode] of modes) {
        const client = await connectRaw({ port: gate.port() });
        await client.send(handshakeBytes(`/${mode}`) + SMUGGLED);
        const first = await readResponse(client);
        expect(first.status).toBe(Number(answer.slice(9, 12)));
        const second = await readResponse(client);
        expect([second.status, second.body]).toEqual([403, "the proxy says no\n"]);
        await client.toEnd();
      }
      expect(backend.requests.map((request) => request.target)).toEqual(modes.map(([mode]) => `/${mode}`));
      expect(bytesAt(backend)).not.toContain("/admin");
    },
  );

  test("CVE-2026-2833: an answer of unknown length ends where the upstream ends it, and nothing passes raw", async () => {
    const { backend, gate } = await startPair(async (_request, peer) => {
      await peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
      peer.end();
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/") + SMUGGLED);
    expect((await readResponse(client)).body).toBe("until the end");
    expect((await readResponse(client)).status).toBe(403);
    expect(bytesAt(backend)).not.toContain("/admin");
  });

  test("CVE-2025-64763: frames that were sent before a refusal never reach the upstream", async () => {
    const { backend, gate } = await startPair("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/") + FRAME);
    expect((await readResponse(client)).status).toBe(403);
    expect((await readResponse(client)).status).toBe(400);
    expect(await client.toEnd()).toBe("");
    expect(bytesAt(backend)).not.toContain("hello");
  });
});

describe("CVE-2026-58055: an upgrade with a body", () => {
  test.each([
    ["a length", handshakeBytes("/", { "Content-Length": String(SMUGGLED.length) }) + SMUGGLED],
    [
      "chunks",
      `${handshakeBytes("/", { "Transfer-Encoding": "chunked" })}${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    ],
    ["a POST", handshakeBytes("/", { "Content-Length": "5" }).replace("GET", "POST") + FRAME.slice(0, 5)],
  ])("is refused before the upstream hears of it: %s", async (_what, bytes) => {
    const { backend, gate } = await startPair(SWITCHING, BY_THE_BOOK);
    const client = await connectRaw({ port: gate.port() });
    await client.send(bytes);
    expect((await readResponse(client)).status).toBe(400);
    expect(await client.toEnd()).toBe("");
    expect(backend.connections).toEqual([]);
    await gate.waitForFile("logs/access.log", /HTTP\/1\.1" 400 /);
    expect(gate.read("logs/access.log")).not.toContain("/admin");
  });

  test("to another protocol goes on as an ordinary request, its body framed and its upgrade gone", async () => {
    const { backend, gate } = await startPair("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BY_THE_BOOK);
    const client = await connectRaw({ port: gate.port() });
    const headers = {
      Upgrade: "h2c",
      Connection: "Upgrade, HTTP2-Settings",
      "HTTP2-Settings": "AAMAAABkAAQAoAAAAAIAAAAA",
    };
    await client.send(requestBytes({ method: "POST", headers, body: SMUGGLED }) + SMUGGLED);
    expect((await readResponse(client)).status).toBe(200);
    expect((await readResponse(client)).status).toBe(403);
    expect(backend.requests.map((request) => request.body)).toEqual([SMUGGLED]);
    expect(backend.requests[0]?.header("upgrade")).toBeUndefined();
    expect(backend.requests[0]?.header("http2-settings")).toBeUndefined();
  });
});

describe("CVE-2026-44578: the target of an upgrade", () => {
  test.each([
    ["auto", ""],
    ["by the book", BY_THE_BOOK],
  ])("in absolute form does not choose the upstream (%s)", async (_mode, directives) => {
    const victim = await startRawBackend(SWITCHING);
    const { backend, gate } = await startPair(SWITCHING, directives);
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes(`http://${victim.address}/latest/meta-data?x=1`));
    expect((await readResponse(client)).status).toBe(101);
    expect(victim.connections).toEqual([]);
    const [request] = backend.requests;
    expect(request?.target).toBe("/latest/meta-data?x=1");
    expect(request?.header("host")).toBe(backend.address);
  });

  test.each(["//evil.test/x", "/\\evil.test", "ws://evil.test/", "evil.test:80"])(
    "is a path and nothing else: %s",
    async (target) => {
      const { backend, gate } = await startPair("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      const client = await connectRaw({ port: gate.port() });
      await client.send(handshakeBytes(target));
      await readResponse(client);
      for (const request of backend.requests) {
        expect(request.target).toMatch(/^\//);
        expect(request.header("host")).toBe(backend.address);
      }
    },
  );
});

describe("WebSocket smuggling", () => {
  test("a version that nobody speaks is answered 426 by the gate, and leaves no tunnel", async () => {
    const { backend, gate } = await startPair(SWITCHING, BY_THE_BOOK);
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/", { "Sec-WebSocket-Version": "777" }) + SMUGGLED);
    const first = await readResponse(client);
    expect([first.status, first.header("sec-websocket-version")]).toEqual([426, "13"]);
    expect((await readResponse(client)).status).toBe(403);
    expect(backend.connections).toEqual([]);
  });

  test("relaxed, such a version passes, and a 426 of the upstream's leaves no tunnel either", async () => {
    const { backend, gate } = await startPair(
      "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
      `websocket_handshake relaxed; ${BY_THE_BOOK}`,
    );
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/", { "Sec-WebSocket-Version": "777" }) + SMUGGLED);
    const first = await readResponse(client);
    expect([first.status, first.header("connection")]).toEqual([426, "keep-alive"]);
    expect((await readResponse(client)).status).toBe(403);
    expect(bytesAt(backend)).not.toContain("/admin");
  });

  test("an upstream that fetches a health page with a status of the client's choice grants no tunnel by 101 alone", async () => {
    // The classic: an endpoint that answers with the status of a URL that the client names, 101 among them.
    const { backend, gate } = await startPair(
      "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n",
      BY_THE_BOOK,
    );
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/health?u=http://evil.test/") + SMUGGLED);
    expect((await readResponse(client)).status).toBe(502);
    expect((await readResponse(client)).status).toBe(403);
    expect(bytesAt(backend)).not.toContain("/admin");
    await gate.waitForLog(
      /upstream sent an invalid WebSocket answer .*rule "upgrade".* while reading response header from upstream/,
    );
  });

  test.each([
    ["no Sec-WebSocket-Accept", SWITCHING.replace(/Sec-WebSocket-Accept: \S+\r\n/, "")],
    ["one for another key", SWITCHING.replace(HANDSHAKE_ACCEPT, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
    ["another protocol", SWITCHING.replace("Upgrade: websocket", "Upgrade: h2c")],
    ["no Connection", SWITCHING.replace("Connection: Upgrade\r\n", "")],
    [
      "a subprotocol nobody asked for",
      SWITCHING.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"),
    ],
    [
      "an extension nobody asked for",
      SWITCHING.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
    ],
  ])("a 101 with %s is 502, and the upstream's connection is closed", async (_what, answer) => {
    const { backend, gate } = await startPair(answer);
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/"));
    expect((await readResponse(client)).status).toBe(502);
    const upstream = await backend.connection(0);
    await upstream.toEnd();
    await client.send(SMUGGLED);
    expect((await readResponse(client)).status).toBe(403);
  });

  test.each([
    ["a plain request", requestBytes({})],
    ["one with Upgrade that Connection does not list", requestBytes({ headers: { Upgrade: "websocket" } })],
    ["a POST", requestBytes({ method: "POST", body: "x" })],
  ])("a 101 that nobody asked for is 502, whatever it says: %s", async (what, bytes) => {
    const { backend, gate } = await startPair(SWITCHING);
    const client = await connectRaw({ port: gate.port() });
    await client.send(bytes);
    const { status } = await readResponse(client);
    expect(status).toBe(what.startsWith("one with") ? 400 : 502);
    for (const upstream of backend.connections) await upstream.toEnd();
  });

  test("a 101 with a length begins a tunnel of raw bytes, and the client is told of no body", async () => {
    const { gate } = await startPair(SWITCHING.replace("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n") + FRAME);
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/"));
    const head = await client.until("\r\n\r\n");
    expect(head).not.toMatch(/content-length|transfer-encoding/i);
    await client.exactly(FRAME);
  });
});

describe("h2c never passes", () => {
  const everything = `websocket_upgrade manual; proxy_upgrade_protocols any; ${BY_THE_BOOK}`;
  test.each([
    ["h2c", { Upgrade: "h2c", Connection: "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABk" }],
    ["H2C in capitals", { Upgrade: "H2C", Connection: "Upgrade" }],
    ["h2c behind a websocket", { Upgrade: "websocket, h2c", Connection: "Upgrade" }],
    ["h2c behind tabs", { Upgrade: "\t h2c \t", Connection: "Upgrade" }],
    ["h2c in a list with empty members", { Upgrade: ",,h2c,", Connection: "Upgrade" }],
    ["h2c with a version", { Upgrade: "h2c/2.0", Connection: "Upgrade" }],
  ])("%s, though every protocol is allowed", async (_what, headers) => {
    const { backend, gate } = await startPair("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", everything);
    const client = await connectRaw({ port: gate.port() });
    await client.send(requestBytes({ headers }));
    await readResponse(client);
    expect(backend.requests[0]?.header("upgrade")).toBeUndefined();
    expect(backend.requests[0]?.header("http2-settings")).toBeUndefined();
    expect(backend.requests[0]?.header("connection") ?? "").not.toMatch(/upgrade/i);
  });

  test("nor in a second Upgrade line", async () => {
    const { backend, gate } = await startPair("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", everything);
    const client = await connectRaw({ port: gate.port() });
    await client.send(
      "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: foo\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    );
    await readResponse(client);
    expect(bytesAt(backend)).not.toMatch(/h2c/i);
  });

  test("nor the preface of HTTP/2 with prior knowledge", async () => {
    const { backend, gate } = await startPair(SWITCHING, everything);
    const client = await connectRaw({ port: gate.port() });
    await client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    await client.toEnd();
    expect(backend.connections).toEqual([]);
  });
});

describe("CVE-2025-30157: an answer of the gate's own in the middle of a failed handshake", () => {
  const wrong = SWITCHING.replace(HANDSHAKE_ACCEPT, "wrong");
  test("is an error page, a proxied one too, and the connection goes on", async () => {
    const page = await startRawBackend("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsorry");
    const { gate } = await startPair(
      wrong + FRAME,
      `error_page 502 = @page; } location @page { proxy_pass http://${page.address};`,
    );
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/"));
    // The refusal names the broken rule in its body, so there is no page in its place.
    expect((await readResponse(client)).status).toBe(502);
    await client.send(SMUGGLED);
    expect((await readResponse(client)).status).toBe(403);
  });

  test.each([
    ["the upstream resets", (peer: { reset(): void }) => peer.reset()],
    ["the upstream ends", (peer: { end(): void }) => peer.end()],
  ])("when %s: 502 with its page, and the connection goes on", async (_what, end) => {
    const { gate } = await startPair(
      (_request, peer) => end(peer),
      'error_page 502 = @page; } location @page { return 200 "page";',
    );
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/"));
    expect((await readResponse(client)).body).toBe("page");
    await client.send(SMUGGLED);
    expect((await readResponse(client)).status).toBe(403);
  });

  test("and a client that goes away meanwhile takes the upstream connection along", async () => {
    const { backend, gate } = await startPair((_request, peer) => peer.send("HTTP/1.1 101 Swi"));
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/"));
    const upstream = await backend.connection(0);
    client.reset();
    await upstream.toEnd();
    expect(upstream.inbox.ending).toBeDefined();
    await gate.waitForFile("logs/access.log", /"GET \/ HTTP\/1\.1" 499 /);
  });
});
