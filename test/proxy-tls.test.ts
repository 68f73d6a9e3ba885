/** TLS with upstreams: what is offered, what is verified, and what is said when it fails. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import {
  type BackendOptions,
  type RawBackend,
  startConnectionBackend,
  startHttpBackend,
  startRawBackend,
  startWebSocketBackend,
} from "./rig/backends.ts";
import { authorityCertificate, leafCertificate, leafFiles } from "./rig/certificates.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const CLOSE = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

async function tlsOptions(names?: readonly string[]): Promise<NonNullable<BackendOptions["tls"]>> {
  return await leafCertificate(names === undefined ? {} : { names });
}

async function authorityFile(): Promise<string> {
  const path = join(temporaryFolder(), "ca.crt");
  writeFileSync(path, await authorityCertificate());
  return path;
}

function startInFrontOf(backend: { readonly address: string }, settings = ""): Promise<Proxy> {
  return startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass https://${backend.address}; ${settings} } }`,
  });
}

async function tlsSocketOf(backend: RawBackend, index = 0): Promise<TLSSocket> {
  const { socket } = await backend.connection(index);
  if (!(socket instanceof TLSSocket)) throw new Error("the connection is not TLS");
  return socket;
}

test("requests and tunnels pass to a TLS upstream that nobody verifies, as in nginx", async () => {
  const backend = await startWebSocketBackend({ tls: await leafCertificate({ isSelfSigned: true }) });
  const gate = await startInFrontOf(backend);
  expect((await request({ port: gate.port() })).status).toBe(200);
  const client = await connectWebSocket("ws", gate.url("ws", "/"));
  client.send("through TLS");
  expect(await client.next()).toBe("through TLS");
  client.close();
});

describe("verification", () => {
  test("accepts a certificate of the authority for the name, which is proxy_pass's without its port", async () => {
    const backend = await startHttpBackend(undefined, { tls: await tlsOptions() });
    const gate = await startInFrontOf(
      backend,
      `proxy_ssl_verify on; proxy_ssl_trusted_certificate ${await authorityFile()};`,
    );
    expect((await request({ port: gate.port() })).status).toBe(200);
  });

  test("accepts the name that proxy_ssl_name gives in its place", async () => {
    const backend = await startHttpBackend(undefined, { tls: await tlsOptions(["app.test"]) });
    const gate = await startInFrontOf(
      backend,
      `proxy_ssl_verify on; proxy_ssl_trusted_certificate ${await authorityFile()}; proxy_ssl_name $arg_name;`,
    );
    expect((await request({ port: gate.port(), target: "/?name=app.test:1" })).status).toBe(200);
    expect((await request({ port: gate.port(), target: "/?name=other.test" })).status).toBe(502);
    await gate.waitForLog(
      /upstream SSL certificate does not match "other.test" while SSL handshaking to upstream/,
    );
  });

  test.each([
    ["signed by itself", { isSelfSigned: true }, "18:self-signed certificate"],
    ["that has expired", { validForDays: -1 }, "10:certificate has expired"],
  ])("refuses a certificate %s", async (_what, options, reason) => {
    const backend = await startHttpBackend(undefined, { tls: await leafCertificate(options) });
    const gate = await startInFrontOf(
      backend,
      `proxy_ssl_verify on; proxy_ssl_trusted_certificate ${await authorityFile()};`,
    );
    expect((await request({ port: gate.port() })).status).toBe(502);
    await gate.waitForLog(
      new RegExp(`upstream SSL certificate verify error: \\(${reason}\\) while SSL handshaking to upstream`),
    );
    expect(backend.requests).toEqual([]);
  });
});

describe("the server's name", () => {
  test.each([
    ["is not sent by default", "proxy_ssl_name app.test;", false],
    [
      "is sent where proxy_ssl_server_name says so",
      "proxy_ssl_name app.test; proxy_ssl_server_name on;",
      "app.test",
    ],
    ["is not sent where it is an address", "proxy_ssl_server_name on;", false],
  ])("%s", async (_what, settings, name) => {
    const backend = await startRawBackend(OK, { tls: await tlsOptions() });
    const gate = await startInFrontOf(backend, settings);
    expect((await request({ port: gate.port() })).status).toBe(200);
    const socket: { servername?: unknown } = await tlsSocketOf(backend);
    expect(socket.servername).toBe(name);
  });
});

test("a session is resumed for the next connection, unless proxy_ssl_session_reuse is off", async () => {
  const backend = await startRawBackend(CLOSE, { tls: await tlsOptions() });
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass https://${backend.address}; }
      location /off { proxy_pass https://${backend.address}; proxy_ssl_session_reuse off; proxy_ssl_name off.test; } }`,
  });
  for (const target of ["/", "/", "/off", "/off"]) await request({ port: gate.port(), target });
  const reused = await Promise.all(
    [0, 1, 2, 3].map(async (i) => (await tlsSocketOf(backend, i)).isSessionReused()),
  );
  expect(reused).toEqual([false, true, false, false]);
});

test("proxy_ssl_certificate is shown to an upstream that asks, and proxy_ssl_protocols bounds the version", async () => {
  const ca = await authorityCertificate();
  const backend = await startRawBackend(OK, {
    tls: { ...(await tlsOptions()), requestCert: true, rejectUnauthorized: true, ca },
  });
  const client = await leafFiles({ names: ["wsgate.test"], isClient: true });
  const gate = await startInFrontOf(
    backend,
    `proxy_ssl_certificate ${client.certificate}; proxy_ssl_certificate_key ${client.key}; proxy_ssl_protocols TLSv1.2;`,
  );
  expect((await request({ port: gate.port() })).status).toBe(200);
  const socket = await tlsSocketOf(backend);
  expect(socket.getPeerCertificate().subject.CN).toBe("wsgate.test");
  expect(socket.getProtocol()).toBe("TLSv1.2");
});

// CVE-2026-1642
test.each([
  ["an answer in plain text", OK],
  ["something else that is not TLS", "220 mail.test ESMTP\r\n"],
])("%s before the TLS handshake is no answer", async (_what, bytes) => {
  const backend = await startConnectionBackend((peer) => peer.send(bytes));
  const gate = await startInFrontOf(backend);
  const response = await request({ port: gate.port() });
  expect(response.status).toBe(502);
  expect(response.body).not.toContain("ok");
  await gate.waitForLog(
    /SSL_do_handshake\(\) failed \(SSL: error:[^)]*:wrong version number\) while SSL handshaking to upstream/,
  );
});

test("an upstream that never finishes the TLS handshake is 504 after proxy_connect_timeout", async () => {
  const backend = await startConnectionBackend(() => {});
  const gate = await startInFrontOf(backend, "proxy_connect_timeout 200ms;");
  expect((await request({ port: gate.port() })).status).toBe(504);
  await gate.waitForLog(/upstream timed out \(110: Connection timed out\) while connecting to upstream/);
});

test("an upstream that closes during the TLS handshake is 502", async () => {
  const backend = await startConnectionBackend((peer) => peer.end());
  const gate = await startInFrontOf(backend);
  expect((await request({ port: gate.port() })).status).toBe(502);
  await gate.waitForLog(/peer closed connection in SSL handshake while SSL handshaking to upstream/);
});

test("kept connections are not shared between locations that verify differently", async () => {
  const backend = await startRawBackend(OK, { tls: await tlsOptions() });
  const gate = await startGate({
    http: `proxy_ssl_trusted_certificate ${await authorityFile()};
      server { listen 127.0.0.1:{{port:front}};
        location /lax { proxy_pass https://${backend.address}; }
        location /strict { proxy_pass https://${backend.address}; proxy_ssl_verify on; } }`,
  });
  for (const target of ["/lax", "/strict", "/lax", "/strict"]) await request({ port: gate.port(), target });
  expect(backend.connections).toHaveLength(2);
});
