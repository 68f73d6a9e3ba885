import assert from "node:assert/strict";
import { afterEach, expect, test } from "vitest";
import { nextTurn, untilSo, within } from "../../test/rig/deadline.ts";
import { Random, fuzzSeed } from "../../test/rig/random.ts";
import { StubTransport } from "../../test/rig/stub-transport.ts";
import { type WsExtensions, WsReceiver, WsSender, wsDeflate } from "../../test/rig/ws-parts.ts";
import { armedDeadlines } from "../base/timers.ts";
import type { OffloadSettings } from "./compression.ts";
import { acceptOffer, type DeflateAgreement, formatAgreement } from "./deflate-parameters.ts";
import { DeflateTransport } from "./deflate-transport.ts";
import { contextsInUse } from "./zlib-context.ts";

const SEED: number = fuzzSeed("WSGATE_FUZZ_SEED");
const RUNS = Number(process.env["WSGATE_FUZZ_RUNS"] ?? 20);

afterEach(() => {
  assert.equal(armedDeadlines(), 0, "a test left a deadline armed");
  assert.equal(contextsInUse(), 0, "a test left a zlib context open");
});

const OFFERS = [
  "permessage-deflate",
  "permessage-deflate; client_max_window_bits",
  "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
  "permessage-deflate; server_no_context_takeover",
  "permessage-deflate; client_no_context_takeover; server_max_window_bits=15",
  "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
] as const;

/** What a reader of messages sees, in order. */
type Sight = string;

/** What a parser that nobody here wrote makes of a stream of frames. */
class Reader {
  readonly sights: Sight[] = [];
  readonly receiver: InstanceType<typeof WsReceiver>;

  constructor(isServer: boolean, extensions: WsExtensions = {}) {
    this.receiver = new WsReceiver({ isServer, extensions });
    this.receiver.on("message", (data: Buffer, isBinary: boolean) =>
      this.sights.push(`${isBinary ? "binary" : "text"} ${data.toString("latin1")}`),
    );
    this.receiver.on("ping", (data: Buffer) => this.sights.push(`ping ${data.toString("latin1")}`));
    this.receiver.on("conclude", (code: number) => this.sights.push(`close ${code}`));
    this.receiver.on("error", () => this.sights.push("error"));
  }

  read(bytes: Buffer): Promise<void> {
    return within(
      new Promise((resolve) => this.receiver.write(bytes, () => resolve())),
      "ws to read what came out",
    );
  }
}

interface Story {
  readonly bytes: Buffer;
  readonly sights: readonly Sight[];
}

/** A conversation's one half: messages in fragments, pings between these, a Close frame at the end. */
async function tell(random: Random, isMasked: boolean, extensions: WsExtensions): Promise<Story> {
  const chunks: Buffer[] = [];
  const sights: Sight[] = [];
  const sender = new WsSender(
    {
      cork() {},
      uncork() {},
      write(bytes, done) {
        chunks.push(Buffer.from(bytes));
        done?.();
      },
    },
    extensions,
  );
  const done: Promise<void>[] = [];
  const noted = (act: (resolve: () => void) => void): void => {
    done.push(new Promise(act));
  };
  for (let left = 1 + random.below(12); left > 0; left--) {
    const message = someMessage(random);
    const binary = random.below(2) === 0;
    const compress = extensions["permessage-deflate"] !== undefined && random.below(4) > 0;
    for (let at = 0; ; ) {
      const end = random.below(2) === 0 ? message.length : at + random.below(message.length - at + 1);
      const fin = end === message.length && random.below(8) > 0;
      const fragment = message.subarray(at, end);
      noted((resolve) => sender.send(fragment, { binary, compress, fin, mask: isMasked }, resolve));
      if (fin) break;
      at = end;
      if (random.below(3) > 0) continue;
      noted((resolve) => sender.ping(Buffer.from(`${at}`), isMasked, resolve));
      sights.push(`ping ${at}`);
    }
    sights.push(`${binary ? "binary" : "text"} ${message.toString("latin1")}`);
  }
  noted((resolve) => sender.close(4001, "the end", isMasked, resolve));
  sights.push("close 4001");
  await within(Promise.all(done), "ws to write a story");
  return { bytes: Buffer.concat(chunks), sights };
}

