import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex, PassThrough } from "node:stream";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import { beforeEach, describe, expect, test } from "vitest";
import { authorityCertificate, leafCertificate } from "../../test/rig/certificates.ts";
import { nextTurn, within } from "../../test/rig/deadline.ts";
import { Inbox } from "../../test/rig/inbox.ts";
import { obtain, useRig } from "../../test/rig/ledger.ts";
import { connectRaw, RawPeer } from "../../test/rig/raw-peer.ts";
import { openPair, type TransportRole, type TransportSecurity } from "../../test/rig/transports.ts";
import {
  acceptTransport,
  currentTransportPath,
  type DialOptions,
  dialTransport,
  streamTransport,
  type Transport,
  type TransportListener,
  type TransportPath,
  useTransportPath,
} from "./transport.ts";
import { handlesWork } from "./transport-handle.ts";

useRig();

const distModule: string = new URL("../../dist/base/transport.js", import.meta.url).href;

/** Keeps what a transport says, in order, and its bytes in an inbox. */
class Recorder implements TransportListener {
  readonly inbox: Inbox = new Inbox("the transport");
  readonly calls: string[] = [];
  readonly closed: Promise<Error | null>;
  onBytesDo: (() => void) | null = null;
  onDrainDo: (() => void) | null = null;
  #resolveClosed: (error: Error | null) => void = () => {};

  constructor(transport: Transport | null = null) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    if (transport !== null) transport.listener = this;
  }

  onBytes(chunk: Buffer, start: number, end: number): void {
    if (this.calls.at(-1) !== "bytes") this.calls.push("bytes");
    this.inbox.push(chunk.toString("latin1", start, end));
    this.onBytesDo?.();
  }

  onEnd(): void {
    this.calls.push("end");
    this.inbox.finish("end");
  }

  onDrain(): void {
    this.calls.push("drain");
    this.onDrainDo?.();
  }

  onClose(error: Error | null): void {
    this.calls.push("close");
    this.inbox.finish("close");
    this.#resolveClosed(error);
  }

  untilClosed(): Promise<Error | null> {
    return within(this.closed, "onClose");
  }
}

/** Writes until the kernel takes no more, and returns how many bytes that was. */
async function fill(transport: Transport, recorder: Recorder): Promise<number> {
  const chunk = Buffer.alloc(65_536, "-");
  let sentBytes = 0;
  for (;;) {
    do sentBytes += chunk.length;
    while (transport.write(chunk, 0, chunk.length));
    recorder.calls.length = 0;
    for (let i = 0; i < 20; i++) await nextTurn();
    if (!recorder.calls.includes("drain")) return sentBytes;
  }
}

const cases: { path: TransportPath; role: TransportRole; security: TransportSecurity }[] = [];
for (const path of ["direct", "public"] as const) {
  for (const role of ["accepted", "dialled"] as const) {
    for (const security of ["plain", "tls"] as const) cases.push({ path, role, security });
  }
}

/** Node can reset a TCP socket; with TLS only the one below, where it is at hand. */
function hasReset(path: TransportPath, role: TransportRole, security: TransportSecurity): boolean {
  return security === "plain" || (path === "direct" && role === "accepted");
}

