/**
 * What readers of five articles on WebSockets behind nginx paste into their files, and what must come of it: a test for
 * each claim of the seeds' expect.json, between real clients and real backends.
 *
 * The seeds lie beside the repository. Each is used as it is, but for ports, addresses and paths, which become the
 * test's own: every `listen` becomes one plain and one TLS port.
 */
import { lookup } from "node:dns/promises";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { portObstacle } from "../src/cli/demo-ports.ts";
import {
  startHttpBackend,
  startRawBackend,
  startWebSocketBackend,
  type WebSocketBackend,
} from "./rig/backends.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, type HttpRequestOptions, request } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, REPOSITORY, runGate, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { isContinuousIntegration } from "./rig/requires.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

const SEEDS = join(REPOSITORY, "../shared/seeds");
const MIME_TYPES = "types { text/html html; application/json json; }";

useRig();

beforeEach((context) => {
  if (existsSync(SEEDS)) return;
  if (isContinuousIntegration()) throw new Error(`the seeds are missing: ${SEEDS}`);
  context.skip(`the seeds are missing: ${SEEDS}`);
});

/** A seed with its ports, addresses and paths replaced; each of them must be there to be replaced. */
function seed(name: string, replacements: Readonly<Record<string, string>> = {}): string {
  let text = readFileSync(join(SEEDS, name), "utf8");
  for (const [from, to] of Object.entries(replacements)) {
    expect(text, `${name} as the test knows it`).toContain(from);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** What stands for a `listen`: the ports `plain` and `tls`. */
async function ownListen(): Promise<string> {
  const { certificate, key } = await leafFiles({ names: ["localhost", "127.0.0.1", "test.enzhico.net"] });
  return [
    "listen 127.0.0.1:{{port:plain}};",
    "listen 127.0.0.1:{{port:tls}} ssl;",
    `ssl_certificate ${certificate};`,
    `ssl_certificate_key ${key};`,
  ].join(" ");
}

/** The article's certificates, which go since {@link ownListen} brings the test's. */
const ARTICLE_CERTIFICATES = {
  "ssl_certificate /etc/letsencrypt/live/test.enzhico.net/fullchain.pem;": "",
  "ssl_certificate_key /etc/letsencrypt/live/test.enzhico.net/privkey.pem;": "",
} as const;

const SCHEMES = [
  { webSocket: "ws", http: "http", portName: "plain" },
  { webSocket: "wss", http: "https", portName: "tls" },
] as const;

/** An open WebSocket that has proved to reach an echoing backend. */
async function expectEcho(url: string): Promise<WebSocketClient> {
  const client = await connectWebSocket("ws", url, { ca: await authorityCertificate() });
  client.send("through the gate");
  expect(await client.next()).toBe("through the gate");
  return client;
}

async function get(
  gate: Proxy,
  portName: "plain" | "tls",
  options: HttpRequestOptions,
): Promise<{ status: number; body: string }> {
  const tls = portName === "tls" ? { tls: { ca: await authorityCertificate() } } : {};
  return await request({ port: gate.port(portName), ...tls, ...options });
}

/** Everything that all working seeds have in common: WebSockets over ws and wss, and plain requests beside them. */
async function expectAllToPass(
  gate: Proxy,
  backend: WebSocketBackend,
  path: string,
  pathAtBackend: string = path,
): Promise<void> {
  for (const { webSocket, portName } of SCHEMES) {
    await expectEcho(gate.url(webSocket, path, portName));
    expect(backend.handshakes.at(-1)?.url).toBe(pathAtBackend);
    const response = await get(gate, portName, { target: path });
    expect(response.status).toBe(200);
    expect(JSON.parse(response.body)).toMatchObject({ url: pathAtBackend });
  }
}

/** The text of a domain name as the bytes of a header. */
function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

describe("s0-example-1-server.conf", () => {
  async function start(backend: WebSocketBackend): Promise<Proxy> {
    const server = seed("s0-example-1-server.conf", { "listen 80;": await ownListen() });
    return await startGate({
      http: `
        upstream myweb_backend { server ${backend.address}; }
        server { listen 127.0.0.1:{{port:plain}} default_server; return 444; }
        ${server}`,
    });
  }

  test("passes WebSockets and HTTP for the UTF-8 and the punycode form of its name, and for no other", async () => {
    const backend = await startWebSocketBackend();
    const gate = await start(backend);
    for (const host of [utf8("域名"), "xn--eqrt2g"]) {
      const client = await connectRaw({ port: gate.port("plain") });
      await client.send(handshakeBytes("/", { Host: host }));
      expect((await readResponse(client)).status).toBe(101);
      expect((await get(gate, "plain", { headers: { Host: host } })).status).toBe(200);
    }
    const stranger = await connectRaw({ port: gate.port("plain") });
    await stranger.send(handshakeBytes("/", { Host: "other.example" }));
    expect(await stranger.toEnd()).toBe("");
  });

  test("passes WebSockets over wss", async () => {
    const gate = await start(await startWebSocketBackend());
    await expectEcho(gate.url("wss", "/", "tls"));
  });
});

describe("s0-example-2-http.conf", () => {
  const main = (): string => seed("s0-example-2-http.conf", { "/etc/nginx/conf.d": "{{prefix}}/conf.d" });

  async function start(files: Readonly<Record<string, string>>): Promise<Proxy> {
    return await startGate({
      config: `events {}\n${main()}`,
      files: { "conf/mime.types": MIME_TYPES, ...files },
    });
  }

  async function serverFile(): Promise<string> {
    return seed("s0-example-2-server.conf", { "listen 80;": await ownListen() });
  }

  test("an empty conf.d is no error, and 1020000M a legal size", async () => {
    const prefix = temporaryFolder();
    writeFileSync(join(prefix, "mime.types"), MIME_TYPES);
    const config = main().replace("{{prefix}}", prefix);
    writeFileSync(join(prefix, "nginx.conf"), `events {}\n${config}`);
    const { code, stderr } = await runGate(["-t", "-p", prefix, "-c", join(prefix, "nginx.conf")]);
    expect(stderr).toContain("syntax is ok");
    expect([code, stderr]).toEqual([0, expect.stringContaining("test is successful")]);
  });

  test("its log lines carry all eleven variables, for a request and for a WebSocket", async () => {
    const backend = await startWebSocketBackend();
    const upstream = `upstream myweb_backend { server ${backend.address}; }`;
    const gate = await start({ "conf.d/upstream.conf": upstream, "conf.d/server.conf": await serverFile() });
    await get(gate, "plain", {
      target: "/page",
      headers: {
        "X-Real-IP": "192.0.2.1",
        Referer: "here",
        "User-Agent": "rig",
        "X-Forwarded-For": "192.0.2.2",
      },
    });
    await gate.stdout.waitFor(
      /^192\.0\.2\.1 - - \[[^\]]+\] "GET \/page HTTP\/1\.1" 200 \d+ "here" "rig" "192\.0\.2\.2" \d+\.\d{3} \d+\.\d{3}$/m,
    );
    const client = await expectEcho(gate.url("ws", "/socket", "plain"));
    client.close(1000);
    await client.closed;
    await gate.stdout.waitFor(
      /^- - - \[[^\]]+\] "GET \/socket HTTP\/1\.1" 101 \d+ "-" "-" "-" \d+\.\d{3} \d+\.\d{3}$/m,
    );
  });

  test("the map serves every file of conf.d", async () => {
    const backend = await startWebSocketBackend();
    const second = `server {
      listen 127.0.0.1:{{port:second}};
      location / {
        proxy_pass http://${backend.address};
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
      }
    }`;
    const gate = await start({
      "conf.d/a.conf": `upstream myweb_backend { server ${backend.address}; }`,
      "conf.d/b.conf": await serverFile(),
      "conf.d/c.conf": second,
    });
    await expectAllToPass(gate, backend, "/any");
    await expectEcho(gate.url("ws", "/", "second"));
  });

  test("s0-example-2-server.conf sends Connection: upgrade with a WebSocket and Connection: close without", async () => {
    const backend = await startWebSocketBackend();
    const upstream = `upstream myweb_backend { server ${backend.address}; }`;
    const gate = await start({ "conf.d/upstream.conf": upstream, "conf.d/server.conf": await serverFile() });
    for (const { webSocket, portName } of SCHEMES) {
      await expectEcho(gate.url(webSocket, "/", portName));
      expect(backend.handshakes.at(-1)?.headers).toMatchObject({
        connection: "upgrade",
        upgrade: "websocket",
      });
      await get(gate, portName, {});
      expect(backend.requests.at(-1)?.headers["connection"]).toBe("close");
      expect(backend.requests.at(-1)?.headers).not.toHaveProperty("upgrade");
    }
  });
});

