import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import type { Socket } from "node:net";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { type Transport, type TransportPath, useTransportPath } from "../base/transport.ts";
import { authorityCertificate, leafCertificate } from "../../test/rig/certificates.ts";
import { nextTurn } from "../../test/rig/deadline.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { openPair, type TransportPair, type TransportSecurity } from "../../test/rig/transports.ts";
import { openTunnel, type TunnelRig } from "../../test/rig/tunnels.ts";
import { relay, type TunnelEnd } from "./relay.ts";

// Before useRig, so that it runs after the rig has closed what a test left open.
afterEach(() => {
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

useRig();

beforeAll(async () => {
  // Made once, so that no test's time goes into keys.
  await Promise.all([authorityCertificate(), leafCertificate()]);
});

/** Resolves once the transport has stopped taking bytes because of backpressure: nothing moves any more. */
async function untilStill(transport: Transport): Promise<void> {
  for (let stillTurns = 0, last = -1; stillTurns < 50; await nextTurn()) {
    stillTurns = transport.bytesRead === last ? stillTurns + 1 : 0;
    last = transport.bytesRead;
  }
}

function hashIncoming(socket: Socket): { hash: Hash; bytes: number } {
  const incoming = { hash: createHash("sha1"), bytes: 0 };
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Buffer) => {
    incoming.bytes += chunk.length;
    incoming.hash.update(chunk);
  });
  return incoming;
}

/** Bytes in which a piece lost, doubled or moved shows. */
function pattern(lengthBytes: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  for (let i = 0, state = seed; i < lengthBytes; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    bytes[i] = state >> 16;
  }
  return bytes;
}

const MIB = 1024 * 1024;