describe.each(cases)("on the $path path, $role, $security", ({ path, role, security }) => {
  beforeEach(() => useTransportPath(path));

  test("nothing is read before resume, everything after it, and FIN after everything", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    await peer.send("early");
    peer.end();
    for (let i = 0; i < 20; i++) await nextTurn();
    expect(recorder.calls).toEqual([]);
    transport.resume();
    expect(recorder.calls).toEqual([]);
    expect(await recorder.inbox.toEnd()).toBe("early");
    expect(recorder.calls).toEqual(["bytes", "end"]);
    expect(transport.peerHasEnded).toBe(true);
    expect(transport.bytesRead).toBe(5);
  });

  test("no bytes and no FIN come while paused, not even when paused from within onBytes", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    recorder.onBytesDo = () => transport.pause();
    transport.resume();
    // With TLS these are records in one segment, which are decrypted in one go.
    for (const text of ["one", "two", "three"]) peer.socket.write(text);
    peer.end();
    let received = "";
    while (received.length < 11) {
      received += await recorder.inbox.bytes(1);
      const { calls } = recorder;
      const seen = recorder.inbox.received.length;
      for (let i = 0; i < 5; i++) await nextTurn();
      expect(recorder.inbox.received.length).toBe(seen);
      expect(calls).not.toContain("end");
      if (seen === received.length) transport.resume();
    }
    expect(received).toBe("onetwothree");
    transport.resume();
    await recorder.inbox.toEnd();
  });

  test("the caller may reuse the memory of a write, whatever became of the bytes", async () => {
    const { transport, peer } = await openPair(role, security);
    peer.socket.pause();
    const chunk = Buffer.alloc(10_007);
    let expected = "";
    let rounds = 0;
    for (; transport.pendingBytes < 200_000; rounds++) {
      chunk.fill(0x61 + (rounds % 26));
      transport.write(chunk, 1, chunk.length);
      expected += String.fromCharCode(0x61 + (rounds % 26));
    }
    transport.end();
    peer.socket.resume();
    const received = await peer.toEnd();
    expect(received.length).toBe(rounds * 10_006);
    for (let i = 0; i < rounds; i++) {
      expect(new Set(received.slice(i * 10_006, (i + 1) * 10_006))).toEqual(new Set(expected[i]));
    }
  });

  test("a write over the watermark says so, and onDrain comes when everything has gone out", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    peer.socket.pause();
    const more = Buffer.alloc(8_000_000);
    const sentBytes = (await fill(transport, recorder)) + more.length;
    expect(transport.write(more, 0, more.length)).toBe(false);
    expect(transport.pendingBytes).toBeGreaterThan(more.length);
    expect(transport.bytesWritten).toBe(sentBytes);
    const drained = new Promise<number>((resolve) => {
      recorder.onDrainDo = () => resolve(transport.pendingBytes);
    });
    peer.socket.resume();
    expect(await within(drained, "onDrain")).toBe(0);
    expect((await peer.bytes(sentBytes)).length).toBe(sentBytes);
  });

  test("who awaits it is told that everything has gone out, though it was less than the watermark", async () => {
    const { transport, peer } = await openPair(role, security, { highWaterMarkBytes: 2 ** 30 });
    const recorder = new Recorder(transport);
    expect(transport.awaitDrain()).toBe(true);
    peer.socket.pause();
    const chunk = Buffer.alloc(65_536);
    let sentBytes = 0;
    let saidNo = 0;
    for (let turns = 0; turns < 20; turns++) {
      if (transport.pendingBytes === 0) {
        turns = 0;
        sentBytes += chunk.length;
        if (!transport.write(chunk, 0, chunk.length)) saidNo++;
      }
      await nextTurn();
    }
    expect(saidNo).toBe(0);
    expect(transport.awaitDrain()).toBe(false);
    const drained = new Promise<number>((resolve) => {
      recorder.onDrainDo = () => resolve(transport.pendingBytes);
    });
    peer.socket.resume();
    expect(await within(drained, "onDrain")).toBe(0);
    expect((await peer.bytes(sentBytes)).length).toBe(sentBytes);
    expect(transport.awaitDrain()).toBe(true);
    expect(recorder.calls).toEqual(["drain"]);
    transport.destroy();
    expect(transport.awaitDrain()).toBe(false);
  });

  test("single bytes written to a full connection are kept in order", async () => {
    const { transport, peer } = await openPair(role, security);
    peer.socket.pause();
    const filledBytes = await fill(transport, new Recorder(transport));
    let expected = "";
    for (let i = 0; i < 5_000; i++) {
      expected += String.fromCharCode(i % 256);
      transport.writeLatin1(String.fromCharCode(i % 256));
    }
    transport.end();
    peer.socket.resume();
    expect((await peer.toEnd()).slice(filledBytes)).toBe(expected);
  });

  test("what is written while corked arrives in one piece, whatever its size", async () => {
    const { transport, peer } = await openPair(role, security);
    for (const bodyBytes of [0, 10, 60_000]) {
      const pieces: number[] = [];
      const count = (piece: Buffer): unknown => pieces.push(piece.length);
      peer.socket.on("data", count);
      const body = Buffer.alloc(bodyBytes, "b");
      transport.cork();
      transport.writeLatin1("head");
      transport.write(body, 0, body.length);
      transport.writeLatin1("\xff");
      for (let i = 0; i < 3; i++) await nextTurn();
      expect(pieces).toEqual([]);
      transport.uncork();
      expect(await peer.bytes(bodyBytes + 5)).toBe(`head${"b".repeat(bodyBytes)}\xff`);
      // A TLS record holds 16 KiB.
      expect(pieces.length).toBe(security === "plain" ? 1 : Math.ceil((bodyBytes + 5) / 16_384));
      peer.socket.off("data", count);
    }
  });

  test("corked writes larger than any buffer, and of two transports at once, keep their order", async () => {
    const [one, two] = [await openPair(role, security), await openPair(role, security)];
    for (const { transport } of [one, two]) transport.cork();
    const body = Buffer.alloc(100_000);
    for (let i = 0; i < 4; i++) {
      for (const { transport } of [one, two]) {
        transport.writeLatin1(`${i}`);
        body.fill(`${i}`);
        transport.write(body, 0, body.length);
      }
    }
    const expected = [0, 1, 2, 3].map((i) => `${i}`.repeat(100_001)).join("");
    for (const { transport, peer } of [one, two]) {
      transport.uncork();
      expect((await peer.bytes(expected.length)) === expected).toBe(true);
    }
  });

  test("end sends FIN after what is pending, and reading goes on until the peer ends, too", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    transport.resume();
    peer.socket.pause();
    const chunk = Buffer.alloc(65_536, "x");
    let sentBytes = chunk.length;
    while (transport.write(chunk, 0, chunk.length)) sentBytes += chunk.length;
    transport.end();
    transport.end();
    peer.socket.resume();
    expect((await peer.toEnd()).length).toBe(sentBytes);
    await peer.send("still here");
    expect(await recorder.inbox.bytes(10)).toBe("still here");
    expect(transport.isDestroyed).toBe(false);
    peer.end();
    expect(await recorder.untilClosed()).toBe(null);
    expect(recorder.calls.slice(-2)).toEqual(["end", "close"]);
  });

  test("a reset by the peer is onClose with ECONNRESET, once, after the bytes before it", async () => {
    const { transport, peer, peerTcp } = await openPair(role, security);
    const recorder = new Recorder(transport);
    await peer.send("before");
    transport.resume();
    await recorder.inbox.bytes(6);
    peerTcp.resetAndDestroy();
    expect(await recorder.untilClosed()).toMatchObject({ code: "ECONNRESET" });
    expect(transport.isDestroyed).toBe(true);
    expect(recorder.calls).toEqual(["bytes", "close"]);
    // And everything is allowed, and does nothing.
    expect(transport.writeLatin1("x")).toBe(false);
    transport.cork();
    transport.writeLatin1("x");
    transport.uncork();
    transport.resume();
    transport.pause();
    transport.end();
    transport.reset();
    transport.destroy(new Error("late"));
    await nextTurn();
    expect(recorder.calls).toEqual(["bytes", "close"]);
  });

  test("destroy tells the listener later, with the error it was given, and drops what is pending", async () => {
    for (const error of [null, new Error("a reason")]) {
      const { transport, peer } = await openPair(role, security);
      const recorder = new Recorder(transport);
      transport.resume();
      peer.socket.pause();
      const chunk = Buffer.alloc(65_536);
      while (transport.write(chunk, 0, chunk.length));
      transport.destroy(error ?? undefined);
      expect(recorder.calls).toEqual([]);
      expect(transport.isDestroyed).toBe(true);
      expect(await recorder.untilClosed()).toBe(error);
      peer.socket.resume();
      await peer.toEnd();
    }
  });

  test("destroy from within onBytes is the end of onBytes", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    recorder.onBytesDo = () => transport.destroy();
    transport.resume();
    for (let i = 0; i < 5; i++) peer.socket.write("x".repeat(1_000));
    expect(await recorder.untilClosed()).toBe(null);
    expect(recorder.calls).toEqual(["bytes", "close"]);
  });

  test("reset is seen by the peer as a reset where the kind of connection has one", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    transport.resume();
    transport.reset();
    expect(await recorder.untilClosed()).toBe(null);
    await peer.toEnd();
    expect(peer.inbox.ending).toBe(hasReset(path, role, security) ? "ECONNRESET" : "end");
  });

  test("addresses and TLS parameters stay known after the close", async () => {
    const { transport, peer } = await openPair(role, security);
    const recorder = new Recorder(transport);
    const ends = (): unknown[] => [
      [transport.localAddress, transport.localPort],
      [transport.remoteAddress, transport.remotePort],
    ];
    const expected = [
      ["127.0.0.1", peer.socket.remotePort],
      ["127.0.0.1", peer.socket.localPort],
    ];
    expect(ends()).toEqual(expected);
    transport.destroy();
    await recorder.untilClosed();
    expect(ends()).toEqual(expected);
    const { tls } = transport;
    expect(tls === null ? null : [tls.protocol, tls.cipher, tls.serverName, tls.verifyError]).toEqual(
      security === "plain" ? null : ["TLSv1.3", "TLS_AES_256_GCM_SHA384", "localhost", null],
    );
  });

  test("onClosed is told of the close, whoever listens by then", async () => {
    let closed = 0;
    const { transport } = await openPair(role, security, { onClosed: () => closed++ });
    const recorder = new Recorder(transport);
    transport.destroy();
    await recorder.untilClosed();
    expect(closed).toBe(1);
  });
});

