/** The way of a WebSocket's opening handshake, and of what pretends to be one. */
import { describe, expect, test } from "vitest";
import { type RawBackend, startHttpBackend, startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { serverFrame } from "./rig/frames.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const SWITCHING_LINES = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Accept": HANDSHAKE_ACCEPT,
};

/** A 101 with these lines changed or (null) left out. */
function switching(changes: Readonly<Record<string, string | null>> = {}): string {
  const lines = Object.entries({ ...SWITCHING_LINES, ...changes }).filter(([, value]) => value !== null);
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

function startInFrontOf(
  backend: { readonly address: string },
  settings = "",
  locations = "",
): Promise<Proxy> {
  return startGate({
    http: `
      map $http_upgrade $connection_upgrade { default upgrade; '' close; }
      log_format tunnel "$status $websocket_ended_by $websocket_end $websocket_bytes_in $websocket_bytes_out [$websocket_subprotocol]";
      server { listen 127.0.0.1:{{port:front}}; access_log logs/tunnel.log tunnel;
        location / { proxy_pass http://${backend.address}; ${settings} } ${locations} }`,
  });
}

/** What comes back for a handshake, on a connection that stays open. */
async function shakeHands(gate: Proxy, bytes = handshakeBytes("/")) {
  const client = await connectRaw({ port: gate.port() });
  await client.send(bytes);
  return { client, response: await readResponse(client) };
}

function headersSeen(backend: RawBackend): readonly string[] {
  return (backend.requests[0]?.headers ?? []).map(([name, value]) => `${name}: ${value}`);
}

const THREE_LINES =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';
const MAPPED_LINES =
  "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;";

describe("a WebSocket passes through a location that", () => {
  test.each([
    ["says nothing about upgrades", ""],
    ["has the three famous lines", THREE_LINES],
    ["maps Connection", MAPPED_LINES],
    ["maps Connection and leaves nothing to wsgate", `${MAPPED_LINES} websocket_upgrade manual;`],
    ["wants kept connections", 'proxy_http_version 1.1; proxy_set_header Connection "";'],
    ["speaks HTTP/1.0 otherwise", "proxy_http_version 1.0;"],
    ["does not buffer", "proxy_buffering off; proxy_request_buffering off;"],
    ["is content with a relaxed handshake", "websocket_handshake relaxed;"],
  ])("%s", async (_what, settings) => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend, settings);
    const client = await connectWebSocket("ws", gate.url("ws", "/chat?room=1"));
    client.send("hello");
    expect(await client.next()).toBe("hello");
    client.close(1000, "done");
    expect(await client.closed).toEqual({ code: 1000, reason: "done" });
    expect(backend.handshakes[0]?.url).toBe("/chat?room=1");
    await gate.waitForFile("logs/tunnel.log", /^101 client close \d+ \d+ \[-\]$/m);
  });
});

test("the handshake reaches the upstream as the client wrote it, all its subprotocols and extensions included", async () => {
  const backend = await startRawBackend(switching({ "Sec-WebSocket-Protocol": "b" }));
  const gate = await startInFrontOf(backend);
  const extensions = "permessage-deflate; client_max_window_bits, x-other";
  const { response } = await shakeHands(
    gate,
    handshakeBytes("/", {
      Upgrade: "WebSocket",
      "sec-websocket-PROTOCOL": "a, b, c",
      "Sec-WebSocket-Extensions": extensions,
      Origin: "https://page.test",
      Cookie: "a=1",
    }),
  );
  expect(response.status).toBe(101);
  expect(response.header("Sec-WebSocket-Protocol")).toBe("b");
  expect(response.header("Sec-WebSocket-Accept")).toBe(HANDSHAKE_ACCEPT);
  expect(headersSeen(backend)).toEqual([
    `Host: ${backend.address}`,
    "Upgrade: WebSocket",
    "Connection: upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "sec-websocket-PROTOCOL: a, b, c",
    `Sec-WebSocket-Extensions: ${extensions}`,
    "Origin: https://page.test",
    "Cookie: a=1",
  ]);
});

