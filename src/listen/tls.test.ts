import { once } from "node:events";
import { createServer } from "node:net";
import { connect as connectTls, TLSSocket } from "node:tls";
import { describe, expect, test } from "vitest";
import { authorityCertificate, leafCertificate } from "../../test/rig/certificates.ts";
import { readResponse } from "../../test/rig/http-message.ts";
import { obtain, useRig } from "../../test/rig/ledger.ts";
import {
  answerText,
  type Listening,
  makeServerPlan,
  MemoryLog,
  type PlanSettings,
  startListener,
} from "../../test/rig/listening.ts";
import { connectRaw, type RawPeer } from "../../test/rig/raw-peer.ts";
import type { ListenerPlan, ServerPlan, TlsSettings } from "../compile/plan.ts";
import type { Request } from "../compile/request.ts";
import { TlsAcceptor } from "./tls-acceptor.ts";

useRig();

async function tlsSettings(
  names: readonly string[],
  settings: Partial<TlsSettings> = {},
): Promise<TlsSettings> {
  const { cert, key } = await leafCertificate({ names });
  return {
    contextOptions: { cert: [cert], key: [key], ca: [await authorityCertificate()] },
    ssl_reject_handshake: false,
    ssl_verify_client: "off",
    ssl_verify_depth: 1,
    ssl_session_tickets: true,
    ssl_session_timeout: 300,
    ticketKeys: null,
    ssl_prefer_server_ciphers: false,
    ...settings,
  };
}

async function serverNamed(name: string, settings: Partial<TlsSettings> = {}): Promise<ServerPlan> {
  return makeServerPlan({ serverPlan: { name, names: [name], tls: await tlsSettings([name], settings) } });
}

/** The first server is the default one. */
function sslListener(servers: readonly ServerPlan[]): Partial<ListenerPlan> {
  const [defaultServer] = servers;
  if (defaultServer === undefined) throw new Error("a listener needs a server");
  return {
    ssl: true,
    defaultServer,
    names: {
      exact: new Map(servers.map((server) => [server.name, server])),
      leadingWildcard: new Map(),
      trailingWildcard: new Map(),
      regexes: [],
    },
  };
}

function answerServerName(request: Request): void {
  answerText(request, 200, `${request.connection.scheme} ${request.server.name}`);
}

async function startTls(
  servers: readonly ServerPlan[],
  settings: PlanSettings = {},
  acceptor?: TlsAcceptor,
): Promise<Listening> {
  return startListener(
    answerServerName,
    { ...settings, listener: { ...sslListener(servers), ...settings.listener } },
    acceptor === undefined ? {} : { tls: acceptor },
  );
}

function tlsOf(peer: RawPeer): TLSSocket {
  if (!(peer.socket instanceof TLSSocket)) throw new Error("a plain connection");
  return peer.socket;
}

