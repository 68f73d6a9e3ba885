import assert from "node:assert/strict";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { type TransportPath, useTransportPath } from "../base/transport.ts";
import { authorityCertificate, leafCertificate } from "../../test/rig/certificates.ts";
import { nextTurn, within } from "../../test/rig/deadline.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { openPair, type TransportPair, type TransportSecurity } from "../../test/rig/transports.ts";
import { relay, type Tunnel, type TunnelEnd } from "./relay.ts";

afterEach(() => {
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

useRig();

beforeAll(async () => {
  await Promise.all([authorityCertificate(), leafCertificate()]);
});

const SEED = Number(process.env["WSGATE_FUZZ_SEED"] ?? Date.now() % 1_000_000);
const RUNS = Number(process.env["WSGATE_FUZZ_RUNS"] ?? 12);

/** A reproducible source of choices. */
class Choices {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * limit);
  }
}

/** One end of the tunnel: what it has sent, by position, and what it has received. */
class End {
  readonly pair: TransportPair;
  readonly #seed: number;
  sentBytes = 0;
  receivedBytes = 0;
  hasEnded = false;
  isBroken = false;
  /** The first position at which something else came than was sent. */
  mismatchAt: number | null = null;

  constructor(pair: TransportPair, seed: number, expectedSeed: number) {
    this.pair = pair;
    this.#seed = seed;
    const { socket } = pair.peer;
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => {
      for (const byte of chunk) {
        if (byte !== byteAt(expectedSeed, this.receivedBytes)) this.mismatchAt ??= this.receivedBytes;
        this.receivedBytes++;
      }
    });
  }

  send(lengthBytes: number): void {
    if (this.hasEnded || this.isBroken) return;
    const bytes = Buffer.allocUnsafe(lengthBytes);
    for (let i = 0; i < lengthBytes; i++) bytes[i] = byteAt(this.#seed, this.sentBytes + i);
    this.sentBytes += lengthBytes;
    this.pair.peer.socket.write(bytes);
  }

  end(): void {
    if (this.hasEnded || this.isBroken) return;
    this.hasEnded = true;
    this.pair.peer.end();
  }

  break(): void {
    // Node cannot reset a socket whose FIN is on its way.
    if (this.hasEnded) return;
    this.isBroken = true;
    this.pair.peerTcp.resetAndDestroy();
  }
}

function byteAt(seed: number, position: number): number {
  return (Math.imul(position + 1, 2_654_435_761) >>> (8 + seed)) & 0xff;
}

function act(choices: Choices, end: End, tunnel: Tunnel): void {
  const { socket } = end.pair.peer;
  const choice = choices.below(100);
  if (choice < 40) end.send(1 + choices.below(100));
  else if (choice < 60) end.send(1 + choices.below(300_000));
  else if (choice < 75) socket.pause();
  else if (choice < 94) socket.resume();
  else if (choice < 96) end.end();
  else if (choice === 97) end.break();
  else if (choice === 98) tunnel.shutdown("drain");
}

describe.each<{ path: TransportPath; security: TransportSecurity }>([
  { path: "direct", security: "plain" },
  { path: "direct", security: "tls" },
  { path: "public", security: "plain" },
  { path: "public", security: "tls" },
])("$security on the $path path", ({ path, security }) => {
  test(`whatever the ends do, bytes arrive in order, all of them if nobody breaks off (seed ${SEED})`, async () => {
    useTransportPath(path);
    for (let run = 0; run < RUNS; run++) {
      const choices = new Choices(SEED + run);
      const [clientPair, upstreamPair] = await Promise.all([
        openPair("accepted", security),
        openPair("dialled", security),
      ]);
      const client = new End(clientPair, 1, 2);
      const upstream = new End(upstreamPair, 2, 1);
      let tunnel: Tunnel | undefined;
      const ended = new Promise<TunnelEnd>((resolve) => {
        tunnel = relay(clientPair.transport, upstreamPair.transport, {
          readTimeoutMs: 60_000,
          clientSendTimeoutMs: 60_000,
          upstreamSendTimeoutMs: 60_000,
          // A reset in the middle of TLS's own writes leaves Node with a write that never ends.
          halfCloseTimeoutMs: 1_000,
          onEnd: resolve,
        });
      });
      assert(tunnel !== undefined);
      for (let step = 0; step < 60; step++) {
        act(choices, choices.below(2) === 0 ? client : upstream, tunnel);
        if (choices.below(3) === 0) await nextTurn();
      }
      for (const end of [client, upstream]) {
        end.pair.peer.socket.resume();
        end.end();
      }
      const end = await within(ended, `the end of run ${run}`);
      await Promise.all([clientPair.peer.closed, upstreamPair.peer.closed]);
      expect([client.mismatchAt, upstream.mismatchAt], `run ${run}`).toEqual([null, null]);
      const isWhole = !client.isBroken && !upstream.isBroken && end.endedBy !== "proxy";
      if (!isWhole) continue;
      assert.equal(upstream.receivedBytes, client.sentBytes, `run ${run}: from the client`);
      assert.equal(client.receivedBytes, upstream.sentBytes, `run ${run}: from the upstream`);
    }
  });
});