describe.each<{ path: TransportPath }>([{ path: "direct" }, { path: "public" }])(
  "on the $path path",
  ({ path }) => {
    beforeEach(() => useTransportPath(path));

    test("what is written while connecting is sent, in order, after onConnect", async () => {
      const server = net.createServer((socket) => socket.pipe(socket));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      obtain("a server", () => void server.close());
      const address = server.address();
      assert(address !== null && typeof address !== "string");
      const recorder = new Recorder();
      const order: string[] = [];
      const transport = dialTransport(
        { address: { host: "127.0.0.1", port: address.port }, onConnect: () => order.push("connected") },
        recorder,
      );
      obtain("the transport", () => transport.destroy());
      transport.resume();
      transport.writeLatin1("one,");
      transport.cork();
      transport.writeLatin1("two,");
      transport.uncork();
      transport.writeLatin1("three");
      transport.end();
      expect(transport.pendingBytes).toBe(13);
      expect(await recorder.inbox.toEnd()).toBe("one,two,three");
      expect(order).toEqual(["connected"]);
      expect(await recorder.untilClosed()).toBe(null);
    });

    test("who was told to wait while connecting is told to go on after onConnect", async () => {
      const server = net.createServer((socket) => socket.resume());
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      obtain("a server", () => void server.close());
      const address = server.address();
      assert(address !== null && typeof address !== "string");
      const recorder = new Recorder();
      const { calls } = recorder;
      const drained = new Promise<void>((resolve) => {
        recorder.onDrainDo = resolve;
      });
      const transport = dialTransport(
        { address: { host: "127.0.0.1", port: address.port }, onConnect: () => calls.push("connected") },
        recorder,
      );
      obtain("the transport", () => transport.destroy());
      const chunk = Buffer.alloc(65_537);
      expect(transport.write(chunk, 0, chunk.length)).toBe(false);
      await within(drained, "onDrain");
      expect(calls).toEqual(["connected", "drain"]);
      expect(transport.pendingBytes).toBe(0);
    });

    test("a refused connection is onClose with its error; a destroyed dial is onClose without one", async () => {
      const server = net.createServer();
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      assert(address !== null && typeof address !== "string");
      server.close();
      const dial = {
        address: { host: "127.0.0.1", port: address.port },
        onConnect: () => assert.fail("connected"),
      };
      const refused = new Recorder();
      dialTransport(dial, refused);
      expect(await refused.untilClosed()).toMatchObject({ code: "ECONNREFUSED", syscall: "connect" });
      const destroyed = new Recorder();
      dialTransport(dial, destroyed).destroy();
      expect(await destroyed.untilClosed()).toBe(null);
    });

    test("a name is resolved; a local address is dialled from, and one that is not ours is an error", async () => {
      const server = net.createServer((socket) => socket.end(`${socket.remoteAddress}`));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      obtain("a server", () => void server.close());
      const address = server.address();
      assert(address !== null && typeof address !== "string");
      const { port } = address;
      const dial = (options: Pick<DialOptions, "address" | "localAddress">): Recorder => {
        const recorder = new Recorder();
        const transport = dialTransport({ ...options, onConnect: () => transport.end() }, recorder);
        transport.resume();
        return recorder;
      };
      expect(await dial({ address: { host: "localhost", port } }).inbox.toEnd()).toBe("127.0.0.1");
      const host = "127.0.0.1";
      expect(await dial({ address: { host, port }, localAddress: "127.0.0.7" }).inbox.toEnd()).toBe(
        "127.0.0.7",
      );
      const failed = dial({ address: { host, port }, localAddress: "192.0.2.1" });
      expect(await failed.untilClosed()).toMatchObject({ code: "EADDRNOTAVAIL" });
    });

    test("a socket that was closed before it could be accepted is a transport that closes", async () => {
      const { peerTcp } = await openPair("dialled", "plain");
      peerTcp.destroy();
      await once(peerTcp, "close");
      const recorder = new Recorder();
      const transport = acceptTransport(peerTcp, recorder);
      expect(transport.isDestroyed).toBe(true);
      expect(transport.writeLatin1("x")).toBe(false);
      expect(await recorder.untilClosed()).toBe(null);
    });

    test("a Unix socket has the address that nginx prints, and carries bytes", async () => {
      const folder = mkdtempSync(join(tmpdir(), "wsgate-"));
      obtain("a folder", () => rmSync(folder, { recursive: true }));
      const socketPath = join(folder, "socket");
      const server = net.createServer((socket) => socket.pipe(socket));
      server.listen(socketPath);
      await once(server, "listening");
      obtain("a server", () => void server.close());
      const recorder = new Recorder();
      const transport = dialTransport(
        { address: { path: socketPath }, onConnect: () => transport.resume() },
        recorder,
      );
      transport.writeLatin1("over a path");
      expect(await recorder.inbox.bytes(11)).toBe("over a path");
      expect([transport.remoteAddress, transport.remotePort]).toEqual(["unix:", 0]);
      transport.end();
      expect(await recorder.untilClosed()).toBe(null);
    });
  },
);