const SIZES = [0, 1, 10, 125, 126, 300, 5_000, 16_384, 70_000, 300_000];

function someMessage(random: Random): Buffer {
  const size = random.below((SIZES[random.below(SIZES.length)] ?? 0) + 1);
  const kinds = random.below(3);
  const alphabet = kinds === 0 ? 1 : kinds === 1 ? 12 : 95;
  const message = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) message[i] = 32 + random.below(alphabet);
  return message;
}

interface Setting {
  readonly settings: OffloadSettings;
  readonly agreement: DeflateAgreement;
  /** What the client makes of it. */
  readonly answer: string;
}

function someSetting(random: Random): Setting {
  const settings: OffloadSettings = {
    kind: "offload",
    level: 1 + random.below(9),
    windowBits: 9 + random.below(7),
    minBytes: [0, 1, 100, 1000][random.below(4)] ?? 0,
    takeover: random.below(3) > 0,
  };
  const agreement = acceptOffer([random.pick(OFFERS)], settings);
  assert(agreement !== null);
  return { settings, agreement, answer: formatAgreement(agreement) };
}

interface Compressing {
  readonly inner: StubTransport;
  readonly transport: DeflateTransport;
  readonly plain: Buffer[];
  readonly ends: string[];
  readonly violations: string[];
}

function open({ settings, agreement }: Setting, early: Buffer = Buffer.alloc(0)): Compressing {
  const inner = new StubTransport();
  const violations: string[] = [];
  const transport = new DeflateTransport(inner, {
    agreement,
    settings,
    early,
    onViolation: ({ rule }) => violations.push(rule),
    onHeard: () => {},
  });
  const plain: Buffer[] = [];
  const ends: string[] = [];
  transport.listener = {
    onBytes: (chunk, start, end) => {
      expect(ends).toEqual([]);
      plain.push(Buffer.from(chunk.subarray(start, end)));
    },
    onEnd: () => ends.push("end"),
    onDrain() {},
    onClose: () => ends.push("close"),
  };
  return { inner, transport, plain, ends, violations };
}

/** Gives the bytes to `take` cut at random, while `mayGo` says so; in between the world turns. */
async function deliver(
  random: Random,
  bytes: Buffer,
  take: (chunk: Buffer, start: number, end: number) => void,
  mayGo: () => boolean,
): Promise<void> {
  const isFine = random.below(3) === 0;
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.below(isFine ? 40 : 65_536));
    // The memory is another's as soon as the call is over.
    const chunk = Buffer.from(bytes.subarray(at, end));
    take(chunk, 0, chunk.length);
    chunk.fill(0xee);
    at = end;
    if (random.below(4) === 0) await nextTurn();
    await untilSo("it to go on", mayGo);
  }
}

/** Has whoever stands behind, and whoever stands before, take nothing now and then. */
function hinder(random: Random, { inner, transport }: Compressing): { stop(): void } {
  let goesOn = true;
  const turn = (): void => {
    const choice = random.below(10);
    if (choice === 0) transport.pause();
    if (choice === 1) inner.pendingBytes = 1;
    if (choice > 5 || !goesOn) {
      transport.resume();
      inner.pendingBytes = 0;
      inner.listener.onDrain();
    }
    if (goesOn) setImmediate(turn);
  };
  turn();
  return {
    stop() {
      goesOn = false;
    },
  };
}

