import assert from "node:assert/strict";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { serverFrame } from "../../test/rig/frames.ts";
import { StubTransport } from "../../test/rig/stub-transport.ts";
import { NO_WATCH, tunnelTimes } from "../../test/rig/tunnel-times.ts";
import { armedDeadlines } from "../base/timers.ts";
import { relay, type Tunnel, type TunnelEndCause } from "./relay.ts";
import { TunnelWatch } from "./tunnel-watch.ts";

const INTERVAL_MS = 100;
const DEAD_MS = 1_000;
/** An interval until the first ping, and all of them as late as deadlines may be (base/timers.ts). */
const TOO_LONG_MS = 1.5 * DEAD_MS;

let client: StubTransport;
let upstream: StubTransport;
let tunnel: Tunnel;
let cause: TunnelEndCause | null;

// For the whole file: a wheel of deadlines keeps the clock by which it was started.
beforeAll(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
});

beforeEach(() => {
  [client, upstream, cause] = [new StubTransport(), new StubTransport(), null];
  const watch = new TunnelWatch(
    { ...NO_WATCH, websocket_ping_interval: INTERVAL_MS },
    {
      allowsRsv1: false,
      times: () => tunnelTimes(DEAD_MS),
      onOffence: () => {},
      onClosingTimeout: () => {},
    },
  );
  watch.fromClient.sink = upstream;
  watch.fromUpstream.sink = client;
  tunnel = relay(client, upstream, {
    clientFilter: watch.fromClient,
    upstreamFilter: watch.fromUpstream,
    readTimeoutMs: 60_000,
    clientSendTimeoutMs: 60_000,
    upstreamSendTimeoutMs: 60_000,
    onEnding(ended) {
      cause = ended;
      watch.stop();
    },
    onEnd: () => watch.release(),
  });
  watch.start(tunnel);
});

afterEach(async () => {
  tunnel.destroy("shutdown");
  await Promise.resolve();
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

/** Time passes in which the upstream sends now and then, and something else happens. */
async function pass(durationMs: number, act: () => void): Promise<void> {
  const frame = Buffer.from(serverFrame("more"), "latin1");
  for (let passedMs = 0; passedMs < durationMs && tunnel.isOpen; passedMs += INTERVAL_MS / 2) {
    upstream.listener.onBytes(frame, 0, frame.length);
    act();
    await vi.advanceTimersByTimeAsync(INTERVAL_MS / 2);
  }
}

test("a client that is behind, and says nothing, lives as long as it takes something", async () => {
  client.pendingBytes = 50_000;
  await pass(3 * TOO_LONG_MS, () => (client.bytesWritten += 1_000));
  expect(cause).toBeNull();
});

test("and is dead once it takes nothing any more, though no ping can reach it", async () => {
  client.pendingBytes = 50_000;
  await pass(TOO_LONG_MS, () => {});
  expect(cause).toMatchObject({ endedBy: "proxy", reason: "ping-timeout", about: "client" });
});