describe("s1-chat.conf", () => {
  /** Without a `listen` nginx takes port 80, and 8000 without privileges. */
  const port = process.getuid?.() === 0 ? 80 : 8000;

  beforeEach(async (context) => {
    if ((await portObstacle(port)) === undefined) return;
    if (isContinuousIntegration()) throw new Error(`port ${port} is taken`);
    context.skip(`port ${port} is taken`);
  });

  async function start(backend: WebSocketBackend): Promise<Proxy> {
    const config = seed("s1-chat.conf", {
      "127.0.0.1:8000": backend.address,
      "/var/log/nginx": "{{prefix}}/logs",
    });
    return await startGate({ config });
  }

  test("listens on port 80, or 8000 without privileges, with as many workers as cores", async () => {
    const backend = await startWebSocketBackend();
    const gate = await start(backend);
    expect(gate.listeners).toMatchObject([{ address: `0.0.0.0:${port}`, isTls: false }]);
    await expectEcho(`ws://127.0.0.1:${port}/chat/`);
    expect((await request({ port, target: "/chat/room" })).status).toBe(200);
    const workers = gate.stderr.text.match(/start worker process \d+$/gm) ?? [];
    // One core is served by the main process itself.
    expect(workers).toHaveLength(availableParallelism() === 1 ? 0 : availableParallelism());
  });

  test("keeps open WebSockets through a reload, and serves new ones after it", async () => {
    const backend = await startWebSocketBackend();
    const gate = await start(backend);
    const early = await expectEcho(`ws://127.0.0.1:${port}/chat/`);
    expect(await gate.reload()).toBe(true);
    early.send("still here");
    expect(await early.next()).toBe("still here");
    await expectEcho(`ws://127.0.0.1:${port}/chat/`);
  });

  test("works for wss when it stands behind a gate that ends TLS", async () => {
    const backend = await startWebSocketBackend();
    await start(backend);
    const listen = await ownListen();
    const front = await startGate({
      http: `server { ${listen} location / { proxy_pass http://127.0.0.1:${port}; } }`,
    });
    await expectEcho(front.url("wss", "/chat/", "tls"));
    expect((await get(front, "tls", { target: "/chat/" })).status).toBe(200);
  });
});