describe("bytes around the 101", () => {
  test("cut anywhere, the 101 is the same, and so are the bytes after it", async () => {
    const whole = `${switching()}${serverFrame("after")}`;
    const gateSettings = "proxy_read_timeout 5s;";
    const backend = await startRawBackend(async (request, peer) => {
      const cut = Number(request.target.slice(1));
      await peer.sendPieces([whole.slice(0, cut), whole.slice(cut)]);
    });
    const gate = await startInFrontOf(backend, gateSettings);
    for (let cut = 1; cut < whole.length; cut += 7) {
      const { client, response } = await shakeHands(gate, handshakeBytes(`/${cut}`));
      expect(response.status).toBe(101);
      await client.exactly(serverFrame("after"));
      await client.close();
    }
  });
});

describe("a client's handshake is refused before the upstream is asked, and the rule is named, when it", () => {
  test.each([
    ["key", "has no key", { "Sec-WebSocket-Key": undefined }],
    ["connection", "does not ask for an upgrade in Connection", { Connection: "keep-alive" }],
    ["version", "has no version", { "Sec-WebSocket-Version": undefined }],
    ["subprotocols", "names a subprotocol twice", { "Sec-WebSocket-Protocol": "a, a" }],
    ["extensions", "breaks the grammar of extensions", { "Sec-WebSocket-Extensions": "a b" }],
    // CVE-2026-58055
    ["no-body", "has a body", { "Content-Length": "5" }],
    ["no-body", "has chunks", { "Transfer-Encoding": "chunked" }],
  ] as const)("breaks the rule %s: %s", async (rule, _what, headers) => {
    const backend = await startRawBackend(switching());
    const gate = await startInFrontOf(backend);
    const { response } = await shakeHands(gate, handshakeBytes("/", headers));
    expect([response.status, response.body]).toEqual([400, expect.stringContaining(`rule "${rule}"`)]);
    await gate.waitForLog(new RegExp(`\\[error\\] .*client sent an invalid WebSocket .*rule "${rule}"`));
    expect(backend.connections).toEqual([]);
  });

  test("has another version, which is told by 426 and the one that is spoken", async () => {
    const gate = await startInFrontOf(await startRawBackend(switching()));
    const { response } = await shakeHands(gate, handshakeBytes("/", { "Sec-WebSocket-Version": "8" }));
    expect([response.status, response.header("Sec-WebSocket-Version")]).toEqual([426, "13"]);
  });

  test("is a POST", async () => {
    const backend = await startRawBackend(switching());
    const gate = await startInFrontOf(backend);
    const { response } = await shakeHands(gate, handshakeBytes("/").replace("GET", "POST"));
    expect([response.status, response.body]).toEqual([400, expect.stringContaining('rule "method"')]);
  });
});

test("a relaxed handshake leaves the verdict to the upstream", async () => {
  const backend = await startRawBackend("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno!");
  const gate = await startInFrontOf(backend, "websocket_handshake relaxed;");
  const { response } = await shakeHands(
    gate,
    handshakeBytes("/", { "Sec-WebSocket-Key": undefined, "Sec-WebSocket-Version": "8" }),
  );
  expect([response.status, response.body]).toEqual([426, "no!"]);
  expect(headersSeen(backend)).toContain("Upgrade: websocket");
});

