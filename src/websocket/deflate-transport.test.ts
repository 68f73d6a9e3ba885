import assert from "node:assert/strict";
import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { nextTurn, untilSo } from "../../test/rig/deadline.ts";
import { StubTransport } from "../../test/rig/stub-transport.ts";
import { armedDeadlines } from "../base/timers.ts";
import { acceptOffer } from "./deflate-parameters.ts";
import { DeflateTransport } from "./deflate-transport.ts";
import { dataFrame } from "./frame-head.ts";
import type { Violation } from "./frame-rules.ts";
import { relay, type Tunnel as RelayedTunnel } from "./relay.ts";
import { contextsInUse } from "./zlib-context.ts";

const KEY = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
const ZERO_KEY = Buffer.alloc(4);
const TEXT = 0x81;
const COMPRESSED_TEXT = 0xc1;

const open: Tunnel[] = [];

afterEach(async () => {
  for (const { transport } of open.splice(0)) transport.destroy();
  await nextTurn();
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
  assert.equal(contextsInUse(), 0, "a test left a zlib context open");
});

interface Tunnel {
  readonly inner: StubTransport;
  readonly transport: DeflateTransport;
  /** What came from the client, with masks of zero. */
  received(): string;
  /** Messages that came, by their frames. */
  readonly ends: (string | Error | null)[];
  readonly violations: Violation[];
  readonly drains: number[];
}

function start(offer = "permessage-deflate", early = ""): Tunnel {
  const inner = new StubTransport();
  const agreement = acceptOffer([offer], { takeover: true, windowBits: 15 });
  assert(agreement !== null);
  const violations: Violation[] = [];
  const transport = new DeflateTransport(inner, {
    agreement,
    settings: { kind: "offload", level: 6, windowBits: 15, minBytes: 5, takeover: true },
    early: Buffer.from(early, "latin1"),
    onViolation: (violation) => violations.push(violation),
    onHeard: () => {},
  });
  const plain: Buffer[] = [];
  const ends: (string | Error | null)[] = [];
  const drains: number[] = [];
  transport.listener = {
    onBytes: (chunk, from, to) => plain.push(Buffer.from(chunk.subarray(from, to))),
    onEnd: () => ends.push("FIN"),
    onDrain: () => drains.push(1),
    onClose: (error) => ends.push(error),
  };
  const tunnel = {
    inner,
    transport,
    ends,
    violations,
    drains,
    received: () => unmasked(Buffer.concat(plain)),
  };
  open.push(tunnel);
  return tunnel;
}

/** A client's frames with masks of zero; what is no whole frame stays as it is. */
function unmasked(frames: Buffer): string {
  let text = "";
  for (let at = 0; at < frames.length; ) {
    const second = frames[at + 1] ?? 0;
    const extended = (second & 0x7f) === 126 ? 2 : (second & 0x7f) === 127 ? 8 : 0;
    const length =
      extended === 0
        ? second & 0x7f
        : frames.readUIntBE(at + 2 + (extended === 8 ? 4 : 0), extended === 8 ? 4 : 2);
    const body = at + 2 + extended + 4;
    if ((second & 0x80) === 0 || body + length > frames.length) return text + frames.toString("latin1", at);
    const key = frames.subarray(body - 4, body);
    const payload = frames.subarray(body, body + length).map((byte, i) => byte ^ (key[i & 3] ?? 0));
    text += dataFrame(frames[at] ?? 0, Buffer.from(payload), ZERO_KEY).toString("latin1");
    at = body + length;
  }
  return text;
}

function plainText(text: string): string {
  return dataFrame(TEXT, Buffer.from(text, "latin1"), ZERO_KEY).toString("latin1");
}

/** A frame of the client's, its payload given in hexadecimal. */
function clientFrame(first: number, hex: string): Buffer {
  return dataFrame(first, Buffer.from(hex.replaceAll(" ", ""), "hex"), KEY);
}

function compressed(text: string): Buffer {
  const bytes = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });
  return dataFrame(COMPRESSED_TEXT, bytes.subarray(0, bytes.length - 4), KEY);
}