describe.each<{ path: TransportPath; security: TransportSecurity }>([
  { path: "direct", security: "plain" },
  { path: "direct", security: "tls" },
  { path: "public", security: "plain" },
  { path: "public", security: "tls" },
])("a $security tunnel on the $path path", ({ path, security }) => {
  beforeEach(() => useTransportPath(path));

  test("passes single bytes both ways, in order", async () => {
    const { client, upstream } = await openTunnel(security);
    await client.peer.sendPieces("from the client");
    await upstream.peer.sendPieces("from the upstream");
    expect(await upstream.peer.bytes(15)).toBe("from the client");
    expect(await client.peer.bytes(17)).toBe("from the upstream");
  });

  test("delivers early bytes of both sides before everything else", async () => {
    const { client, upstream } = await openTunnel(security, {
      clientBytes: Buffer.from("early client, "),
      upstreamBytes: Buffer.from("early upstream, "),
    });
    await client.peer.send("late client");
    await upstream.peer.send("late upstream");
    expect(await upstream.peer.bytes(25)).toBe("early client, late client");
    expect(await client.peer.bytes(29)).toBe("early upstream, late upstream");
  });

  test("carries 8 MiB each way at once, unchanged, and counts them", async () => {
    const { client, upstream, untilEnd } = await openTunnel(security);
    const [toUpstream, toClient] = [pattern(8 * MIB, 1), pattern(8 * MIB, 2)];
    const atUpstream = hashIncoming(upstream.peer.socket);
    const atClient = hashIncoming(client.peer.socket);
    client.peer.socket.end(toUpstream);
    upstream.peer.socket.end(toClient);
    const end = await untilEnd();
    await Promise.all([client.peer.closed, upstream.peer.closed]);
    expect(end).toMatchObject({ reason: "eof", bytesFromClient: 8 * MIB, bytesFromUpstream: 8 * MIB });
    expect(atUpstream.hash.digest("hex")).toBe(createHash("sha1").update(toUpstream).digest("hex"));
    expect(atClient.hash.digest("hex")).toBe(createHash("sha1").update(toClient).digest("hex"));
  });

  describe.each<{ slow: "client" | "upstream" }>([{ slow: "client" }, { slow: "upstream" }])(
    "with a $slow that does not read",
    ({ slow }) => {
      function sides(rig: TunnelRig): { reader: TransportPair; writer: TransportPair } {
        return slow === "client"
          ? { reader: rig.client, writer: rig.upstream }
          : { reader: rig.upstream, writer: rig.client };
      }

      test("holds a bounded number of bytes, and goes on when it reads", async () => {
        const rig = await openTunnel(security);
        const { reader, writer } = sides(rig);
        const bytes = pattern(32 * MIB, 3);
        reader.peer.socket.pause();
        const incoming = hashIncoming(reader.peer.socket);
        reader.peer.socket.pause();
        writer.peer.socket.end(bytes);
        await untilStill(writer.transport);
        expect(writer.transport.bytesRead).toBeLessThan(32 * MIB);
        expect(reader.transport.pendingBytes).toBeGreaterThan(0);
        // The watermark and one chunk.
        expect(reader.transport.pendingBytes).toBeLessThanOrEqual(65_536 + 65_536);
        reader.peer.socket.resume();
        reader.peer.end();
        await rig.untilEnd();
        await reader.peer.closed;
        expect(incoming.bytes).toBe(bytes.length);
        expect(incoming.hash.digest("hex")).toBe(createHash("sha1").update(bytes).digest("hex"));
      });

      test("delivers what is pending when the other side has sent FIN", async () => {
        const rig = await openTunnel(security);
        const { reader, writer } = sides(rig);
        const incoming = hashIncoming(reader.peer.socket);
        reader.peer.socket.pause();
        writer.peer.socket.end(pattern(4 * MIB, 4));
        await untilStill(writer.transport);
        reader.peer.socket.resume();
        reader.peer.socket.once("end", () => reader.peer.end());
        expect(await rig.untilEnd()).toMatchObject({
          endedBy: slow === "client" ? "upstream" : "client",
          reason: "eof",
        });
        expect(incoming.bytes).toBe(4 * MIB);
      });
    },
  );

  test("when the upstream ends first, the client gets FIN, and what the client still says is delivered", async () => {
    const { client, upstream, untilEnd } = await openTunnel(security);
    await upstream.peer.send("goodbye");
    upstream.peer.end();
    expect(await client.peer.toEnd()).toBe("goodbye");
    await client.peer.send("goodbye to you");
    await upstream.peer.exactly("goodbye to you");
    client.peer.end();
    expect(await untilEnd()).toMatchObject({ endedBy: "upstream", reason: "eof", error: null });
  });

  test("when the client half-closes, late data of the upstream is delivered", async () => {
    const { client, upstream, untilEnd } = await openTunnel(security);
    await client.peer.send("question");
    client.peer.end();
    expect(await upstream.peer.toEnd()).toBe("question");
    await upstream.peer.sendPieces(["late ", "answer"]);
    upstream.peer.end();
    expect(await client.peer.toEnd()).toBe("late answer");
    expect(await untilEnd()).toMatchObject({ endedBy: "client", reason: "eof" });
  });

  test("a reset by one side is FIN for the other, which keeps what came before", async () => {
    for (const [first, second] of [
      ["client", "upstream"],
      ["upstream", "client"],
    ] as const) {
      const rig = await openTunnel(security);
      await rig[first].peer.send("last words");
      await rig[second].peer.until("last words");
      rig[first].peerTcp.resetAndDestroy();
      await rig[second].peer.toEnd();
      rig[second].peer.end();
      const end = await rig.untilEnd();
      expect(end).toMatchObject({ endedBy: first, reason: "reset" });
      expect(end.error).toMatchObject({ code: "ECONNRESET" });
    }
  });

  test("what a side says after the other was reset is dropped, and its end is seen behind it", async () => {
    const { client, upstream, untilEnd } = await openTunnel(security);
    await client.peer.send("hello");
    await upstream.peer.until("hello");
    client.peerTcp.resetAndDestroy();
    await upstream.peer.toEnd();
    upstream.peer.socket.end(Buffer.alloc(4 * MIB));
    expect(await untilEnd()).toMatchObject({ endedBy: "client", reason: "reset" });
  });

  test("a reset of both sides at once ends the tunnel once", async () => {
    const rig = await openTunnel(security);
    // Without it, TLS might still be sending session tickets, and would learn of the reset by that write.
    await rig.client.peer.send("hello");
    await rig.upstream.peer.until("hello");
    rig.client.peerTcp.resetAndDestroy();
    rig.upstream.peerTcp.resetAndDestroy();
    expect(await rig.untilEnd()).toMatchObject({ reason: "reset" });
    await nextTurn();
    expect(rig.calls.count).toBe(1);
  });

  test("FIN of both sides at once ends the tunnel once, and nobody loses anything", async () => {
    const rig = await openTunnel(security);
    rig.client.peer.socket.end("from the client");
    rig.upstream.peer.socket.end("from the upstream");
    expect(await rig.client.peer.toEnd()).toBe("from the upstream");
    expect(await rig.upstream.peer.toEnd()).toBe("from the client");
    expect(await rig.untilEnd()).toMatchObject({ reason: "eof" });
    await nextTurn();
    expect(rig.calls.count).toBe(1);
  });

  test("a reset while both directions stand still under backpressure ends the tunnel", async () => {
    const rig = await openTunnel(security, { halfCloseTimeoutMs: 200 });
    for (const { peer } of [rig.client, rig.upstream]) {
      peer.socket.pause();
      peer.socket.write(Buffer.alloc(32 * MIB));
    }
    await Promise.all([untilStill(rig.client.transport), untilStill(rig.upstream.transport)]);
    rig.client.peerTcp.resetAndDestroy();
    expect(await rig.untilEnd()).toMatchObject({ endedBy: "client", reason: "reset" });
  });

  test("shutdown delivers what is pending, then FIN, and drops what comes afterwards", async () => {
    const { client, upstream, tunnel, untilEnd } = await openTunnel(security);
    client.peer.socket.pause();
    const bytes = pattern(MIB / 2, 8);
    upstream.peer.socket.write(bytes);
    while (tunnel.isOpen && upstream.transport.bytesRead < bytes.length) await nextTurn();
    tunnel.shutdown("drain");
    tunnel.shutdown("limit");
    await upstream.peer.toEnd();
    await upstream.peer.send("too late");
    client.peer.socket.resume();
    expect((await client.peer.toEnd()).length).toBe(bytes.length);
    client.peer.end();
    upstream.peer.end();
    expect(await untilEnd()).toMatchObject({ endedBy: "proxy", reason: "drain" });
  });

  test("destroy closes both sides at once and reports once", async () => {
    const rig = await openTunnel(security);
    rig.tunnel.destroy("shutdown");
    rig.tunnel.destroy("shutdown");
    await Promise.all([rig.client.peer.toEnd(), rig.upstream.peer.toEnd()]);
    expect(await rig.untilEnd()).toMatchObject({ endedBy: "proxy", reason: "shutdown" });
    expect(rig.calls.count).toBe(1);
  });

  test("a client whose FIN came before the tunnel was built is half-closed in the tunnel", async () => {
    const [client, upstream] = await Promise.all([
      openPair("accepted", security),
      openPair("dialled", security),
    ]);
    client.peer.end();
    await new Promise<void>((resolve) => {
      client.transport.listener = { onBytes() {}, onEnd: resolve, onDrain() {}, onClose() {} };
      client.transport.resume();
    });
    client.transport.pause();
    const ended = new Promise<TunnelEnd>((resolve) => {
      const timeouts = {
        readTimeoutMs: 20_000,
        clientSendTimeoutMs: 20_000,
        upstreamSendTimeoutMs: 20_000,
      };
      relay(client.transport, upstream.transport, { ...timeouts, onEnd: resolve });
    });
    await upstream.peer.toEnd();
    await upstream.peer.send("answer");
    upstream.peer.end();
    expect(await client.peer.toEnd()).toBe("answer");
    expect(await ended).toMatchObject({ endedBy: "client", reason: "eof" });
  });

  test("a filter sees every byte of its direction, may cut and add, and has the last word before FIN", async () => {
    const causes: string[] = [];
    const { client, upstream, untilEnd } = await openTunnel(security, {
      upstreamFilter: {
        pass(chunk, start, end, sink) {
          sink.writeLatin1("<");
          sink.write(chunk, start, end);
          return sink.writeLatin1(">");
        },
        finish(sink, cause) {
          causes.push(`${cause.endedBy} ${cause.reason}`);
          sink.writeLatin1("closed");
        },
      },
    });
    await upstream.peer.send("a");
    await client.peer.exactly("<a>");
    upstream.peerTcp.resetAndDestroy();
    expect(await client.peer.toEnd()).toBe("closed");
    client.peer.end();
    await untilEnd();
    expect(causes).toEqual(["upstream reset"]);
  });
});