describe("s1-conf.d-websocket.conf", () => {
  async function start(backendPort: number): Promise<Proxy> {
    const listen = await ownListen();
    const text = seed("s1-conf.d-websocket.conf", {
      "listen 443 ssl;": listen,
      "localhost:8282": `localhost:${backendPort}`,
      ...ARTICLE_CERTIFICATES,
    });
    return await startGate({ http: text });
  }

  test("passes wss on to ws, with Host, X-Real-IP and X-Forwarded-For", async () => {
    const backend = await startWebSocketBackend();
    const gate = await start(backend.port);
    const client = await connectWebSocket("ws", gate.url("wss", "/room", "tls"), {
      ca: await authorityCertificate(),
      headers: { Host: "test.enzhico.net", "X-Forwarded-For": "192.0.2.7" },
    });
    client.send("hello");
    expect(await client.next()).toBe("hello");
    expect(backend.handshakes[0]?.headers).toMatchObject({
      host: "test.enzhico.net",
      "x-real-ip": "127.0.0.1",
      "x-forwarded-for": "192.0.2.7, 127.0.0.1",
    });
    await expectAllToPass(gate, backend, "/room");
  });

  test("reaches the backend under every address that localhost has", async () => {
    const [first, ...others] = await lookup("localhost", { all: true });
    const backends = [await startWebSocketBackend({ host: first?.address ?? "" })];
    const port = backends[0]?.port ?? 0;
    for (const { address } of others) backends.push(await startWebSocketBackend({ host: address, port }));
    const gate = await start(port);
    for (let i = 0; i < backends.length; i++) await expectEcho(gate.url("wss", "/", "tls"));
    expect(backends.map(({ handshakes }) => handshakes.length)).toEqual(backends.map(() => 1));
  });
});

describe("s3-location.conf", () => {
  test.each(["/websocket", "/websocket/x", "/websocketx"])("takes %s, over TLS too", async (path) => {
    const backend = await startWebSocketBackend();
    const location = seed("s3-location.conf");
    const gate = await startGate({
      http: `upstream backend { server ${backend.address}; } server { ${await ownListen()} ${location} }`,
    });
    await expectAllToPass(gate, backend, path);
    expect((await get(gate, "plain", { target: "/web" })).status).toBe(404);
  });
});