/** Bytes come from the client as soon as somebody reads. */
async function say({ inner }: Tunnel, ...pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await until(() => !inner.isPaused);
    inner.listener.onBytes(piece, 0, piece.length);
  }
}

function afterTurns(count: number, act: () => void): void {
  if (count === 0) act();
  else setImmediate(() => afterTurns(count - 1, act));
}

function until(isSo: () => boolean): Promise<void> {
  return untilSo("a change in a tunnel", isSo);
}

describe("the examples of RFC 7692 section 7.2.3", () => {
  const hello = plainText("Hello");
  test.each<readonly [string, readonly Buffer[], string]>([
    ["one block", [clientFrame(COMPRESSED_TEXT, "f2 48 cd c9 c9 07 00")], hello],
    ["two fragments", [clientFrame(0x41, "f2 48 cd"), clientFrame(0x80, "c9 c9 07 00")], hello],
    [
      "a window that is kept",
      [clientFrame(COMPRESSED_TEXT, "f2 48 cd c9 c9 07 00"), clientFrame(COMPRESSED_TEXT, "f2 00 11 00 00")],
      hello + hello,
    ],
    [
      "a block without compression",
      [clientFrame(COMPRESSED_TEXT, "00 05 00 fa ff 48 65 6c 6c 6f 00")],
      hello,
    ],
    [
      "a block that says it is the last one, and a message behind it",
      [
        clientFrame(COMPRESSED_TEXT, "f3 48 cd c9 c9 07 00 00"),
        clientFrame(COMPRESSED_TEXT, "f2 48 cd c9 c9 07 00"),
      ],
      hello + hello,
    ],
    [
      "a last block that nothing follows, and a message behind it",
      [
        clientFrame(COMPRESSED_TEXT, "f3 48 cd c9 c9 07 00"),
        clientFrame(COMPRESSED_TEXT, "f2 48 cd c9 c9 07 00"),
      ],
      hello + hello,
    ],
    ["two blocks", [clientFrame(COMPRESSED_TEXT, "f2 48 05 00 00 00 ff ff ca c9 c9 07 00")], hello],
    [
      "an empty message",
      [clientFrame(COMPRESSED_TEXT, "00"), clientFrame(COMPRESSED_TEXT, "f2 48 cd c9 c9 07 00")],
      plainText("") + hello,
    ],
    [
      "an empty message that is not even a block",
      [clientFrame(COMPRESSED_TEXT, ""), clientFrame(COMPRESSED_TEXT, "f2 48 cd c9 c9 07 00")],
      plainText("") + hello,
    ],
    ["a message that is not compressed", [dataFrame(TEXT, Buffer.from("Hello"), KEY)], hello],
  ])("%s", async (_what, frames, expected) => {
    const tunnel = start();
    tunnel.transport.resume();
    await say(tunnel, ...frames);
    await until(() => tunnel.received().length >= expected.length);
    expect(tunnel.received()).toBe(expected);
    expect(tunnel.violations).toEqual([]);
  });
});

