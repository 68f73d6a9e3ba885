/** Attacks below HTTP: on TLS handshakes of either side, and on the PROXY protocol. */
import { once } from "node:events";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { startConnectionBackend, startHttpBackend } from "./rig/backends.ts";
import { authorityCertificate, leafCertificate, leafFiles } from "./rig/certificates.ts";
import { within } from "./rig/deadline.ts";
import { request, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

describe("CVE-2026-1642: what an upstream says before its TLS handshake", () => {
  const INJECTED = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninjected";

  test.each([
    ["as soon as it is connected", true],
    ["once it has the ClientHello", false],
  ])("in plain text, %s, is no answer", async (_when, atOnce) => {
    const upstream = await startConnectionBackend(async (peer) => {
      if (!atOnce) await peer.until("\x16\x03");
      await peer.send(INJECTED);
    });
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass https://${upstream.address}; } }`,
    });
    const response = await request({ port: gate.port() });
    expect(response.status).toBe(502);
    expect(response.body).not.toContain("injected");
    await gate.waitForLog(/while SSL handshaking to upstream, .*upstream: "https:/);
    await (await upstream.connection(0)).toEnd();
  });
});

/** The ClientHello that Node sends for `name`: what others are made of. */
async function clientHello(name: string): Promise<Buffer> {
  const server = await startConnectionBackend(() => {});
  const socket = connectTls({ port: server.port, host: "127.0.0.1", servername: name });
  socket.on("error", () => {});
  obtain("a TLS client", () => void socket.destroy());
  const peer = await server.connection(0);
  await peer.until(name);
  // The whole record: its length stands in its head.
  const { received } = peer.inbox;
  const length = 5 + received.charCodeAt(3) * 256 + received.charCodeAt(4);
  if (received.length < length) await peer.bytes(length - received.length);
  return Buffer.from(peer.inbox.received.slice(0, length), "latin1");
}

async function startTlsGate(): Promise<Proxy> {
  const { certificate, key } = await leafFiles();
  return startGate({
    http: `ssl_certificate ${certificate}; ssl_certificate_key ${key};
      server { listen 127.0.0.1:{{port:front}} ssl; server_name localhost ~^(?<who>.+)\\.re\\.test$; return 200 "$ssl_server_name|$who"; }
      server { listen 127.0.0.1:{{port:front}} ssl; server_name other.test; return 200 other; }`,
  });
}

describe("CVE-2026-21637: a name in a ClientHello that no host can have", () => {
  test.each([
    ["control bytes", "\0\x01\n\r\x7f host"],
    ["bytes beyond ASCII", "h\xc3\xa4\xff\xfe..test.."],
    ["nothing but dots", "............"],
    ["a path", "../../../etc/"],
    ["a property of every object", "__proto__.ab"],
    ["a format", "%s%n%x$1$&$'$"],
    ["a wildcard", "*.re.testing"],
  ])("is answered or refused, and the gate lives on: %s", async (_what, bytes) => {
    const gate = await startTlsGate();
    const placeholder = "n".repeat(bytes.length);
    const hello = await clientHello(placeholder);
    hello.write(bytes, hello.indexOf(placeholder), "latin1");
    const client = await connectRaw({ port: gate.port() });
    await client.send(hello);
    // A handshake record or an alert.
    expect((await client.bytes(1)).charCodeAt(0)).toBeOneOf([0x15, 0x16]);
    await client.close();
    await expectAlive(gate);
  });

  test("and one whose lengths do not fit together, or that is cut, is closed", async () => {
    const gate = await startTlsGate();
    const hello = await clientHello("name.test");
    const at = hello.indexOf("name.test");
    for (const change of [
      (bytes: Buffer) => bytes.writeUInt16BE(0xffff, at - 2), // the name's length
      (bytes: Buffer) => bytes.writeUInt16BE(0, at - 2),
      (bytes: Buffer) => bytes.writeUInt16BE(0xffff, at - 5), // the list's
      (bytes: Buffer) => bytes.writeUInt8(7, at - 3), // a type that is none
      (bytes: Buffer) => bytes.writeUInt16BE(0xffff, 6), // the message's
      (bytes: Buffer) => bytes.writeUInt8(0xff, 1), // the version
      (bytes: Buffer) => bytes.fill(0xff, 11, 43),
    ]) {
      const changed = Buffer.from(hello);
      change(changed);
      const client = await connectRaw({ port: gate.port() });
      await client.send(changed);
      await client.close();
    }
    for (const length of [1, 5, 6, 43, 44, at, hello.length - 1]) {
      const client = await connectRaw({ port: gate.port() });
      await client.send(hello.subarray(0, length));
      client.end();
      await client.toEnd();
      await client.close();
    }
    await expectAlive(gate);
  });
});

async function expectAlive(gate: Proxy): Promise<void> {
  const ca = await authorityCertificate();
  const response = await request({ port: gate.port(), tls: { ca, servername: "localhost" } });
  expect(response.body).toBe("localhost|");
}