describe("s4-path.conf", () => {
  async function start(backend: WebSocketBackend): Promise<Proxy> {
    const config = seed("s4-path.conf", {
      "listen 8080;": await ownListen(),
      "127.0.0.1:8808": backend.address,
    });
    return await startGate({ config, files: { "conf/mime.types": MIME_TYPES } });
  }

  test("/websocket/xxx reaches the backend as /xxx", async () => {
    const backend = await startWebSocketBackend();
    await expectAllToPass(await start(backend), backend, "/websocket/xxx", "/xxx");
  });

  test("/websocket alone is redirected to /websocket/ with 301", async () => {
    const gate = await start(await startWebSocketBackend());
    for (const { http, portName } of SCHEMES) {
      const tls = portName === "tls" ? { tls: { ca: await authorityCertificate() } } : {};
      const response = await request({
        port: gate.port(portName),
        ...tls,
        target: "/websocket",
        headers: { Host: "localhost" },
      });
      expect(response.status).toBe(301);
      expect(response.header("location")).toBe(`${http}://localhost:${gate.port(portName)}/websocket/`);
    }
  });

  test("explain tells which location took a path and what reached the backend", async () => {
    const backend = await startWebSocketBackend();
    const gate = await start(backend);
    const url = gate.url("ws", "/websocket/xxx", "plain").replace("127.0.0.1", "localhost");
    const { code, stdout } = await runGate(["explain", url, "-c", `${gate.prefix}/conf/nginx.conf`]);
    expect(code).toBe(0);
    expect(stdout).toContain(`goes to http://${backend.address}/xxx as a WebSocket`);
    expect(stdout).toContain("=>/websocket/: the longest prefix");
    expect(stdout).toContain('/xxx: "/" of proxy_pass takes the place of "/websocket/"');
  });

  test("writes its own format into logs/access.log", async () => {
    const gate = await start(await startWebSocketBackend());
    const response = await get(gate, "plain", { target: "/websocket/x", headers: { Host: "localhost" } });
    expect(response.status).toBe(200);
    await gate.waitForFile(
      "logs/access.log",
      new RegExp(`"localhost:${gate.port("plain")}" "GET /websocket/x HTTP/1.1" 200 \\d+ "-" "-" "-"`),
    );
  });
});

describe("s4-map-keepalive.conf", () => {
  test("a plain request goes upstream with Connection: keep-alive, a WebSocket with upgrade", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startGate({
      http: seed("s4-map-keepalive.conf", {
        "listen 8080;": await ownListen(),
        "127.0.0.1:8808": backend.address,
      }),
    });
    await expectAllToPass(gate, backend, "/websocket/a", "/a");
    expect(backend.handshakes.map(({ headers }) => headers["connection"])).toEqual(["upgrade", "upgrade"]);
    expect(backend.requests.map(({ headers }) => headers["connection"])).toEqual([
      "keep-alive",
      "keep-alive",
    ]);
  });
});

/** An idle tunnel's life, in seconds by the gate's clock, until the gate ends it. */
async function lifeOfIdleTunnel(gate: Proxy, clockFactor: number, target: string): Promise<number> {
  const client = await connectRaw({ port: gate.port("plain") });
  const startMs = performance.now();
  await client.send(handshakeBytes(target));
  expect((await readResponse(client)).status).toBe(101);
  await client.toEnd();
  return ((performance.now() - startMs) / 1000) * clockFactor;
}