describe("the order is kept", () => {
  test("of what comes in one piece: messages, pings and a Close frame", async () => {
    const tunnel = start();
    tunnel.transport.resume();
    const ping = dataFrame(0x89, Buffer.from("?"), ZERO_KEY);
    const close = dataFrame(0x88, Buffer.from([0x03, 0xe8]), ZERO_KEY);
    const small = dataFrame(TEXT, Buffer.from("small"), ZERO_KEY);
    await say(tunnel, Buffer.concat([compressed("one"), ping, small, compressed("two"), ping, close]));
    const expected = `${plainText("one")}${ping.toString("latin1")}${plainText("small")}${plainText("two")}${ping.toString("latin1")}${close.toString("latin1")}`;
    await until(() => tunnel.received().length >= expected.length);
    expect(tunnel.received()).toBe(expected);
  });

  test("FIN waits for the message before it, in both directions", async () => {
    const tunnel = start("permessage-deflate", compressed("early").toString("latin1"));
    const { inner, transport } = tunnel;
    const message = dataFrame(TEXT, Buffer.alloc(1000, "x"), null);
    transport.write(message, 0, message.length);
    transport.end();
    expect(inner.calls).not.toContain("end");
    transport.resume();
    await until(() => !inner.isPaused);
    inner.listener.onEnd();
    await until(() => tunnel.ends.length > 0 && inner.calls.includes("end"));
    expect(tunnel.received()).toBe(plainText("early"));
    expect(tunnel.ends).toEqual(["FIN"]);
    expect(Buffer.concat(inner.written).length).toBeGreaterThan(5);
  });

  test("the message before a reset is delivered before the reset is told", async () => {
    const tunnel = start();
    tunnel.transport.resume();
    await say(tunnel, compressed("last words"));
    const error = new Error("reset");
    tunnel.inner.listener.onClose(error);
    expect(tunnel.ends).toEqual([]);
    await until(() => tunnel.ends.length > 0);
    expect(tunnel.received()).toBe(plainText("last words"));
    expect(tunnel.ends).toEqual([error]);
  });

  test("a ping that is written behind a message stands behind it", async () => {
    const { inner, transport } = start();
    const message = dataFrame(TEXT, Buffer.alloc(1000, "x"), null);
    const ping = dataFrame(0x89, Buffer.from("ping"), null);
    transport.write(message, 0, message.length);
    transport.write(ping, 0, ping.length);
    await until(() => inner.written.length === 2);
    expect(inner.written[0]?.[0]).toBe(COMPRESSED_TEXT);
    expect(inner.written[1]?.equals(ping)).toBe(true);
  });
});

describe("at the end", () => {
  const close = dataFrame(0x88, Buffer.from([0x03, 0xe9]), null);

  /** A relay from the client to an upstream, which gets a Close frame of ours at the end. */
  function relayFrom(tunnel: Tunnel): { readonly upstream: StubTransport; readonly relayed: RelayedTunnel } {
    const upstream = new StubTransport();
    const relayed = relay(tunnel.transport, upstream, {
      workingClient: tunnel.transport,
      clientFilter: {
        pass: (chunk, from, to, sink) => sink.write(chunk, from, to),
        finish: (sink) => void sink.write(close, 0, close.length),
      },
      readTimeoutMs: 60_000,
      clientSendTimeoutMs: 60_000,
      upstreamSendTimeoutMs: 60_000,
      onEnd: () => {},
    });
    return { upstream, relayed };
  }

  test("what is being inflated when the proxy ends the tunnel reaches the upstream before the Close frame", async () => {
    const tunnel = start();
    const { upstream, relayed } = relayFrom(tunnel);
    await say(tunnel, Buffer.concat([compressed("one"), compressed("two")]));
    relayed.shutdown("shutdown");
    await until(() => upstream.calls.includes("end"));
    const said = unmasked(Buffer.concat(upstream.written));
    expect(said).toBe(plainText("one") + plainText("two") + close.toString("latin1"));
    relayed.destroy("shutdown");
  });

  test("but nobody waits for an upstream that takes nothing", async () => {
    const tunnel = start();
    const { upstream, relayed } = relayFrom(tunnel);
    upstream.pendingBytes = 1;
    await say(tunnel, Buffer.concat([compressed("one"), compressed("two")]));
    relayed.shutdown("shutdown");
    await until(() => upstream.calls.includes("end"));
    const said = unmasked(Buffer.concat(upstream.written));
    expect(said).toBe(plainText("one") + close.toString("latin1"));
    relayed.destroy("shutdown");
  });

  test.each([
    ["in one piece", 1_000_000],
    ["byte by byte", 1],
  ])(
    "what has come of a message that a Close frame leaves unfinished goes before it, %s",
    async (_how, size) => {
      const { inner, transport } = start();
      const words = Buffer.from("the beginning of a long answer ");
      const said = Buffer.concat([dataFrame(0x01, words, null), dataFrame(0x00, words, null), close]);
      for (let at = 0; at < said.length; at += size)
        transport.write(said, at, Math.min(said.length, at + size));
      transport.end();
      await until(() => inner.calls.includes("end"));
      const written = Buffer.concat(inner.written);
      expect(written.subarray(-close.length).equals(close)).toBe(true);
      const head = 2;
      const bytes = written.subarray(head, written.length - close.length);
      expect([written[0], bytes.length]).toEqual([0x41, written[1]]);
      expect(inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString()).toBe(
        words.toString().repeat(2),
      );
    },
  );

  test("likewise of one that the client leaves unfinished", async () => {
    const tunnel = start();
    tunnel.transport.resume();
    const closeOfClient = dataFrame(0x88, Buffer.from([0x03, 0xe9]), ZERO_KEY).toString("latin1");
    const [whole, half] = [compressed("Hello"), Buffer.from("f2 48 cd".replaceAll(" ", ""), "hex")];
    await say(
      tunnel,
      Buffer.concat([whole, dataFrame(0x41, half, KEY), Buffer.from(closeOfClient, "latin1")]),
    );
    await until(() => tunnel.received().endsWith(closeOfClient));
    const first = dataFrame(0x01, Buffer.from("H"), ZERO_KEY).toString("latin1");
    expect(tunnel.received().slice(0, -closeOfClient.length)).toMatch(
      new RegExp(`^${plainText("Hello")}${first.slice(0, 1)}`),
    );
  });
});

