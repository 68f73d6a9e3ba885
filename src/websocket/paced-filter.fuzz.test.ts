import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { frame as rawFrame } from "../../test/rig/frames.ts";
import { Random } from "../../test/rig/random.ts";
import { StubTransport } from "../../test/rig/stub-transport.ts";
import { NO_WATCH, tunnelTimes } from "../../test/rig/tunnel-times.ts";
import type { Rate } from "./rate.ts";
import { relay, type Tunnel, type TunnelEnd } from "./relay.ts";
import { TunnelWatch, type WatchSettings } from "./tunnel-watch.ts";

const RUNS = Number(process.env["WSGATE_FUZZ_RUNS"] ?? 60);
const SEED = Number(process.env["WSGATE_FUZZ_SEED"] ?? 20261121);

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setImmediate", "performance"] });
});

afterEach(async () => {
  // The wheels stop at a look at a clock: this one.
  await vi.advanceTimersByTimeAsync(1000);
  vi.useRealTimers();
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
});

interface Paced {
  readonly client: StubTransport;
  readonly upstream: StubTransport;
  readonly tunnel: Tunnel;
  readonly watch: TunnelWatch;
  readonly ends: TunnelEnd[];
}

function open(rates: readonly Rate[], settings: Partial<WatchSettings> = {}, clientBytes?: Buffer): Paced {
  const client = new StubTransport();
  const upstream = new StubTransport();
  const ends: TunnelEnd[] = [];
  const watch = new TunnelWatch(
    { ...NO_WATCH, ...settings, websocket_rate: rates },
    { allowsRsv1: false, times: () => tunnelTimes(60_000), onOffence() {}, onClosingTimeout() {} },
  );
  watch.fromClient.sink = upstream;
  watch.fromUpstream.sink = client;
  const tunnel = relay(client, upstream, {
    ...(clientBytes === undefined ? {} : { clientBytes }),
    clientFilter: watch.filterFrom("client"),
    upstreamFilter: watch.filterFrom("upstream"),
    readTimeoutMs: 60_000,
    clientSendTimeoutMs: 60_000,
    upstreamSendTimeoutMs: 60_000,
    onEnding: () => watch.stop(),
    onEnd(end) {
      watch.release();
      ends.push(end);
    },
  });
  watch.start(tunnel);
  return { client, upstream, tunnel, watch, ends };
}

async function close({ client, upstream, tunnel, ends }: Paced): Promise<void> {
  tunnel.destroy("shutdown");
  await Promise.resolve();
  expect(ends).toHaveLength(1);
  expect([client.isDestroyed, upstream.isDestroyed]).toEqual([true, true]);
}

function frame(opcode: number, bytes: number, isFinal = true): Buffer {
  return Buffer.from(rawFrame("client", "x".repeat(bytes), { opcode, isFinal }), "latin1");
}

function say(transport: StubTransport, bytes: Buffer): void {
  assert(!transport.isPaused, "a transport that is paused delivers nothing");
  // As from the shared read buffer: it is another's after the call.
  const chunk = Buffer.from(bytes);
  transport.listener.onBytes(chunk, 0, chunk.length);
  chunk.fill(0xff);
}

function received(transport: StubTransport): Buffer {
  return Buffer.concat(transport.written);
}

function messages(perSecond: number, burst: number, excess: Rate["excess"] = "delay"): Rate {
  return { unit: "messages", from: "client", perSecond, burst, excess };
}

function bytes(perSecond: number, burst: number, excess: Rate["excess"] = "delay"): Rate {
  return { unit: "bytes", from: "client", perSecond, burst, excess };
}

function randomStream(random: Random): Buffer {
  const frames: Buffer[] = [];
  for (let count = 1 + random.below(40); count > 0; count--) {
    if (random.below(5) === 0) frames.push(frame(0x9 + random.below(2), random.below(126)));
    const size =
      [0, random.below(10), random.below(126), 126 + random.below(2000), 65_536 + random.below(9000)][
        random.below(5)
      ] ?? 0;
    const fragments = random.below(4) === 0 ? 1 + random.below(3) : 0;
    frames.push(frame(1 + random.below(2), size, fragments === 0));
    for (let left = fragments; left > 0; left--) {
      if (random.below(3) === 0) frames.push(frame(0x9, random.below(5)));
      frames.push(frame(0, random.below(300), left === 1));
    }
  }
  return Buffer.concat(frames);
}