test("the last words of a peer that then resets are delivered, though writing to it has failed meanwhile", async () => {
  useTransportPath("direct");
  const { transport, peer, peerTcp } = await openPair("accepted", "plain");
  const recorder = new Recorder(transport);
  await peer.send("last words");
  peerTcp.resetAndDestroy();
  const chunk = Buffer.alloc(1_000);
  while (transport.write(chunk, 0, chunk.length)) await nextTurn();
  expect(recorder.calls).toEqual([]);
  transport.resume();
  expect(await recorder.untilClosed()).toMatchObject({ syscall: "write" });
  expect(recorder.inbox.received).toBe("last words");
  expect(recorder.calls).toEqual(["bytes", "close"]);
});

test("a connection that a cluster's primary has accepted is a transport in the worker", async () => {
  const folder = mkdtempSync(join(tmpdir(), "wsgate-"));
  obtain("a folder", () => rmSync(folder, { recursive: true }));
  const script = join(folder, "cluster.mjs");
  writeFileSync(
    script,
    `import cluster from "node:cluster";
    import { createServer } from "node:net";
    import { acceptTransport, currentTransportPath } from ${JSON.stringify(distModule)};
    if (cluster.isPrimary) {
      cluster.fork();
      cluster.on("listening", (worker, { port }) => console.log(port));
    } else {
      const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
        const transport = acceptTransport(socket, {
          onBytes: (chunk, start, end) => transport.write(chunk, start, end),
          onEnd: () => transport.end(),
          onDrain() {},
          onClose: () => cluster.worker.disconnect(),
        });
        transport.writeLatin1(currentTransportPath() + ":");
        transport.resume();
      });
      server.listen(0, "127.0.0.1");
    }`,
  );
  const primary = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  obtain("a cluster", () => void primary.kill());
  const exited = once(primary, "exit");
  const [line]: unknown[] = await within(once(primary.stdout, "data"), "the worker to listen");
  const peer = await connectRaw({ port: Number(String(line)) });
  await peer.send("through a worker");
  peer.end();
  expect(await peer.toEnd()).toBe("direct:through a worker");
  // The worker had nothing left to do but to wait for the connection's end, and the primary nothing but its worker.
  expect(await within(exited, "the cluster to end")).toEqual([0, null]);
});