describe("an upstream's 101 is 502, the rule is named and its connection closed, when it", () => {
  test.each([
    ["accept", "has no accept", { "Sec-WebSocket-Accept": null }],
    ["accept", "answers another key", { "Sec-WebSocket-Accept": "AAAAAAAAAAAAAAAAAAAAAAAAAAA=" }],
    ["upgrade", "has no Upgrade", { Upgrade: null }],
    ["upgrade", "changes to another protocol", { Upgrade: "h2c" }],
    ["connection", "has no Connection", { Connection: null }],
    ["subprotocol", "chooses a subprotocol that was not offered", { "Sec-WebSocket-Protocol": "x" }],
    ["extensions", "accepts an extension that was not offered", { "Sec-WebSocket-Extensions": "x" }],
  ] as const)("breaks the rule %s: %s", async (rule, _what, changes) => {
    const backend = await startRawBackend(switching(changes));
    const gate = await startInFrontOf(backend);
    const { response } = await shakeHands(gate);
    expect([response.status, response.body]).toEqual([502, expect.stringContaining(`rule "${rule}"`)]);
    await gate.waitForLog(
      new RegExp(`\\[error\\] .*upstream sent an invalid .*rule "${rule}".* while reading`),
    );
    expect((await backend.connection(0)).closed).toBeDefined();
    await (await backend.connection(0)).toEnd();
  });

  test("answers a request that asked for no upgrade", async () => {
    const backend = await startRawBackend(`${switching()}tunnel?`);
    const gate = await startInFrontOf(backend);
    const { response } = await shakeHands(gate, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(response.status).toBe(502);
    await gate.waitForLog(/upstream sent 101 although nobody asked for an upgrade/);
  });

  test("answers an Upgrade that only the configuration asked for", async () => {
    const backend = await startRawBackend(`${switching()}tunnel?`);
    const gate = await startInFrontOf(
      backend,
      'proxy_set_header Upgrade websocket; proxy_set_header Connection "upgrade";',
    );
    const { response } = await shakeHands(gate, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(response.status).toBe(502);
    expect(headersSeen(backend)).toContain("Upgrade: websocket");
  });
});

describe("an answer that is no 101 leaves no tunnel behind", () => {
  // CVE-2026-2833, CVE-2024-23326
  test("what a client sent after its handshake is its next request, and is treated as one", async () => {
    const backend = await startRawBackend("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const gate = await startInFrontOf(backend, "", "location /admin { return 403; }");
    const client = await connectRaw({ port: gate.port() });
    await client.send(`${handshakeBytes("/")}GET /admin HTTP/1.1\r\nHost: a\r\n\r\n`);
    const first = await readResponse(client);
    expect([first.status, first.body]).toEqual([200, "ok"]);
    expect((await readResponse(client)).status).toBe(403);
    expect(backend.requests).toHaveLength(1);
    expect((await backend.connection(0)).inbox.received).not.toContain("/admin");
  });

  test.each([
    ["400", "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad"],
    [
      "426 of a smuggler's backend",
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    ],
    ["a redirect", "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 5\r\n\r\nthere"],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
  ])("%s passes, and the connections on both sides go on with HTTP", async (_what, answer) => {
    const backend = await startRawBackend(answer);
    const gate = await startInFrontOf(backend);
    const client = await connectRaw({ port: gate.port() });
    for (let i = 0; i < 3; i++) {
      await client.send(handshakeBytes("/"));
      const response = await readResponse(client);
      expect(response.startLine).toBe(answer.slice(0, answer.indexOf("\r\n")));
      expect(response.header("Upgrade")).toBeUndefined();
    }
    expect(backend.requests).toHaveLength(3);
    expect(backend.connections).toHaveLength(1);
  });
});

describe("protocols other than websocket", () => {
  const OTHER = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: custom/1\r\n\r\n";
  const OTHER_SWITCH = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: custom/1\r\n\r\n";

  test("are not passed on", async () => {
    const backend = await startHttpBackend();
    const gate = await startInFrontOf(backend, MAPPED_LINES);
    const { response } = await shakeHands(gate, OTHER);
    expect(response.status).toBe(200);
    expect(backend.requests[0]?.headers).not.toHaveProperty("upgrade");
  });

  test.each([
    "proxy_upgrade_protocols custom/1;",
    "proxy_upgrade_protocols any;",
    `proxy_upgrade_protocols any; ${THREE_LINES}`,
  ])("are tunnelled where the location allows them: %s", async (settings) => {
    const backend = await startRawBackend(async (_request, peer) => {
      await peer.send(`${OTHER_SWITCH}hello`);
      await peer.exactly("world");
      peer.end();
    });
    const gate = await startInFrontOf(backend, settings);
    const { client, response } = await shakeHands(gate, OTHER);
    expect([response.status, response.header("Upgrade")]).toEqual([101, "custom/1"]);
    await client.exactly("hello");
    await client.send("world");
    expect(await client.toEnd()).toBe("");
  });

  test("are not passed on with a body, whose end would be the beginning of the tunnel", async () => {
    const backend = await startHttpBackend();
    const gate = await startInFrontOf(backend, `${MAPPED_LINES} proxy_upgrade_protocols any;`);
    const withBody = OTHER.replace("GET", "POST").replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\nbody");
    expect((await shakeHands(gate, withBody)).response.status).toBe(200);
    expect(backend.requests[0]).toMatchObject({ method: "POST", body: "body" });
    expect(backend.requests[0]?.headers).not.toHaveProperty("upgrade");
  });

  test("are not tunnelled to another protocol than the one that was asked for", async () => {
    const backend = await startRawBackend(OTHER_SWITCH.replace("custom/1", "other/2"));
    const gate = await startInFrontOf(backend, "proxy_upgrade_protocols any;");
    expect((await shakeHands(gate, OTHER)).response.status).toBe(502);
  });

  test.each([
    "",
    MAPPED_LINES,
    THREE_LINES,
    `${THREE_LINES} proxy_upgrade_protocols any; websocket_upgrade manual;`,
  ])("h2c never goes upstream, nor do its settings: %s", async (settings) => {
    const backend = await startHttpBackend();
    const gate = await startInFrontOf(backend, settings);
    for (const upgrade of ["h2c", "H2C", "websocket, h2c"]) {
      const { client } = await shakeHands(
        gate,
        `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`,
      );
      await client.close();
    }
    expect(backend.requests).toHaveLength(3);
    for (const { headers } of backend.requests) {
      expect(headers).not.toHaveProperty("upgrade");
      expect(headers).not.toHaveProperty("http2-settings");
      expect(headers["connection"] ?? "").not.toContain("upgrade");
    }
  });
});

test("websocket_upgrade off refuses a handshake with 426 and lets everything else pass", async () => {
  const backend = await startHttpBackend();
  const gate = await startInFrontOf(backend, "websocket_upgrade off;");
  expect((await shakeHands(gate)).response.status).toBe(426);
  expect((await shakeHands(gate, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).response.status).toBe(200);
});

test("websocket_upgrade manual passes only what the location sets, as nginx does", async () => {
  const backend = await startHttpBackend();
  const gate = await startInFrontOf(backend, "websocket_upgrade manual;");
  expect((await shakeHands(gate)).response.status).toBe(200);
  expect(backend.requests[0]?.headers).not.toHaveProperty("upgrade");
  expect(backend.requests[0]?.headers).toHaveProperty("sec-websocket-key");
});

// CVE-2026-44578
test("a target in absolute form chooses neither the upstream nor what stands in its request line", async () => {
  const backend = await startRawBackend(switching());
  const gate = await startInFrontOf(backend);
  const { response } = await shakeHands(gate, handshakeBytes("http://169.254.169.254:1/latest?x"));
  expect(response.status).toBe(101);
  expect(backend.requests[0]?.startLine).toBe("GET /latest?x HTTP/1.1");
  expect(headersSeen(backend)).toContain(`Host: ${backend.address}`);
});

test("a retried handshake goes to the next peer, and the tunnel is built with that", async () => {
  const broken = await startRawBackend((_request, peer) => peer.end());
  const good = await startWebSocketBackend();
  const gate = await startGate({
    http: `upstream app { server ${broken.address}; server ${good.address}; }
      server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://app; } }`,
  });
  const client = await connectWebSocket("ws", gate.url("ws", "/"));
  client.send("through");
  expect(await client.next()).toBe("through");
  client.close();
});