test("short messages go as they are, at once", () => {
  const { inner, transport } = start();
  const message = dataFrame(TEXT, Buffer.from("four"), null);
  transport.write(message, 0, message.length);
  expect(inner.written.map(String)).toEqual([message.toString()]);
});

test("whoever writes is told to wait while much waits to be compressed, and once that it may go on", async () => {
  const { inner, transport, drains } = start();
  const message = dataFrame(TEXT, Buffer.alloc(60_000, "x"), null);
  expect(transport.write(message, 0, message.length)).toBe(true);
  expect(transport.write(message, 0, message.length)).toBe(true);
  expect(transport.write(message, 0, message.length)).toBe(false);
  expect(transport.pendingBytes).toBeGreaterThan(100_000);
  await until(() => drains.length > 0);
  expect(transport.pendingBytes).toBe(0);
  const written = inner.written.length;
  expect(transport.write(message, 0, message.length)).toBe(true);
  await until(() => inner.written.length > written && transport.pendingBytes === 0);
  expect(drains).toHaveLength(1);
});

describe("a bomb", () => {
  const bomb = compressed("\0".repeat(40 * 1024 * 1024));

  test("grows in step with whoever takes it, and ends at the limit", async () => {
    const tunnel = start();
    const { inner, transport } = tunnel;
    let bytes = 0;
    let isTaking = true;
    transport.listener = {
      ...transport.listener,
      onBytes(_chunk, from, to) {
        assert(isTaking, "bytes come while paused");
        bytes += to - from;
        isTaking = false;
        transport.pause();
        // Long enough for zlib to have more, if it were not waiting.
        afterTurns(3, () => {
          isTaking = true;
          transport.resume();
        });
      },
    };
    transport.resume();
    await say(tunnel, bomb);
    await until(() => tunnel.violations.length > 0);
    expect(tunnel.violations).toMatchObject([{ rule: "deflate-growth", code: 1009 }]);
    expect(bytes).toBeLessThan(17 * 1024 * 1024);
    expect(bytes).toBeGreaterThan(15 * 1024 * 1024);
    // Its end is still awaited, and what it says is dropped.
    await say(tunnel, compressed("more"));
    await until(() => !inner.isPaused);
    inner.listener.onEnd();
    expect(tunnel.ends).toEqual(["FIN"]);
  });

  test("that nobody takes holds up nobody else", async () => {
    const stuck = Array.from({ length: 8 }, () => start());
    for (const tunnel of stuck) {
      const { transport } = tunnel;
      transport.listener = { ...transport.listener, onBytes: () => transport.pause() };
      transport.resume();
      await say(tunnel, bomb);
    }
    const other = start();
    other.transport.resume();
    await say(other, compressed("hello"));
    await until(() => other.received() !== "");
    expect(other.received()).toBe(plainText("hello"));
  });
});

