/** `wsgate explain` tells of a request what the proxy then does with it. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { explain } from "../src/doctor/explain/explain.ts";
import { askAbout, type QuestionOptions } from "../src/doctor/explain/question.ts";
import { explanationToJson } from "../src/doctor/explain/to-json.ts";
import { type RawBackend, startRawBackend } from "./rig/backends.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, runGate, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

const CONFIG = `
  map $http_upgrade $connection_upgrade { default upgrade; '' close; }
  map $arg_to $to { default back; other other; }
  upstream back { server {{backend}} weight=2; server 127.0.0.1:9 backup; server 127.0.0.1:10 down; }
  upstream other { server {{backend}}; }
  proxy_read_timeout 300;
  server {
    listen 127.0.0.1:{{port:front}} default_server; server_name example.test *.example.test;
    rewrite ^/old/(.*)$ /chat/$1 last;
    location / { proxy_pass http://back; }
    location = /only { return 426; }
    location /chat/ {
      proxy_pass http://back/api/;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Real-IP $remote_addr;
      if ($arg_away) { rewrite ^/chat/(.*)$ /away/$1 last; }
    }
    location /away/ { proxy_pass http://other; proxy_read_timeout 1h; rewrite ^/away/(.*)$ /changed/$1 break; }
    location /outer/ { proxy_pass http://back/o/; location /outer/inner/ { proxy_pass http://other; } location ~ \\.bin$ { return 403; } }
    location ~ \\.php$ { proxy_pass http://back; proxy_http_version 1.0; websocket_upgrade off; }
    location ~ ^/user/(?<name>\\w+)$ { proxy_pass http://$to/of/$name; }
    location ^~ /static/ { return 204; }
    location /loop { error_page 404 = @fallback; return 404; }
    location @fallback { proxy_pass http://other; proxy_set_header X-From fallback; }
  }
  server { listen 127.0.0.1:{{port:front}}; server_name ~^(?<sub>\\w+)\\.other\\.test$; location / { proxy_pass http://other/$sub; } }
  server { listen 127.0.0.1:{{port:front}}; server_name www.*; return 301 http://example.test$request_uri; }
`;

/** What `--json` says, as far as the tests look. */
interface Explained {
  readonly kind: string;
  readonly reason?: string;
  readonly help?: string;
  readonly servers: readonly {
    readonly names: readonly string[];
    readonly isChosen: boolean;
    readonly why: string;
  }[];
  readonly searches: readonly {
    readonly path: string;
    readonly locations: readonly {
      readonly name: string;
      readonly isChosen: boolean;
      readonly why: string;
    }[];
  }[];
  readonly result: {
    readonly kind: string;
    readonly status?: number;
    readonly requestLine: string;
    readonly headers: readonly {
      readonly name: string;
      readonly value: string;
      readonly place: { readonly line: number } | null;
    }[];
    readonly peers: readonly { readonly name: string; readonly note: string }[];
    readonly settings: readonly {
      readonly name: string;
      readonly value: string;
      readonly place: { readonly line: number } | null;
    }[];
  };
}