test.each([
  ["accepted", "plain"],
  ["dialled", "plain"],
  ["accepted", "tls"],
  ["dialled", "tls"],
] as const)("a reset right behind the last bytes is no FIN (%s, %s)", async (role, security) => {
  useTransportPath("direct");
  const { transport, peer, peerTcp } = await openPair(role, security);
  const recorder = new Recorder(transport);
  await peer.send("last words");
  peerTcp.resetAndDestroy();
  await peer.closed;
  transport.resume();
  expect(await recorder.untilClosed()).toMatchObject({ code: "ECONNRESET" });
  expect(recorder.inbox.received).toBe("last words");
  expect(recorder.calls).toEqual(["bytes", "close"]);
});

test("TLS on top of a stream that is no socket is a transport, too", async () => {
  useTransportPath("direct");
  const [clientEnd, serverEnd] = duplexPair();
  const secureContext = createSecureContext(await leafCertificate());
  const secured = new TLSSocket(serverEnd, { isServer: true, secureContext });
  const ca = await authorityCertificate();
  const peer = new RawPeer(connectTls({ socket: clientEnd, ca, servername: "localhost" }), "the client");
  await within(once(secured, "secure"), "the handshake");
  const recorder = new Recorder();
  const transport = acceptTransport(secured, recorder);
  transport.resume();
  await peer.send("hello");
  expect(await recorder.inbox.bytes(5)).toBe("hello");
  transport.destroy();
  expect(await recorder.untilClosed()).toBe(null);
  await peer.close();
});