describe("what cannot be inflated", () => {
  test.each([
    ["no block", "ff ff ff ff"],
    ["a reference beyond the beginning", "f2 00 11 00 00"],
    ["more streams in a message than anybody needs", "03 00 ".repeat(40)],
    ["a last block that is cut off before its last byte", "01 03 00 fc ff"],
  ])("ends with 1007: %s", async (_what, hex) => {
    const tunnel = start();
    tunnel.transport.resume();
    await say(tunnel, clientFrame(COMPRESSED_TEXT, hex));
    await until(() => tunnel.violations.length > 0);
    expect(tunnel.violations).toMatchObject([{ rule: "deflate-data", code: 1007 }]);
    await until(() => !tunnel.inner.isPaused);
    tunnel.inner.listener.onEnd();
    expect(tunnel.ends).toEqual(["FIN"]);
  });
});

describe("frames that break a rule pass as they are, for others to judge", () => {
  const fragment = clientFrame(0x41, "f2 48 cd");
  const begun = dataFrame(0x01, Buffer.alloc(0), ZERO_KEY).toString("latin1");
  test.each<readonly [string, readonly Buffer[], string]>([
    ["a ping with the bit of compressed messages", [clientFrame(0xc9, "61")], ""],
    ["a continuation with that bit", [fragment, clientFrame(0xc0, "c9 c9 07 00")], begun],
    ["a new message within one", [fragment, dataFrame(TEXT, Buffer.from("new"), KEY)], begun],
    ["a frame without a mask", [dataFrame(COMPRESSED_TEXT, Buffer.from("x"), null)], ""],
    ["a continuation of nothing", [clientFrame(0x80, "00")], ""],
    ["another reserved bit", [clientFrame(0xe1, "00")], ""],
  ])("%s", async (_what, frames, before) => {
    const tunnel = start();
    tunnel.transport.resume();
    await say(tunnel, ...frames, compressed("and all that follows"));
    const last = frames.at(-1) ?? Buffer.alloc(0);
    const raw = Buffer.concat([last, compressed("and all that follows")]);
    expect(tunnel.received()).toBe(before + unmasked(raw));
    expect(tunnel.violations).toEqual([]);
  });
});

describe("contexts", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("of a compressor are made at its first message, and given back after ten seconds without one", async () => {
    const { inner, transport } = start();
    const message = dataFrame(TEXT, Buffer.alloc(1000, "x"), null);
    expect(contextsInUse()).toBe(0);
    transport.write(message, 0, message.length);
    await until(() => inner.written.length === 1);
    expect(contextsInUse()).toBe(1);
    await vi.advanceTimersByTimeAsync(11_000);
    await until(() => contextsInUse() === 0);
    transport.write(message, 0, message.length);
    await until(() => inner.written.length === 2);
    // It has forgotten what it knew, so it says the same.
    expect(inner.written[1]?.equals(inner.written[0] ?? Buffer.alloc(0))).toBe(true);
  });

  test("are not kept between messages where windows are not", async () => {
    const tunnel = start("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    const { inner, transport } = tunnel;
    transport.resume();
    const message = dataFrame(TEXT, Buffer.alloc(1000, "x"), null);
    transport.write(message, 0, message.length);
    await say(tunnel, compressed("hello"));
    await until(() => inner.written.length === 1 && tunnel.received() !== "");
    expect(contextsInUse()).toBe(0);
  });

  test("are gone, and nothing is told any more, however many tunnels end in the middle of their work", async () => {
    const incoming = compressed("x".repeat(100_000));
    const message = dataFrame(TEXT, Buffer.alloc(50_000, "x"), null);
    for (let round = 0; round < 8; round++) {
      const tunnels = Array.from({ length: 100 }, () => start());
      for (const tunnel of tunnels) {
        tunnel.transport.resume();
        tunnel.transport.write(message, 0, message.length);
      }
      for (const tunnel of tunnels) await say(tunnel, Buffer.from(incoming));
      await new Promise<void>((resolve) => afterTurns(round % 4, resolve));
      const before = tunnels.map(({ inner }) => inner.written.length);
      for (const { transport } of tunnels) transport.destroy();
      await until(() => tunnels.every(({ ends }) => ends.length > 0));
      expect(contextsInUse()).toBe(0);
      expect(tunnels.map(({ ends }) => ends)).toEqual(tunnels.map(() => [null]));
      expect(tunnels.map(({ inner }) => inner.written.length)).toEqual(before);
    }
  });
});