async function start(): Promise<{ gate: Proxy; backend: RawBackend }> {
  const backend = await startRawBackend("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  const gate = await startGate({ http: CONFIG, values: { backend: backend.address } });
  return { gate, backend };
}

/** What `wsgate explain --json` prints for a URL, without a process for each. */
async function explained(gate: Proxy, url: string, options: QuestionOptions = {}): Promise<Explained> {
  const asked = askAbout(url.replace("PORT", String(gate.port())), options);
  if (!asked.ok) throw new Error(asked.message);
  const explanation = await explain(asked.question, {
    file: join(gate.prefix, "conf/nginx.conf"),
    prefix: gate.prefix,
    defaultErrorLog: "stderr",
  });
  if (explanation.kind === "refused") throw new Error("the configuration runs, and was refused");
  const said: Explained = JSON.parse(JSON.stringify(explanationToJson(explanation)));
  return said;
}

/** The request that a browser would send for the URL, as `explain` has it in mind. */
function requestFor(url: string, port: number): string {
  const { protocol, pathname, search, hostname } = new URL(url.replace("PORT", String(port)));
  const host = `${hostname}:${port}`;
  const upgrade =
    protocol === "ws:"
      ? `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://${host}\r\n`
      : "";
  return `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n${upgrade}\r\n`;
}

const PASSED = [
  "ws://example.test:PORT/",
  "ws://example.test:PORT/deep/path?x=1&y=%20",
  "http://example.test:PORT/deep/path",
  "ws://example.test:PORT/chat/room%201?q",
  "http://sub.example.test:PORT/chat/x",
  "ws://example.test:PORT/old/room?z=1",
  "ws://example.test:PORT/chat/room?away=1",
  "http://nobody.test:PORT/chat/a.php",
  "ws://example.test:PORT/outer/x",
  "ws://example.test:PORT/outer/inner/x",
  "ws://example.test:PORT/user/ann",
  "ws://example.test:PORT/user/ann?to=other",
  "ws://example.test:PORT/loop",
  "ws://eu.other.test:PORT/x",
];

const NOT_PASSED = [
  ["http://example.test:PORT/only", 426],
  ["ws://nobody.test:PORT/chat/a.php", 426],
  ["ws://example.test:PORT/outer/inner/x.bin", 403],
  ["http://example.test:PORT/static/a.php", 204],
  ["ws://example.test:PORT/chat", 301],
  ["http://www.example.org:PORT/x?y", 301],
] as const;

async function ask(gate: Proxy, url: string): Promise<number> {
  const client = await connectRaw({ port: gate.port() });
  await client.send(requestFor(url, gate.port()));
  const { status } = await readResponse(client);
  client.socket.destroy();
  return status;
}

test("what it says that a backend gets is what the backend gets", async () => {
  const { gate, backend } = await start();
  for (const [index, url] of PASSED.entries()) {
    const { result } = await explained(gate, url);
    expect([url, result.kind]).toEqual([url, "passed"]);
    await ask(gate, url);
    expect([url, backend.requests.length]).toEqual([url, index + 1]);
    const lines = [result.requestLine, ...result.headers.map(({ name, value }) => `${name}: ${value}`)];
    expect(backend.connections.at(-1)?.inbox.received).toBe(`${lines.join("\r\n")}\r\n\r\n`);
  }
});

test.each(NOT_PASSED)(
  "what it says that the client gets is what the client gets: %s, %i",
  async (url, status) => {
    const { gate, backend } = await start();
    const { result } = await explained(gate, url);
    expect(result.status).toBe(status);
    expect(await ask(gate, url)).toBe(status);
    expect(backend.requests).toEqual([]);
  },
);

test("says why a server and a location were chosen, and the others not", async () => {
  const { gate } = await start();
  const said = await explained(gate, "ws://example.test:PORT/chat/a.php?away=1");
  expect(said.servers.map(({ isChosen }) => isChosen)).toEqual([true, false, false]);
  expect(said.servers[0]?.why).toBe('it has the exact name "example.test"');
  expect(said.servers[2]?.why).toContain('"www.*" is not "example.test"');
  const [first] = said.searches;
  expect(first?.path).toBe("/chat/a.php");
  const why = (name: string): string | undefined => first?.locations.find((each) => each.name === name)?.why;
  expect(first?.locations.filter(({ isChosen }) => isChosen).map(({ name }) => name)).toEqual(["~ \\.php$"]);
  expect(why("/")).toContain('the longer "/chat/"');
  expect(why("= /only")).toContain("not exactly");
  expect(why("/chat/")).toContain("longest prefix");
  expect(why("^~ /static/")).toContain("does not begin with it");
  expect(why("~ ^/user/(?<name>\\w+)$")).toContain("not tried");
});

test("names the line that each header and each time comes from", async () => {
  const { gate } = await start();
  const config = gate.read("conf/nginx.conf").split("\n");
  const said = await explained(gate, "ws://example.test:PORT/chat/x?away=1");
  const lineOf = (place: { readonly line: number } | null | undefined): string =>
    place === null || place === undefined ? "" : (config[place.line - 1] ?? "");
  const timeout = said.result.settings.find(({ name }) => name === "proxy_read_timeout");
  expect(timeout?.value).toBe("1h");
  expect(lineOf(timeout?.place)).toContain("proxy_read_timeout 1h;");
  expect(said.result.settings.find(({ name }) => name === "proxy_send_timeout")).toMatchObject({
    value: "60s",
    place: null,
  });
  const direct = await explained(gate, "ws://example.test:PORT/chat/x");
  const real = direct.result.headers.find(({ name }) => name === "X-Real-IP");
  expect(real?.value).toBe("127.0.0.1");
  expect(lineOf(real?.place)).toContain("X-Real-IP $remote_addr");
  const inherited = direct.result.settings.find(({ name }) => name === "proxy_read_timeout");
  expect(inherited?.value).toBe("5m");
  expect(lineOf(inherited?.place)).toContain("proxy_read_timeout 300;");
});

test("lists the peers in the order in which they would be tried", async () => {
  const { gate, backend } = await start();
  const said = await explained(gate, "ws://example.test:PORT/");
  expect(said.result.peers).toMatchObject([
    { name: backend.address, note: "weight 2" },
    { name: "127.0.0.1:9", note: "backup" },
    { name: "127.0.0.1:10", note: "down: never tried" },
  ]);
});

test("says what happens to a request that no server hears", async () => {
  const { gate } = await start();
  const tls = await explained(gate, "wss://example.test:PORT/");
  expect(tls.reason).toContain("ERR_SSL_PROTOCOL_ERROR");
  const port = await explained(gate, "ws://example.test/");
  expect(port.reason).toContain("nothing listens on port 80");
  const mapped = await explained(gate, "ws://example.test/", { listenPort: gate.port() });
  expect(mapped.result.kind).toBe("passed");
});

test("takes headers and addresses of the client into account", async () => {
  const { gate } = await start();
  const said = await explained(gate, "ws://example.test:PORT/chat/x", {
    clientAddress: "203.0.113.7",
    headers: ["Origin:", "Cookie: a=b"],
  });
  const headers = Object.fromEntries(said.result.headers.map(({ name, value }) => [name, value]));
  expect(headers).toMatchObject({ "X-Real-IP": "203.0.113.7", Cookie: "a=b" });
  expect(headers).not.toHaveProperty("Origin");
  const version = await explained(gate, "ws://example.test:PORT/", { headers: ["Sec-WebSocket-Version: 8"] });
  expect(version.result).toMatchObject({ kind: "refused", status: 426 });
});

test("prints for people and for programs, and ends with a code that says how it went", async () => {
  const { gate } = await start();
  const run = (url: string, ...more: readonly string[]): ReturnType<typeof runGate> =>
    runGate([
      "explain",
      url.replace("PORT", String(gate.port())),
      "-c",
      join(gate.prefix, "conf/nginx.conf"),
      ...more,
    ]);
  const [text, json, refused, unheard, mapped] = await Promise.all([
    run("ws://example.test:PORT/chat/x"),
    run("ws://example.test:PORT/chat/x", "--json"),
    run("ws://example.test:PORT/", "-H", "Sec-WebSocket-Version: 8"),
    run("wss://example.test:PORT/"),
    run("ws://example.test/chat/x", "--listen-port", String(gate.port()), "--client", "203.0.113.7"),
  ]);
  expect([text, json, refused, unheard, mapped].map(({ code }) => code)).toEqual([0, 0, 1, 1, 0]);
  expect(text.stdout).toContain("goes to http://back/api/x as a WebSocket");
  expect(text.stdout).toContain('"/api/" of proxy_pass takes the place of "/chat/"');
  expect(text.stdout).toContain("=>/chat/: the longest prefix that matches");
  expect(text.stdout).toMatch(/ {4}Host: example\.test +\S+nginx\.conf:\d+/);
  expect(JSON.parse(json.stdout)).toEqual(await explained(gate, "ws://example.test:PORT/chat/x"));
  expect(refused.stdout).toContain("is refused with 426");
  expect(unheard.stdout).toContain("ERR_SSL_PROTOCOL_ERROR");
  expect(mapped.stdout).toContain("X-Real-IP: 203.0.113.7");
});

test.each([
  { args: [], code: 2, says: "one URL is needed" },
  { args: ["example.org/chat"], code: 2, says: '"example.org/chat" is no URL' },
  { args: ["ftp://example.org/"], code: 2, says: "begins with ws://" },
  { args: ["ws://example.org/#top"], code: 2, says: "no fragment" },
  { args: ["ws://example.org/", "-H", "no colon"], code: 2, says: '"Name: value"' },
  { args: ["ws://example.org/", "--listen-port", "99999"], code: 2, says: "is no port" },
  { args: ["ws://example.org/", "--frobnicate"], code: 2, says: "--frobnicate" },
  { args: ["ws://example.org/", "-c", "/nonexistent/nginx.conf"], code: 2, says: "/nonexistent/nginx.conf" },
])("$args ends with code $code and says what is wrong", async ({ args, code, says }) => {
  const result = await runGate(["explain", ...args]);
  expect(result.code).toBe(code);
  expect(result.stderr).toContain(says);
});