describe("CVE-2025-23419: a TLS session of a server that verifies nobody", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "does not open one that verifies its clients (%s)",
    async (version) => {
      const { certificate, key } = await leafFiles({ names: ["open.test", "closed.test"] });
      const gate = await startGate({
        http: `ssl_certificate ${certificate}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
        server { listen 127.0.0.1:{{port:front}} ssl; server_name open.test; return 200 "open $ssl_session_reused"; }
        server { listen 127.0.0.1:{{port:front}} ssl; server_name closed.test; return 200 secret;
          ssl_verify_client on; ssl_client_certificate ca.crt; }`,
        files: { "conf/ca.crt": await authorityCertificate() },
      });
      const session = await sessionFor(gate, "open.test", version);
      expect((await answerFor(gate, "open.test", "open.test", version, session)).body).toBe("open r");
      const closed = await answerFor(gate, "closed.test", "closed.test", version, session);
      expect([closed.status, closed.body.includes("secret")]).toEqual([400, false]);
      // Nor by the name of the one and the Host of the other.
      const crossed = await answerFor(gate, "open.test", "closed.test", version, session);
      expect([crossed.status, crossed.body.includes("secret")]).toEqual([421, false]);
    },
  );
});

type Version = "TLSv1.2" | "TLSv1.3";

async function sessionFor(gate: Proxy, name: string, version: Version): Promise<Buffer> {
  const client = await connectRaw({ port: gate.port(), tls: await options(name, version) });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- connectRaw made it with TLS
  const socket = client.socket as TLSSocket;
  // In TLS 1.2 the ticket is a part of the handshake, in 1.3 it comes after it.
  const arrived = version === "TLSv1.3" ? once(socket, "session") : Promise.resolve([socket.getSession()]);
  await client.send(requestBytes({ headers: { Host: name } }));
  await readResponse(client);
  const [session]: unknown[] = await within(arrived, "a session");
  await client.close();
  if (!Buffer.isBuffer(session)) throw new Error("there is no session");
  return session;
}

async function answerFor(gate: Proxy, sni: string, host: string, version: Version, session: Buffer) {
  const client = await connectRaw({
    port: gate.port(),
    tls: { ...(await options(sni, version)), session },
  });
  await client.send(requestBytes({ headers: { Host: host } }));
  const response = await readResponse(client);
  await client.close();
  return response;
}

async function options(servername: string, version: Version) {
  return { ca: await authorityCertificate(), servername, minVersion: version, maxVersion: version };
}

describe("CVE-2024-23327: a PROXY protocol header", () => {
  const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
  const INET = "\x01\x02\x03\x04\x05\x06\x07\x08\x04\xd2\x16\x2e";
  const v2 = (command: number, family: number, payload: string, length = payload.length): string =>
    `${SIGNATURE}${String.fromCharCode(0x20 | command, family, length >> 8, length & 0xff)}${payload}`;

  const answered: readonly (readonly [what: string, header: string, address: string])[] = [
    ["LOCAL without addresses", v2(0, 0, ""), "127.0.0.1|"],
    ["LOCAL with addresses, which mean nothing", v2(0, 0x11, INET), "127.0.0.1|"],
    ["LOCAL with bytes that are no TLV", v2(0, 0, "\xff\xff\xff"), "127.0.0.1|"],
    ["PROXY", v2(1, 0x11, INET), "127.0.0.1|1.2.3.4"],
    ["PROXY with a TLV", v2(1, 0x11, `${INET}\x03\0\x04abcd`), "127.0.0.1|1.2.3.4"],
    ["PROXY of an unknown family", v2(1, 0, "\x03\0\x04abcd"), "127.0.0.1|"],
  ];
  test.each(answered)("is understood: %s", async (_what, header, address) => {
    const gate = await startProxyProtocolGate();
    const client = await connectRaw({ port: gate.port() });
    await client.send(header + requestBytes({}));
    expect((await readResponse(client)).body).toBe(address);
  });

  const refused: readonly (readonly [what: string, header: string])[] = [
    ["PROXY too short for its addresses", v2(1, 0x11, INET.slice(1))],
    ["PROXY without addresses", v2(1, 0x11, "")],
    ["an unknown command", v2(2, 0x11, INET)],
    ["an unknown version", v2(1, 0x11, INET).replace("\x21\x11", "\x31\x11")],
    ["a TLV longer than what is left", v2(1, 0x11, `${INET}\x03\xff\xffab`)],
    ["half a TLV", v2(1, 0x11, `${INET}\x03\0`)],
    ["no header", ""],
    ["a length of 65535", v2(1, 0x11, INET, 0xffff)],
    ["v1 of 200 bytes", `PROXY TCP4 ${"1".repeat(200)}\r\n`],
    ["v1 with a bad address", "PROXY TCP4 1.2.3.4.5 5.6.7.8 1 2\r\n"],
    ["v1 with a bad port", "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n"],
  ];
  test("is refused with silence where it is malformed, and no request behind it is answered", async () => {
    const gate = await startProxyProtocolGate();
    for (const [what, header] of refused) {
      const client = await connectRaw({ port: gate.port() });
      await client.send(header + requestBytes({}));
      client.end();
      expect([what, await client.toEnd()]).toEqual([what, ""]);
      await client.close();
    }
    expect(gate.read("logs/access.log")).toBe("");
  });
});

function startProxyProtocolGate(): Promise<Proxy> {
  return startGate({
    http: `server { listen 127.0.0.1:{{port:front}} proxy_protocol; return 200 "$remote_addr|$proxy_protocol_addr"; }`,
  });
}

test("a TLS upstream is not asked in plain text, and a plain one not in TLS, whatever it offers", async () => {
  const plain = await startHttpBackend();
  const secure = await startHttpBackend(undefined, { tls: await leafCertificate() });
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location /plain { proxy_pass http://${secure.address}; }
      location /secure { proxy_pass https://${plain.address}; } }`,
  });
  for (const target of ["/plain", "/secure"]) {
    expect((await request({ port: gate.port(), target })).status).toBeOneOf([400, 502]);
  }
  expect([plain.requests, secure.requests]).toEqual([[], []]);
});