function get(host: string): string {
  return `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
}

describe("the server's choice", () => {
  test("shows the certificate that the client's SNI asks for, and the default one without SNI", async () => {
    const { port } = await startTls([await serverNamed("one.test"), await serverNamed("two.test")]);
    const ca = await authorityCertificate();
    for (const name of ["one.test", "two.test", "TWO.test"]) {
      const peer = await connectRaw({ port, tls: { servername: name, ca } });
      await peer.send(get(name));
      expect((await readResponse(peer)).body).toBe(`https ${name.toLowerCase()}`);
    }
    const peer = await connectRaw({ port, tls: { rejectUnauthorized: false } });
    expect(tlsOf(peer).getPeerCertificate().subject.CN).toBe("one.test");
  });

  test("takes a ClientHello in any number of pieces", async () => {
    const { port } = await startTls([await serverNamed("one.test"), await serverNamed("two.test")]);
    const relay = await connectRaw({ port });
    // TLS spoken by hand through a relay that sends byte by byte.
    const server = createServer((socket) => {
      socket.on("data", (chunk: Buffer) => {
        void relay.sendPieces([...chunk].map((byte) => Buffer.of(byte)));
      });
      relay.socket.on("data", (chunk) => socket.write(chunk));
      socket.on("error", () => {});
      obtain("the relay's connection", () => {
        socket.destroy();
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    obtain("the relay", () => {
      server.close();
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const peer = await connectRaw({
      port: address.port,
      tls: { servername: "two.test", ca: await authorityCertificate() },
    });
    await peer.send(get("two.test"));
    expect((await readResponse(peer)).body).toBe("https two.test");
  });

  test("rejects the handshake with unrecognized_name where ssl_reject_handshake is on", async () => {
    const { port, counts, log } = await startTls([
      await serverNamed("default.test", { ssl_reject_handshake: true }),
      await serverNamed("two.test"),
    ]);
    const socket = connectTls({ port, host: "127.0.0.1", servername: "unknown.test" });
    const [error]: unknown[] = await once(socket, "error");
    expect(error).toMatchObject({ code: "ERR_SSL_TLSV1_UNRECOGNIZED_NAME" });
    const peer = await connectRaw({
      port,
      tls: { servername: "two.test", ca: await authorityCertificate() },
    });
    await peer.close();
    expect(counts.accepted).toBe(2);
    expect(log.lines.join("\n")).toBe("");
  });
});

describe("clients that break off", () => {
  test("answers a plain HTTP request on an ssl port with 497", async () => {
    const { connect, handler } = await startTls([await serverNamed("one.test")]);
    const client = await connect();
    await client.send(get("one.test"));
    const response = await readResponse(client);
    expect(response.body).toBe("status 497");
    expect(response.header("connection")).toBe("close");
    expect(handler.finished[0]?.connection.scheme).toBe("http");
    await client.toEnd();
  });

  test("logs a failed handshake with OpenSSL's reason, and closes", async () => {
    const { log, settings } = await logged();
    const { connect, counts } = await startTls([settings]);
    const client = await connect();
    await client.send("\x16\x03\x01\x00\x05hello");
    await client.toEnd();
    await client.close();
    expect(log.lines[0]).toMatch(
      /\[info\] .*\*\d+ SSL_do_handshake\(\) failed \(SSL: error:[0-9A-F]{8}:SSL routines::[a-z ]+\) while SSL handshaking, client: 127\.0\.0\.1, server: 127\.0\.0\.1:0$/,
    );
    expect(counts.active).toBe(0);
  });

  test("logs a client that leaves before or within its handshake", async () => {
    const { log, settings } = await logged();
    const { connect, listener } = await startTls([settings]);
    const silent = await connect();
    silent.end();
    await silent.closed;
    const halfway = await connect();
    await halfway.send("\x16\x03\x01\x00\xff");
    halfway.end();
    await halfway.closed;
    await listener.close();
    expect(log.lines.map((line) => line.replace(/^.*\*\d+ /, ""))).toEqual([
      "client closed connection while SSL handshaking, client: 127.0.0.1, server: 127.0.0.1:0",
      "client closed connection while SSL handshaking, client: 127.0.0.1, server: 127.0.0.1:0",
    ]);
  });

  test("closes a connection that has not finished its handshake within client_header_timeout", async () => {
    const { log, settings } = await logged({ client_header_timeout: 50 });
    const { connect } = await startTls([settings]);
    const client = await connect();
    await client.send("\x16\x03\x01");
    expect(await client.toEnd()).toBe("");
    expect(log.lines.join()).toContain("client timed out (110: Connection timed out) while SSL handshaking");
  });
});

async function logged(
  server: PlanSettings["server"] = {},
): Promise<{ log: MemoryLog; settings: ServerPlan }> {
  const log = new MemoryLog();
  const tls = await tlsSettings(["one.test"]);
  return { log, settings: makeServerPlan({ log, server, serverPlan: { name: "one.test", tls } }) };
}

describe("client certificates", () => {
  async function ask(
    servers: readonly ServerPlan[],
    sni: string,
    host: string,
    withCertificate: boolean,
  ): Promise<string> {
    const { port } = await startTls(servers);
    const own = withCertificate ? await leafCertificate({ names: ["client"], isClient: true }) : {};
    const peer = await connectRaw({
      port,
      tls: { servername: sni, ca: await authorityCertificate(), ...own },
    });
    await peer.send(get(host));
    return (await readResponse(peer)).body;
  }

  test("asks for a certificate only where ssl_verify_client says so, and answers 496 without one", async () => {
    const open = await serverNamed("open.test");
    const closed = await serverNamed("closed.test", { ssl_verify_client: "on" });
    expect(await ask([open, closed], "open.test", "open.test", false)).toBe("https open.test");
    expect(await ask([open, closed], "closed.test", "closed.test", false)).toBe("status 496");
    expect(await ask([open, closed], "closed.test", "closed.test", true)).toBe("https closed.test");
  });

  test("answers 421 where Host leads to a server that verifies clients otherwise than the one that SNI named", async () => {
    const open = await serverNamed("open.test");
    const closed = await serverNamed("closed.test", { ssl_verify_client: "on" });
    expect(await ask([open, closed], "open.test", "closed.test", true)).toBe("status 421");
    expect(await ask([open, closed], "closed.test", "open.test", true)).toBe("https open.test");
  });

  test("answers 495 to a certificate that nobody trusted has signed, except with optional_no_ca", async () => {
    const own = await leafCertificate({ names: ["stranger"], isClient: true, isSelfSigned: true });
    const ca = await authorityCertificate();
    for (const [mode, answer] of [
      ["on", "status 495"],
      ["optional", "status 495"],
      ["optional_no_ca", "https closed.test"],
    ] as const) {
      const { port } = await startTls([await serverNamed("closed.test", { ssl_verify_client: mode })]);
      const peer = await connectRaw({ port, tls: { servername: "closed.test", ca, ...own } });
      await peer.send(get("closed.test"));
      expect((await readResponse(peer)).body).toBe(answer);
    }
  });
});

describe("sessions", () => {
  /** Connects, and says whether the session given was resumed, together with the session for next time. */
  async function visit(
    port: number,
    name: string,
    session?: Buffer,
  ): Promise<{ reused: boolean; session: Buffer }> {
    const own = await leafCertificate({ names: ["client"], isClient: true });
    const resumption = session === undefined ? {} : { session };
    const ca = await authorityCertificate();
    const peer = await connectRaw({ port, tls: { servername: name, ca, ...own, ...resumption } });
    const socket = tlsOf(peer);
    const tickets: Buffer[] = session === undefined ? [] : [session];
    const ticket = new Promise<void>((resolve) => {
      socket.on("session", (next) => {
        tickets.push(next);
        resolve();
      });
    });
    await peer.send(get(name));
    await readResponse(peer);
    const reused = socket.isSessionReused();
    if (session === undefined) await ticket;
    await peer.close();
    return { reused, session: tickets.at(-1) ?? Buffer.alloc(0) };
  }

  test("are resumed at the same server, also across a reload and in another worker", async () => {
    const secret = Buffer.alloc(48, 7);
    const first = await startTls([await serverNamed("one.test")], {}, new TlsAcceptor(secret));
    const { session, reused } = await visit(first.port, "one.test");
    expect(reused).toBe(false);
    expect((await visit(first.port, "one.test", session)).reused).toBe(true);
    first.listener.plan = { ...first.listener.plan, ...sslListener([await serverNamed("one.test")]) };
    expect((await visit(first.port, "one.test", session)).reused).toBe(true);
    const second = await startTls([await serverNamed("one.test")], {}, new TlsAcceptor(secret));
    expect((await visit(second.port, "one.test", session)).reused).toBe(true);
  });

  test("are not resumed at another server, nor where clients are verified", async () => {
    const servers = [
      await serverNamed("one.test"),
      await serverNamed("two.test"),
      await serverNamed("closed.test", { ssl_verify_client: "on" }),
    ];
    const { port } = await startTls(servers);
    const open = await visit(port, "one.test");
    expect((await visit(port, "two.test", open.session)).reused).toBe(false);
    expect((await visit(port, "closed.test", open.session)).reused).toBe(false);
    const closed = await visit(port, "closed.test");
    expect((await visit(port, "closed.test", closed.session)).reused).toBe(false);
    expect((await visit(port, "one.test", closed.session)).reused).toBe(false);
  });
});