describe("delay", () => {
  test(`lets no byte get lost, doubled or moved, wherever the stream is cut and however slow the sink (seed ${SEED})`, async () => {
    for (let run = 0; run < RUNS; run++) {
      const random = new Random(SEED + run);
      const stream = randomStream(random);
      const rates = [
        ...(random.below(3) > 0 ? [messages(1 + random.below(200), 1 + random.below(20))] : []),
        ...(random.below(3) > 0 ? [bytes(500 + random.below(200_000), 1 + random.below(5000))] : []),
      ];
      const isCutSmall = random.below(2) === 0 && stream.length < 20_000;
      const early = Buffer.from(stream.subarray(0, random.below(3) === 0 ? random.below(stream.length) : 0));
      const rig = open(rates, {}, early);
      for (
        let at = early.length, turns = 0;
        at < stream.length || received(rig.upstream).length < stream.length;
        turns++
      ) {
        assert(turns < 100_000, `run ${run} never ends`);
        if (random.below(50) === 0) rig.upstream.pendingBytes = 1 - rig.upstream.pendingBytes;
        if (rig.upstream.pendingBytes === 0) rig.upstream.listener.onDrain();
        if (rig.client.isPaused || at === stream.length) {
          await vi.advanceTimersByTimeAsync(1 + random.below(200));
          continue;
        }
        const end = Math.min(stream.length, at + 1 + random.below(isCutSmall ? 20 : 65_536));
        say(rig.client, stream.subarray(at, end));
        at = end;
      }
      expect(received(rig.upstream).equals(stream), `run ${run}`).toBe(true);
      await close(rig);
    }
  });

  test("lets the burst pass at once and the rest by the rate, and reaches the rate", async () => {
    const rig = open([messages(100, 5)]);
    const one = frame(1, 10);
    say(rig.client, Buffer.concat(Array.from({ length: 305 }, () => one)));
    expect(received(rig.upstream).length).toBe(5 * one.length);
    for (let second = 1; second <= 3; second++) {
      await vi.advanceTimersByTimeAsync(1000);
      const count = received(rig.upstream).length / one.length - 5;
      expect(count).toBeLessThanOrEqual(100 * second);
      expect(count).toBeGreaterThanOrEqual(100 * second - 3);
    }
    await vi.advanceTimersByTimeAsync(30);
    expect(rig.client.isPaused).toBe(false);
    await close(rig);
  });

  test("reaches rates that are faster than its timers", async () => {
    const rig = open([messages(5000, 1)]);
    say(rig.client, Buffer.concat(Array.from({ length: 6000 }, () => frame(1, 1))));
    await vi.advanceTimersByTimeAsync(1000);
    const count = received(rig.upstream).length / frame(1, 1).length;
    expect(count).toBeGreaterThan(4800);
    expect(count).toBeLessThanOrEqual(5001);
    await close(rig);
  });

  test("passes a big frame in pieces, as bytes may", async () => {
    const rig = open([bytes(10_000, 1000)]);
    say(rig.client, frame(2, 60_000).subarray(0, 30_000));
    expect(received(rig.upstream).length).toBe(1000);
    expect(rig.client.isPaused).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(received(rig.upstream).length).toBeGreaterThan(10_000);
    expect(received(rig.upstream).length).toBeLessThanOrEqual(11_000);
    await close(rig);
  });

  test("holds control frames back behind the message that waits, and lets them pass for nothing before it", async () => {
    const rig = open([messages(1, 1)]);
    const [ping, text] = [frame(0x9, 3), frame(1, 3)];
    say(rig.client, Buffer.concat([text, ping, ping, text, ping]));
    expect(received(rig.upstream)).toEqual(Buffer.concat([text, ping, ping]));
    await vi.advanceTimersByTimeAsync(1030);
    expect(received(rig.upstream)).toEqual(Buffer.concat([text, ping, ping, text, ping]));
    await close(rig);
  });

  test("takes in what a source that is held has still under way, in its order", async () => {
    const rig = open([messages(10, 1)]);
    say(rig.client, Buffer.concat([frame(1, 1), frame(1, 2)]));
    const late = Buffer.concat([frame(1, 3), frame(1, 4)]);
    rig.client.listener.onBytes(late, 0, late.length);
    await vi.advanceTimersByTimeAsync(400);
    expect(received(rig.upstream)).toEqual(Buffer.concat([1, 2, 3, 4].map((size) => frame(1, size))));
    await close(rig);
  });

  test("takes the fragments of a message for one", async () => {
    const rig = open([messages(1, 1)]);
    const fragments = Buffer.concat([frame(1, 3, false), frame(0, 3, false), frame(0, 3)]);
    say(rig.client, Buffer.concat([fragments, frame(1, 3)]));
    expect(received(rig.upstream)).toEqual(fragments);
    await close(rig);
  });

  test("takes the stricter of several rates of a unit, each in its time", async () => {
    const rig = open([messages(10, 10), messages(30 / 60, 15)]);
    say(rig.client, Buffer.concat(Array.from({ length: 40 }, () => frame(1, 1))));
    const count = (): number => received(rig.upstream).length / frame(1, 1).length;
    expect(count()).toBe(10);
    await vi.advanceTimersByTimeAsync(1000);
    expect(count()).toBe(15);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(count()).toBe(20);
    await close(rig);
  });

  test("counts as neither silence nor idleness: what waits with us is not read from its side", async () => {
    const settings = { websocket_ping_interval: 20_000, websocket_idle_timeout: 30_000 };
    const rig = open([messages(1 / 300, 1)], settings);
    say(rig.client, Buffer.concat([frame(1, 1), frame(1, 1)]));
    // The upstream answers its pings, the client's pongs stand behind what waits.
    const answer = setInterval(() => say(rig.upstream, Buffer.from([0x8a, 0])), 10_000);
    await vi.advanceTimersByTimeAsync(290_000);
    expect(rig.tunnel.isOpen).toBe(true);
    expect(received(rig.client).includes(0x89)).toBe(false);
    await vi.advanceTimersByTimeAsync(13_000);
    expect(received(rig.upstream).includes(Buffer.concat([frame(1, 1), frame(1, 1)]).subarray(0, 7))).toBe(
      true,
    );
    expect(rig.client.isPaused).toBe(false);
    // From now on its silence counts.
    await vi.advanceTimersByTimeAsync(61_000);
    expect(rig.tunnel.isOpen).toBe(false);
    clearInterval(answer);
    await close(rig);
  });

  test("nor is a side dead whose words wait because the other one takes nothing", async () => {
    const rig = open([], { websocket_ping_interval: 20_000 });
    rig.upstream.pendingBytes = 1000;
    say(rig.client, frame(1, 10));
    expect(rig.client.isPaused).toBe(true);
    const progress = setInterval(() => {
      rig.upstream.pendingBytes--;
      say(rig.upstream, Buffer.from([0x8a, 0]));
    }, 10_000);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(rig.tunnel.isOpen).toBe(true);
    expect(received(rig.client).includes(0x89)).toBe(false);
    clearInterval(progress);
    await close(rig);
  });

  test("what is kept back goes out when somebody else ends the tunnel, before the Close frame", async () => {
    const rig = open([messages(1, 1)]);
    const two = Buffer.concat([frame(1, 3), frame(1, 4)]);
    say(rig.client, two);
    rig.tunnel.shutdown("shutdown");
    expect(received(rig.upstream).subarray(0, two.length)).toEqual(two);
    expect(received(rig.upstream)[two.length]).toBe(0x88);
    await close(rig);
  });

  test("the other side is not held with it", async () => {
    const rig = open([messages(1, 1)]);
    say(rig.client, Buffer.concat([frame(1, 3), frame(1, 4)]));
    say(rig.upstream, Buffer.from([0x81, 1, 0x79]));
    expect(received(rig.client)).toEqual(Buffer.from([0x81, 1, 0x79]));
    await close(rig);
  });
});