test("idle tunnels live as long as proxy_read_timeout says, with a unit and without", async () => {
  const silent = await startRawBackend(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`,
  );
  const upstream = `upstream myweb_backend { server ${silent.address}; }`;
  const listen = await ownListen();
  const cases = [
    {
      seconds: 600,
      http: `${upstream} ${seed("s0-example-1-server.conf", { "listen 80;": listen })}`,
    },
    {
      seconds: 600,
      http: `${upstream} map $http_upgrade $connection_upgrade { default upgrade; } ${seed("s0-example-2-server.conf", { "listen 80;": listen })}`,
    },
    {
      seconds: 300,
      http: seed("s1-conf.d-websocket.conf", {
        "listen 443 ssl;": listen,
        "localhost:8282": `localhost:${silent.port}`,
        ...ARTICLE_CERTIFICATES,
      }),
    },
    {
      seconds: 300,
      http: `server { ${listen} ${seed("s4-read-timeout.conf", { "127.0.0.1:8808": silent.address })} }`,
    },
  ];
  const clockFactor = 200;
  const lives = cases.map(async ({ http }) => {
    const gate = await startGate({ http, clockFactor });
    return await lifeOfIdleTunnel(gate, clockFactor, "/websocket/");
  });
  for (const [i, life] of (await Promise.all(lives)).entries()) {
    const seconds = cases[i]?.seconds ?? 0;
    expect(life).toBeGreaterThan(seconds * 0.99);
    // A busy machine adds tenths of a second, each of which is twenty seconds here.
    expect(life).toBeLessThan(seconds * 1.5);
  }
});

describe("s4-read-timeout.conf", () => {
  test("passes WebSockets and HTTP", async () => {
    const backend = await startWebSocketBackend();
    const location = seed("s4-read-timeout.conf", { "127.0.0.1:8808": backend.address });
    const gate = await startGate({ http: `server { ${await ownListen()} ${location} }` });
    for (const { webSocket, portName } of SCHEMES) {
      await expectEcho(gate.url(webSocket, "/websocket/a", portName));
      expect(backend.handshakes.at(-1)?.url).toBe("/a");
    }
  });
});

describe("broken seeds get a diagnosis", () => {
  async function diagnose(text: string): Promise<{ code: number | null; text: string }> {
    const prefix = temporaryFolder();
    writeFileSync(join(prefix, "nginx.conf"), text);
    const { code, stderr } = await runGate(["-t", "-p", prefix, "-c", join(prefix, "nginx.conf")]);
    return { code, text: stderr.replaceAll(prefix, "PREFIX") };
  }

  test("s1-chat.broken.conf: which block is never closed, what stands inside it, and where the brace belongs", async () => {
    const diagnosis = await diagnose(seed("s1-chat.broken.conf"));
    expect(diagnosis.code).toBe(1);
    // nginx's own words first, then the story.
    expect(diagnosis.text).toMatch(
      /^wsgate: \[emerg\] "http" directive is not allowed here in PREFIX\/nginx\.conf:6$/m,
    );
    expect(diagnosis.text).toContain(
      '"http" stands inside "events", which was opened at line 3 and is never closed',
    );
    expect(diagnosis.text).toContain('add "}" before line 6');
  });

  test("s4-literal-upgrade.broken.conf: the semicolon that is missing at the end of line 6", async () => {
    const location = seed("s4-literal-upgrade.broken.conf");
    const diagnosis = await diagnose(`events {} http { server { ${location}\n} }`);
    expect(diagnosis.code).toBe(1);
    expect(diagnosis.text).toContain('invalid number of arguments in "proxy_set_header" directive');
    expect(diagnosis.text).toMatch(/";"|semicolon/);
    expect(diagnosis.text).toMatch(/nginx\.conf:6\b|line 6\b/);
  });

  test("s4-literal-upgrade.broken.conf with its semicolon sends Upgrade: websocket with every request", async () => {
    const backend = await startHttpBackend();
    const location = seed("s4-literal-upgrade.broken.conf", {
      "127.0.0.1:8808": backend.address,
      'Upgrade "websocket"': 'Upgrade "websocket";',
    });
    const gate = await startGate({ http: `server { ${await ownListen()} ${location} }` });
    expect((await get(gate, "plain", { target: "/websocket/x" })).status).toBe(200);
    expect(backend.requests[0]).toMatchObject({
      url: "/x",
      headers: { upgrade: "websocket", connection: "upgrade" },
    });
    const webSockets = await startWebSocketBackend();
    const second = seed("s4-literal-upgrade.broken.conf", {
      "127.0.0.1:8808": webSockets.address,
      'Upgrade "websocket"': 'Upgrade "websocket";',
    });
    const gateOfWebSockets = await startGate({ http: `server { ${await ownListen()} ${second} }` });
    for (const { webSocket, portName } of SCHEMES) {
      await expectEcho(gateOfWebSockets.url(webSocket, "/websocket/x", portName));
    }
  });
});

test("no seed is without a test", () => {
  expect(readdirSync(SEEDS).sort()).toEqual([
    "README.md",
    "expect.json",
    "s0-example-1-server.conf",
    "s0-example-2-http.conf",
    "s0-example-2-server.conf",
    "s1-chat.broken.conf",
    "s1-chat.conf",
    "s1-conf.d-websocket.conf",
    "s3-location.conf",
    // Not run: it is broken on purpose. That the quickstart's page reconnects without its faults is tested there.
    "s4-heartbeat-client.broken.js",
    "s4-literal-upgrade.broken.conf",
    "s4-map-keepalive.conf",
    "s4-path.conf",
    "s4-read-timeout.conf",
  ]);
});
