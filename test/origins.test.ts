/** Which pages may open a WebSocket: websocket_allowed_origins from the configuration to the wire. */
import { describe, expect, test } from "vitest";
import { compile } from "../src/compile/compile.ts";
import { memoryFiles } from "../src/config/files.ts";
import { modules } from "../src/modules/index.ts";
import { type RawBackend, startRawBackend } from "./rig/backends.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, request } from "./rig/http-client.ts";
import { type HttpResponse, readResponse } from "./rig/http-message.ts";
import { FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;

interface Pair {
  readonly backend: RawBackend;
  readonly gate: Proxy;
}

/** One gate for a whole table: the location `/N` has the N-th of `settings`. */
async function startWith(settings: readonly string[]): Promise<Pair> {
  const backend = await startRawBackend(SWITCHING);
  const { certificate, key } = await leafFiles({});
  const locations = settings.map(
    (setting, index) => `location = /${index} { proxy_pass http://${backend.address}; ${setting} }`,
  );
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:plain}}; listen 127.0.0.1:{{port:tls}} ssl;
      ssl_certificate ${certificate}; ssl_certificate_key ${key}; ${locations.join("\n")} }`,
  });
  return { backend, gate };
}

type Headers = Readonly<Record<string, string | undefined>>;

async function shake(
  gate: Proxy,
  index: number,
  headers: Headers,
  front: "plain" | "tls" = "plain",
): Promise<HttpResponse> {
  const tls = front === "tls" ? { tls: { ca: await authorityCertificate() } } : {};
  const client = await connectRaw({ port: gate.port(front), ...tls });
  await client.send(handshakeBytes(`/${index}`, headers));
  const response = await readResponse(client);
  await client.close();
  return response;
}

/** Setting, Origin, whether it may connect. */
type Case = readonly [patterns: string, origin: string | undefined, isAllowed: boolean];

/** All cases through one gate, each pattern in a location of its own. */
async function judge(cases: readonly Case[], host = "example.com"): Promise<readonly Case[]> {
  const settings = [...new Set(cases.map(([patterns]) => patterns))];
  const { gate } = await startWith(settings.map((patterns) => `websocket_allowed_origins ${patterns};`));
  const judged: Case[] = [];
  for (const [patterns, origin] of cases) {
    const { status } = await shake(gate, settings.indexOf(patterns), { Host: host, Origin: origin });
    expect([101, 403]).toContain(status);
    judged.push([patterns, origin, status === 101]);
  }
  return judged;
}

test("the patterns mean what they say", async () => {
  const cases: readonly Case[] = [
    ["any", "https://anybody.test", true],
    ["any", "null", true],
    ["https://app.example.com", "https://app.example.com", true],
    ["https://app.example.com", "HTTPS://App.Example.COM", true],
    ["https://app.example.com", "https://app.example.com:443", true],
    ["https://app.example.com", "https://app.example.com:8443", false],
    ["https://app.example.com", "http://app.example.com", false],
    ["https://app.example.com", "https://other.example.com", false],
    ["https://app.example.com", "null", false],
    ["https://app.example.com https://b.test", "https://b.test", true],
    ["https://app.example.com:8443", "https://app.example.com:8443", true],
    ["https://app.example.com:8443", "https://app.example.com", false],
    ["app.example.com", "https://app.example.com", true],
    ["app.example.com", "http://app.example.com", true],
    ["app.example.com", "ftp://app.example.com", false],
    ["https://*.example.com", "https://a.example.com", true],
    ["https://*.example.com", "https://a.b.example.com", true],
    ["https://*.example.com", "https://example.com", false],
    ["https://.example.com", "https://example.com", true],
    ["https://.example.com", "https://a.example.com", true],
    ["http://localhost:*", "http://localhost:5173", true],
    ["http://localhost:*", "http://localhost", true],
    ["http://localhost:*", "https://localhost:5173", false],
    ["http://[::1]:*", "http://[::1]:80", true],
    ["null", "null", true],
    ["null", "https://null", false],
    ["file://", "file://", true],
    ["capacitor://localhost", "capacitor://localhost", true],
    ["chrome-extension://abcdef", "chrome-extension://abcdef", true],
    ["https://bücher.test", "https://xn--bcher-kva.test", true],
    ["~^https://[a-z]+\\.example\\.com$", "https://app.example.com", true],
    ["~^https://[a-z]+\\.example\\.com$", "https://app.example.com.evil", false],
    ["~^https://[a-z]+\\.example\\.com$", "https://APP.example.com", false],
    ["~*^https://[a-z]+\\.example\\.com$", "https://APP.example.com", true],
    ["https://app.example.com", undefined, true],
    ["same", undefined, true],
  ];
  expect(await judge(cases)).toEqual(cases);
});

test("what only resembles an allowed origin is none", async () => {
  const lookalikes = [
    "https://example.com.evil",
    "https://example.comevil.test",
    "https://evilexample.com",
    "https://evil-example.com",
    "https://.example.com",
    "https://..example.com",
    "https://example.com:443@evil.test",
    "https://example.com@evil.test",
    "https://evil.test/https://example.com",
    "https://evil.test?https://example.com",
    "https://evil.test#https://example.com",
    "https://example.com/",
    "https://example.com/path",
    "https://example.com evil",
    "https://example.com, https://evil.test",
    "https://evil.test https://example.com",
    "https://example.com:0443x",
    "https://example.com:65979",
    "https://example.com:-443",
    "https:example.com",
    "https:/example.com",
    "https:///example.com",
    "https://https://example.com",
    "//example.com",
    "example.com",
    "https://",
    "https://example%2ecom",
    "https://ex%61mple.com",
    "https://еxample.com".replace("е", "\xd0\xb5"),
    "https://example\xe3\x80\x82com",
    "https://exa\xadmple.com",
    "https://[example.com]",
    "https://example.com\x0b",
    "javascript://example.com",
    "data:text/html,https://example.com",
    "file://",
    "NULL",
    "undefined",
    "",
  ];
  const patterns = ["same", "https://example.com", "https://.example.com", "https://*.example.com"];
  const settings = patterns.map((pattern) => `websocket_allowed_origins ${pattern};`);
  const { backend, gate } = await startWith(settings);
  for (const [index, pattern] of patterns.entries()) {
    for (const origin of lookalikes) {
      const { status } = await shake(gate, index, { Host: "example.com", Origin: origin });
      // A control byte makes the head itself invalid.
      expect([pattern, origin, status]).toEqual([pattern, origin, origin.includes("\x0b") ? 400 : 403]);
    }
  }
  expect(backend.connections).toEqual([]);
});

test("an absolute name, with a dot at its end, is the same host", async () => {
  const cases: readonly Case[] = [
    ["same", "https://example.com.", true],
    ["https://example.com", "https://example.com.", true],
    ["https://*.example.com", "https://a.example.com.", true],
  ];
  expect(await judge(cases, "example.com.")).toEqual(cases);
});

describe("same", () => {
  test("goes by Host and the page's scheme, and lets no http page reach what is served over TLS", async () => {
    const { gate } = await startWith(["websocket_allowed_origins same;"]);
    const cases: readonly (readonly ["plain" | "tls", string, string, number])[] = [
      ["plain", "example.com", "http://example.com", 101],
      ["plain", "EXAMPLE.com", "http://example.COM", 101],
      ["plain", "example.com:80", "http://example.com", 101],
      ["plain", "example.com:8080", "http://example.com:8080", 101],
      ["plain", "example.com:8080", "http://example.com", 403],
      ["plain", "example.com", "http://example.com:8080", 403],
      ["plain", "[::1]:8080", "http://[::1]:8080", 101],
      // Behind somebody else's TLS.
      ["plain", "example.com", "https://example.com", 101],
      ["plain", "example.com:8443", "https://example.com:8443", 101],
      ["plain", "example.com", "https://example.com:8443", 403],
      ["plain", "example.com:80", "https://example.com", 403],
      ["tls", "example.com", "https://example.com", 101],
      ["tls", "example.com:8443", "https://example.com:8443", 101],
      ["tls", "example.com", "http://example.com", 403],
      ["tls", "example.com:80", "http://example.com", 403],
      ["tls", "example.com:443", "http://example.com:443", 403],
    ];
    for (const [front, host, origin, status] of cases) {
      const response = await shake(gate, 0, { Host: host, Origin: origin }, front);
      expect([front, host, origin, response.status]).toEqual([front, host, origin, status]);
    }
  });

  test("believes no X-Forwarded header", async () => {
    const { gate } = await startWith(["websocket_allowed_origins same;"]);
    const headers = { "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.test" };
    const forged = { Host: "example.com", Origin: "http://evil.test", ...headers };
    expect((await shake(gate, 0, forged)).status).toBe(403);
    expect((await shake(gate, 0, { ...forged, Origin: "http://example.com" }, "tls")).status).toBe(403);
  });
});

describe("a refusal", () => {
  test("names its rule in the body and in the log, where the client can forge nothing, and asks no upstream", async () => {
    const { backend, gate } = await startWith(["websocket_allowed_origins https://app.example.com;"]);
    const response = await shake(gate, 0, { Origin: 'https://evil.test"\\, rule' });
    expect(response.status).toBe(403);
    expect(response.header("content-type")).toMatch(/^text\/plain/);
    expect(response.body).toBe(
      'WebSocket refused: its Origin is not one of websocket_allowed_origins (rule "origin")\n',
    );
    await gate.waitForLog(
      /\[error\] .*WebSocket refused: its Origin is not one of websocket_allowed_origins \(rule "origin"\): "https:\/\/evil\.test\\x22\\x5C, rule", client: 127/,
    );
    expect(backend.connections).toEqual([]);
  });

  test("is what a second Origin brings, whichever of them may connect", async () => {
    const { backend, gate } = await startWith(["websocket_allowed_origins https://app.example.com;"]);
    const both = ["https://app.example.com", "https://evil.test"];
    for (const [first, second] of [both, [...both].reverse(), [both[0], both[0]]]) {
      const response = await shake(gate, 0, { Origin: `${first}\r\nOrigin: ${second}` });
      expect(response.status).toBe(403);
      expect(response.body).toContain('(rule "one-origin")');
    }
    expect(backend.connections).toEqual([]);
  });

  test("comes with websocket_upgrade manual as well, and leaves other requests alone", async () => {
    const { backend, gate } = await startWith([
      `websocket_allowed_origins same; websocket_upgrade manual;
       proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;`,
    ]);
    expect((await shake(gate, 0, { Host: "a.test", Origin: "http://b.test" })).status).toBe(403);
    expect(backend.connections).toEqual([]);
    expect((await shake(gate, 0, { Host: "a.test", Origin: "http://a.test" })).status).toBe(101);
    const plain = request({ port: gate.port("plain"), target: "/0", headers: { Origin: "http://b.test" } });
    // The backend answers 101 whatever it is asked; that it was asked is the point.
    expect((await plain).status).toBe(502);
    expect(backend.requests.map((each) => each.header("origin"))).toEqual(["http://a.test", "http://b.test"]);
  });
});

test("patterns that mean nothing are refused with what is meant instead, and open regular expressions warned of", async () => {
  const complain = async (patterns: string): Promise<string> => {
    const text = `events {} http { server { websocket_allowed_origins ${patterns}; } }`;
    const { diagnostics } = await compile({
      file: "/x.conf",
      prefix: "/",
      defaultErrorLog: "stderr",
      files: memoryFiles({ "/x.conf": text }),
      modules,
    });
    return diagnostics
      .map(({ severity, message, notes }) =>
        [severity, message, ...notes.map((each) => each.message)].join(" | "),
      )
      .join("\n");
  };
  expect(await complain("https://app.example.com same null")).toBe("");
  expect(await complain("any same")).toContain('emerg | invalid value "any" | where any origin may connect');
  expect(await complain("none")).toContain("comes from no page, and always passes");
  expect(await complain("*")).toContain('write "any"');
  expect(await complain("https://$host")).toContain("variables may not stand here");
  for (const wrong of [
    "https://example.com/",
    "https://example.*",
    "https://a@b.test",
    "https://",
    "https://a..b",
  ]) {
    expect(await complain(wrong)).toContain(`emerg | invalid value "${wrong}" | an origin is`);
  }
  expect(await complain("~")).toContain("the regular expression is empty");
  expect(await complain("~example\\.com")).toContain('warn | "~example\\.com" in');
});

test.each(FRONTS.map((front) => [front.name, front] as const))(
  "same means the same over %s",
  async (_name, front) => {
    const backend = await startTunnelBackend();
    const gate = await startGate({
      http: `server { ${await front.listen()}
        location / { proxy_pass http://${backend.address}; websocket_allowed_origins same; } }`,
    });
    // An HTTP/2 request has its authority instead of Host.
    const host = `localhost:${gate.port("front")}`;
    const named = front.openStatus === 101 ? { Host: host } : {};
    const isOpen = async (origin: string): Promise<boolean> =>
      (await front.open(gate, "/", { headers: { ...named, Origin: origin } })).isOpen;
    expect(await isOpen(`https://${host}`)).toBe(true);
    expect(await isOpen(`http://${host}`)).toBe(front.name === "ws" || front.name === "h2c");
    expect(await isOpen("https://localhost")).toBe(false);
    expect(await isOpen("null")).toBe(false);
  },
);