describe("close", () => {
  test("passes what the rate allows, and ends the tunnel with 1008 to who sent more", async () => {
    const rig = open([messages(10, 3, "close")]);
    say(rig.client, Buffer.concat(Array.from({ length: 4 }, () => frame(1, 5))));
    const passed = Buffer.concat(Array.from({ length: 3 }, () => frame(1, 5)));
    expect(received(rig.upstream).subarray(0, passed.length)).toEqual(passed);
    expect(received(rig.upstream)[passed.length]).toBe(0x88);
    expect(received(rig.client).readUInt16BE(2)).toBe(1008);
    await close(rig);
    expect(rig.ends[0]).toMatchObject({ endedBy: "proxy", reason: "limit" });
  });

  test("of bytes never cuts a frame: one that had begun in time is delayed until its end", async () => {
    const rig = open([bytes(1000, 1000, "close")]);
    const [fits, tooMuch] = [frame(2, 500), frame(2, 2000)];
    say(rig.client, Buffer.concat([fits, tooMuch, frame(2, 1)]));
    expect(received(rig.upstream).length).toBe(1000);
    expect(received(rig.client).length).toBe(0);
    await vi.advanceTimersByTimeAsync(2000);
    const passed = Buffer.concat([fits, tooMuch]);
    expect(received(rig.upstream).subarray(0, passed.length)).toEqual(passed);
    expect(received(rig.upstream)[passed.length]).toBe(0x88);
    expect(received(rig.client).readUInt16BE(2)).toBe(1008);
    await close(rig);
  });

  test("judges what came early, before there was a tunnel to end", async () => {
    const rig = open([messages(1, 1, "close")], {}, Buffer.concat([frame(1, 1), frame(1, 1)]));
    expect(rig.tunnel.isOpen).toBe(false);
    expect(received(rig.client).readUInt16BE(2)).toBe(1008);
    await close(rig);
  });
});