test(`what either side says is what the other reads, cut and delayed at random (seed ${SEED})`, async () => {
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(SEED + run);
    const setting = someSetting(random);
    const clientDeflate = wsDeflate(setting.answer, false);
    const clientStory = await tell(random, true, { "permessage-deflate": clientDeflate });
    const upstreamStory = await tell(random, false, {});
    const earlyBytes = random.below(2) === 0 ? 0 : random.below(clientStory.bytes.length);
    const both = open(setting, clientStory.bytes.subarray(0, earlyBytes));
    const { inner, transport } = both;
    const hindrance = hinder(random, both);
    transport.resume();
    await untilSo("the first resume", () => !inner.isPaused);
    await Promise.all([
      deliver(
        random,
        clientStory.bytes.subarray(earlyBytes),
        (chunk, start, end) => inner.listener.onBytes(chunk, start, end),
        () => !inner.isPaused,
      ).then(() => inner.listener.onEnd()),
      deliver(
        random,
        upstreamStory.bytes,
        (chunk, start, end) => transport.write(chunk, start, end),
        () => true,
      ).then(() => transport.end()),
    ]);
    hindrance.stop();
    await untilSo("both ends", () => both.ends.length > 0 && inner.calls.includes("end"));
    expect(both.ends, `run ${run}`).toEqual(["end"]);
    expect(both.violations).toEqual([]);

    const atUpstream = new Reader(true);
    await atUpstream.read(Buffer.concat(both.plain));
    expect(atUpstream.sights, `run ${run}: what the upstream reads`).toEqual(clientStory.sights);
    const atClient = new Reader(false, { "permessage-deflate": clientDeflate });
    await atClient.read(Buffer.concat(inner.written));
    await untilSo("ws to inflate", () => atClient.sights.length === upstreamStory.sights.length);
    expect(atClient.sights, `run ${run}: what the client reads`).toEqual(upstreamStory.sights);

    transport.destroy();
    clientDeflate.cleanup();
    await untilSo("the close", () => both.ends.includes("close"));
  }
});

test(`a stream that was spoiled ends as it does without wsgate, and leaves nothing behind (seed ${SEED})`, async () => {
  let refused = 0;
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(SEED + 1_000_000 + run);
    const setting = someSetting(random);
    const clientDeflate = wsDeflate(setting.answer, false);
    const story = await tell(random, true, { "permessage-deflate": clientDeflate });
    clientDeflate.cleanup();
    const bytes = spoil(random, story.bytes);

    const both = open(setting);
    const { inner, transport, violations } = both;
    transport.resume();
    await untilSo("the first resume", () => !inner.isPaused);
    await deliver(
      random,
      bytes,
      (chunk, start, end) => inner.listener.onBytes(chunk, start, end),
      () => !inner.isPaused,
    );
    inner.listener.onEnd();
    await untilSo("the end", () => both.ends.length > 0);
    const behind = new Reader(true);
    await behind.read(Buffer.concat(both.plain));
    await nextTurn();

    const serverDeflate = wsDeflate(setting.answer, true);
    const direct = new Reader(true, { "permessage-deflate": serverDeflate });
    await direct.read(bytes);
    await nextTurn();
    const isRefused = direct.sights.at(-1) === "error";
    if (isRefused) refused++;
    // Both parsers are right to notice at different places what is wrong; up to there they say the same.
    const said = behind.sights.filter((sight) => sight !== "error");
    const saidDirectly = direct.sights.filter((sight) => sight !== "error");
    const common = Math.min(said.length, saidDirectly.length);
    expect(said.slice(0, common), `run ${run}`).toEqual(saidDirectly.slice(0, common));
    const hasNoticed = violations.length > 0 || behind.sights.at(-1) === "error";
    expect([run, hasNoticed]).toEqual([run, isRefused]);
    transport.destroy();
    serverDeflate.cleanup();
    await untilSo("the close", () => both.ends.includes("close"));
  }
  expect(refused).toBeGreaterThan(0);
});

/** With a byte changed, left out or put in, once or twice. */
function spoil(random: Random, bytes: Buffer): Buffer {
  let spoiled = Buffer.from(bytes);
  for (let left = 1 + random.below(2); left > 0; left--) {
    const at = random.below(spoiled.length);
    const choice = random.below(4);
    if (choice < 2) spoiled[at] = (spoiled[at] ?? 0) ^ (1 << random.below(8));
    else {
      const rest = spoiled.subarray(choice === 2 ? at + 1 : at);
      spoiled = Buffer.concat([spoiled.subarray(0, at), Buffer.alloc(choice - 2, random.below(256)), rest]);
    }
  }
  return spoiled;
}