/** Two streams, each of which reads what is written to the other. */
function duplexPair(): [Duplex, Duplex] {
  const [there, back] = [new PassThrough(), new PassThrough()];
  return [Duplex.from({ readable: back, writable: there }), Duplex.from({ readable: there, writable: back })];
}

test("any Duplex can be a transport", async () => {
  const stream = new PassThrough();
  const recorder = new Recorder();
  const transport = streamTransport(stream, recorder);
  transport.resume();
  transport.writeLatin1("through");
  transport.end();
  expect(await recorder.inbox.toEnd()).toBe("through");
  expect(await recorder.untilClosed()).toBe(null);
});

test("the direct path is taken on this Node, unless the environment asks for the public one", () => {
  useTransportPath("direct");
  expect(handlesWork).toBe(true);
  const script = `
    const { currentTransportPath } = await import(${JSON.stringify(distModule)});
    console.log(currentTransportPath(), process.noDeprecation);
  `;
  const run = (environment: Record<string, string>): string =>
    execFileSync(process.execPath, ["--input-type=module", "-e", script], {
      env: { ...process.env, ...environment },
    }).toString();
  expect(run({})).toBe("direct undefined\n");
  expect(run({ WSGATE_TRANSPORT: "public" })).toBe("public undefined\n");
  expect(currentTransportPath()).toBe("direct");
});
