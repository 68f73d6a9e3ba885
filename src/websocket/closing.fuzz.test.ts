import assert from "node:assert/strict";
import { afterEach, expect, test } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { nextTurn } from "../../test/rig/deadline.ts";
import { closePayload, type Frame, frame, OPCODE, readFrames } from "../../test/rig/frames.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { fuzzSeed, Random } from "../../test/rig/random.ts";
import type { RawPeer } from "../../test/rig/raw-peer.ts";
import { openWatched } from "../../test/rig/watched-tunnel.ts";

afterEach(() => assert.equal(armedDeadlines(), 0, "a test left a deadline armed"));
useRig();

const RUNS = Number(process.env["WSGATE_FUZZ_RUNS"] ?? 60);
const SEED = fuzzSeed("WSGATE_FUZZ_SEED");

/** Sends messages, each in pieces, until a Close frame has come or it is time for one of its own; answers once. */
class Talker {
  readonly sent: string[] = [];
  readonly #peer: RawPeer;
  readonly #role: "client" | "server";
  readonly #random: Random;
  /** How many messages it has to say; then it closes, or waits for the other side to. */
  readonly #messages: number;
  readonly #closesItself: boolean;
  #received = "";

  constructor(peer: RawPeer, role: "client" | "server", random: Random, closesItself: boolean) {
    this.#peer = peer;
    this.#role = role;
    this.#random = random;
    this.#closesItself = closesItself;
    this.#messages = random.below(12);
  }

  /** Resolves to everything that came, when both have ended. */
  async run(): Promise<readonly Frame[]> {
    const reading = this.#read();
    for (let i = 0; (i < this.#messages || !this.#closesItself) && !this.#isToldToClose(); i++) {
      if (i < this.#messages) await this.#say(`${i}${"x".repeat(this.#length())}`);
      else await nextTurn();
    }
    await this.#peer.send(frame(this.#role, closePayload(1000), { opcode: OPCODE.close }));
    // The server closes first (RFC 6455 section 7.1.1).
    while (this.#role === "server" && !this.#isToldToClose()) await nextTurn();
    if (this.#role === "client") await reading;
    this.#peer.end();
    await reading;
    const { frames, rest } = readFrames(this.#received);
    assert.equal(rest, "", "no frame is cut");
    return frames;
  }

  async #say(payload: string): Promise<void> {
    const bytes = frame(this.#role, payload, { opcode: OPCODE.binary });
    this.sent.push(payload);
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + this.#random.below(Math.max(3, bytes.length / 2));
      await this.#peer.send(bytes.slice(at, next));
      await nextTurn();
      at = next;
    }
  }

  #length(): number {
    return this.#random.below(3) === 0 ? this.#random.below(100_000) : this.#random.below(200);
  }

  #isToldToClose(): boolean {
    return readFrames(this.#received).frames.some(({ opcode }) => opcode === OPCODE.close);
  }

  async #read(): Promise<void> {
    for (let some = " "; some !== ""; ) {
      some = await this.#peer.inbox.some();
      this.#received += some;
    }
  }
}

function payloadsOf(frames: readonly Frame[]): readonly string[] {
  return frames.filter(({ opcode }) => opcode === OPCODE.binary).map(({ payload }) => payload);
}

/** -1 where there is no Close frame. */
function framesAfterClose(frames: readonly Frame[]): number {
  const close = frames.findIndex(({ opcode }) => opcode === OPCODE.close);
  return close < 0 ? -1 : frames.length - 1 - close;
}

test(`whenever the proxy closes, each side gets whole frames in order, one Close frame and FIN (seed ${SEED})`, async () => {
  for (let run = 0; run < RUNS; run++) {
    const random = new Random(SEED + run);
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    // Now and then a side closes by itself, and its Close frame may cross the proxy's.
    const [clientCloses, upstreamCloses] = [random.below(4) === 0, random.below(4) === 0];
    const one = new Talker(client.peer, "client", random, clientCloses);
    const other = new Talker(upstream.peer, "server", random, upstreamCloses);
    const received = Promise.all([one.run(), other.run()]);
    for (let turns = random.below(40); turns > 0; turns--) await nextTurn();
    watched.close();
    const [atClient, atUpstream] = await received;
    const end = await watched.ended;
    const [toClient, toUpstream] = [payloadsOf(atClient), payloadsOf(atUpstream)];
    expect(
      {
        framesAfterClose: [framesAfterClose(atClient), framesAfterClose(atUpstream)],
        toClient,
        toUpstream,
        // A Close frame of the upstream's may have come before the proxy's, and then the client's last words are lost.
        isAllDelivered: upstreamCloses || toUpstream.length === one.sent.length,
        isDrained: clientCloses || upstreamCloses || end.reason === "drain",
        delays: watched.delays,
      },
      `run ${run}`,
    ).toEqual({
      framesAfterClose: [0, 0],
      toClient: other.sent.slice(0, toClient.length),
      toUpstream: one.sent.slice(0, toUpstream.length),
      isAllDelivered: true,
      isDrained: true,
      delays: [],
    });
  }
});
