/** The timeouts of a relay, over real sockets and by a clock that only the tests move. */
import assert from "node:assert/strict";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { type Transport, type TransportPath, useTransportPath } from "../base/transport.ts";
import { authorityCertificate, leafCertificate } from "../../test/rig/certificates.ts";
import { nextTurn } from "../../test/rig/deadline.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { StubTransport } from "../../test/rig/stub-transport.ts";
import type { TransportPair, TransportSecurity } from "../../test/rig/transports.ts";
import { openTunnel, type TunnelRig } from "../../test/rig/tunnels.ts";
import { relay, type TunnelEnd } from "./relay.ts";

// Before useRig, so that it runs after the rig has closed what a test left open.
afterEach(() => {
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

useRig();

beforeAll(async () => {
  await Promise.all([authorityCertificate(), leafCertificate()]);
  // For the whole file: a wheel of deadlines keeps the clock by which it was started.
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
});

const TIMEOUT_MS = 500;
/** Less than the timeout; two of them are more. */
const PAUSE_MS = 400;
/** More than the timeout and the three looks at the clock by which a deadline may be late. */
const TOO_LONG_MS = 540;
/** More than the kernel keeps on the way to a side that reads nothing. */
const FLOOD_BYTES = 64 * 1024 * 1024;

/** Lets time pass in steps of the shortest wheel, and whatever moves meanwhile move. */
async function pass(durationMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < durationMs; passedMs += 10) {
    vi.advanceTimersByTime(10);
    await nextTurn();
  }
}

/** Resolves once the transport has stopped taking bytes because of backpressure: nothing moves any more. */
async function untilStill(transport: Transport): Promise<void> {
  for (let stillTurns = 0, last = -1; stillTurns < 50; await nextTurn()) {
    stillTurns = transport.bytesRead === last ? stillTurns + 1 : 0;
    last = transport.bytesRead;
  }
}

describe.each<{ path: TransportPath; security: TransportSecurity }>([
  { path: "direct", security: "plain" },
  { path: "direct", security: "tls" },
  { path: "public", security: "plain" },
  { path: "public", security: "tls" },
])("a $security tunnel on the $path path", ({ path, security }) => {
  beforeEach(() => useTransportPath(path));

  describe.each<{ slow: "client" | "upstream" }>([{ slow: "client" }, { slow: "upstream" }])(
    "with a $slow that does not read",
    ({ slow }) => {
      /** A tunnel that stands still, since one side does not take what the other one sends. */
      async function openStill(): Promise<{ rig: TunnelRig; reader: TransportPair; writer: TransportPair }> {
        const rig = await openTunnel(security, {
          clientSendTimeoutMs: slow === "client" ? TIMEOUT_MS : 20_000,
          upstreamSendTimeoutMs: slow === "upstream" ? TIMEOUT_MS : 20_000,
        });
        const [reader, writer] = slow === "client" ? [rig.client, rig.upstream] : [rig.upstream, rig.client];
        reader.peer.socket.removeAllListeners("data").on("data", () => {});
        reader.peer.socket.pause();
        writer.peer.socket.write(Buffer.alloc(FLOOD_BYTES));
        await untilStill(writer.transport);
        return { rig, reader, writer };
      }

      test("ends by the send timeout, with FIN for the other side", async () => {
        const { rig, writer } = await openStill();
        await pass(PAUSE_MS);
        expect(rig.tunnel.isOpen).toBe(true);
        await pass(TOO_LONG_MS - PAUSE_MS);
        expect(rig.tunnel.isOpen).toBe(false);
        await writer.peer.toEnd();
        writer.peer.socket.destroy();
        expect(await rig.untilEnd()).toMatchObject({ endedBy: "proxy", reason: "send-timeout" });
      });

      test("keeps the tunnel as long as something is taken now and then", async () => {
        const { rig, reader, writer } = await openStill();
        for (let i = 0; i < 4; i++) {
          const before = writer.transport.bytesRead;
          reader.peer.socket.resume();
          // The kernel wants a few MiB read before it lets more in.
          while (writer.transport.bytesRead === before) await nextTurn();
          reader.peer.socket.pause();
          await untilStill(writer.transport);
          await pass(PAUSE_MS);
          expect(rig.tunnel.isOpen).toBe(true);
        }
        await pass(TOO_LONG_MS - PAUSE_MS);
        expect(rig.tunnel.isOpen).toBe(false);
        rig.tunnel.destroy("shutdown");
        await rig.untilEnd();
      });
    },
  );

  test("a side that does not end after the other is closed after the half-close timeout", async () => {
    for (const [first, second] of [
      ["client", "upstream"],
      ["upstream", "client"],
    ] as const) {
      const rig = await openTunnel(security, { halfCloseTimeoutMs: TIMEOUT_MS });
      rig[first].peer.end();
      await rig[second].peer.toEnd();
      await pass(PAUSE_MS);
      expect(rig.calls.count).toBe(0);
      await pass(TOO_LONG_MS - PAUSE_MS);
      expect(await rig.untilEnd()).toMatchObject({ endedBy: first, reason: "eof" });
    }
  });

  test("late data keeps a half-closed tunnel beyond the half-close timeout", async () => {
    const { client, upstream, untilEnd } = await openTunnel(security, { halfCloseTimeoutMs: TIMEOUT_MS });
    client.peer.end();
    await upstream.peer.toEnd();
    for (let i = 0; i < 4; i++) {
      await upstream.peer.send(`${i}`);
      await client.peer.exactly(`${i}`);
      await pass(PAUSE_MS);
    }
    upstream.peer.end();
    expect(await client.peer.toEnd()).toBe("");
    await untilEnd();
  });

  test("the read timeout ends a silent tunnel with FIN for both", async () => {
    const { client, upstream, tunnel, untilEnd } = await openTunnel(security, { readTimeoutMs: TIMEOUT_MS });
    await pass(PAUSE_MS);
    expect(tunnel.isOpen).toBe(true);
    await pass(TOO_LONG_MS - PAUSE_MS);
    await Promise.all([client.peer.toEnd(), upstream.peer.toEnd()]);
    client.peer.end();
    upstream.peer.end();
    expect(await untilEnd()).toMatchObject({ endedBy: "proxy", reason: "read-timeout" });
  });

  test("bytes of either side alone put the read timeout off", async () => {
    for (const [side, other] of [
      ["client", "upstream"],
      ["upstream", "client"],
    ] as const) {
      const rig = await openTunnel(security, { readTimeoutMs: TIMEOUT_MS });
      for (let i = 0; i < 4; i++) {
        await rig[side].peer.send(".");
        await rig[other].peer.exactly(".");
        await pass(PAUSE_MS);
        expect(rig.tunnel.isOpen).toBe(true);
      }
      await pass(TOO_LONG_MS - PAUSE_MS);
      expect(rig.tunnel.isOpen).toBe(false);
      rig.tunnel.destroy("shutdown");
      await rig.untilEnd();
    }
  });
});

test("the send timeout begins anew with every byte taken, though the sink never drains", async () => {
  const [client, upstream] = [new StubTransport(), new StubTransport()];
  const timeouts = { readTimeoutMs: 600_000, clientSendTimeoutMs: 1_000, upstreamSendTimeoutMs: 1_000 };
  const ended = new Promise<TunnelEnd>((resolve) => {
    relay(client, upstream, { ...timeouts, onEnd: resolve });
  });
  client.pendingBytes = 100;
  upstream.listener.onBytes(Buffer.from("x"), 0, 1);
  expect(upstream.calls).toEqual(["resume", "pause"]);
  for (; client.pendingBytes > 90; client.pendingBytes--) await pass(900);
  expect([client.isDestroyed, upstream.calls]).toEqual([false, ["resume", "pause"]]);
  await pass(3_000);
  expect(client.isDestroyed).toBe(true);
  expect(upstream.calls).toEqual(["resume", "pause", "end", "resume"]);
  upstream.destroy();
  expect(await ended).toMatchObject({ endedBy: "proxy", reason: "send-timeout" });
});
