import { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { makeListenerPlan, StandIn } from "../../test/rig/listening.ts";
import { armedDeadlines } from "../base/timers.ts";
import type { SocketTransport, TransportListener } from "../base/transport.ts";
import type { Request } from "../compile/request.ts";
import {
  chance,
  fuzzRuns,
  fuzzSeed,
  pick,
  type Random,
  randomRequests,
  seededRandom,
} from "../http/random-messages.fuzz.ts";
import { readRequests } from "../http/readings.fuzz.ts";
import { ConnectionCounts } from "../observe/connections.ts";
import { ClientConnection } from "./client-connection.ts";
import { Http1Connection } from "./http1-connection.ts";

const seed = fuzzSeed();
const runs = fuzzRuns(300);

/** A transport without a socket: what a client sends is pushed, and what it would receive is kept. */
class ScriptedTransport implements SocketTransport {
  listener: TransportListener = { onBytes() {}, onEnd() {}, onDrain() {}, onClose() {} };
  output = "";
  isDestroyed = false;
  peerHasEnded = false;
  isPaused = true;
  readonly pendingBytes = 0;
  readonly bytesRead = 0;
  readonly bytesWritten = 0;
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 1;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 2;
  readonly tls = null;

  write(chunk: Buffer, start: number, end: number): boolean {
    if (!this.isDestroyed) this.output += chunk.toString("latin1", start, end);
    return true;
  }

  writeLatin1(text: string): boolean {
    if (!this.isDestroyed) this.output += text;
    return true;
  }

  cork(): void {}

  uncork(): boolean {
    return true;
  }

  awaitDrain(): boolean {
    return true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {}

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    queueMicrotask(() => this.listener.onClose(null));
  }

  reset(): void {
    this.destroy();
  }
}

interface Handled {
  readonly startLine: string;
  /** Null where nobody read it to its end. */
  body: string | null;
}

/**
 * What a handler may do with a request, at random: read its body or not, pause meanwhile, answer at once or later; and what
 * it should not: go on when it has answered, answer twice.
 */
function handleAtRandom(random: Random, request: Request, handled: Handled[], alwaysReads: boolean): void {
  const { method, target, versionMinor } = request.head;
  const entry: Handled = { startLine: `${method} ${target} HTTP/1.${versionMinor}`, body: null };
  handled.push(entry);
  const answer = (): void => {
    request.response.status = 200;
    // To HTTP/1.0 an unknown length would be the end of the connection.
    request.response.bodyLength = versionMinor === 1 ? pick(random, [0, "unknown"] as const) : 0;
    request.sendHead();
    request.downstream.end(null);
  };
  const answerSoon = (): void => {
    if (chance(random, 0.5)) answer();
    else setImmediate(answer);
  };
  if (!alwaysReads && chance(random, 0.4)) return answerSoon();
  let text = "";
  const read = (): void => {
    request.downstream.readBody({
      onBodyBytes(chunk, start, end) {
        text += chunk.toString("latin1", start, end);
        if (!chance(random, 0.3)) return;
        request.downstream.pauseBody();
        setImmediate(() => request.downstream.resumeBody());
      },
      onBodyEnd() {
        entry.body = text;
        answerSoon();
      },
      onBodyError() {
        request.response.closeAfter = true;
        answerSoon();
      },
    });
    if (!alwaysReads && chance(random, 0.4)) setImmediate(answer);
  };
  if (chance(random, 0.5)) read();
  else setImmediate(read);
}

/** Sends `input` in random pieces, waits until nothing moves any more, and then closes the connection. */
async function converse(
  random: Random,
  input: Buffer,
  alwaysReads: boolean,
): Promise<{ handled: Handled[]; finished: readonly Request[] }> {
  const handled: Handled[] = [];
  const handler = new StandIn((request) => handleAtRandom(random, request, handled, alwaysReads));
  const transport = new ScriptedTransport();
  const plan = makeListenerPlan({ server: { ignore_invalid_headers: false, underscores_in_headers: true } });
  const client = new ClientConnection({ plan }, new Socket());
  client.open(transport);
  const counts = new ConnectionCounts();
  const connection = new Http1Connection(client, handler, counts, () => {});
  connection.start();
  for (let at = 0, idleTurns = 0; idleTurns < 12; ) {
    if (at < input.length && !transport.isPaused && !transport.isDestroyed) {
      const end = Math.min(input.length, at + 1 + Math.floor(random() * pick(random, [2, 20, 500])));
      transport.listener.onBytes(Buffer.from(input.subarray(at, end)), 0, end - at);
      at = end;
      idleTurns = 0;
      if (chance(random, 0.5)) continue;
    }
    idleTurns++;
    await new Promise(setImmediate);
  }
  transport.destroy();
  await new Promise(setImmediate);
  expect([counts.reading, counts.writing]).toEqual([0, 0]);
  return { handled, finished: handler.finished };
}

describe("any stream of bytes", () => {
  test("is taken for the same requests, however it is cut and answered, and each of them is finished once", async () => {
    const random = seededRandom(seed);
    const armedBefore = armedDeadlines();
    for (let run = 0; run < runs; run++) {
      const input = Buffer.from(randomRequests(random), "latin1");
      const reading = readRequests(input);
      const { handled, finished } = await converse(random, input, chance(random, 0.5));
      const expected = reading.messages.slice(0, handled.length);
      expect(
        handled.map(({ startLine }) => startLine),
        `seed ${seed}, run ${run}`,
      ).toEqual(expected.map(({ startLine }) => startLine));
      const bodies = handled.map(({ body }, i) => body ?? expected[i]?.body);
      expect(bodies, `seed ${seed}, run ${run}`).toEqual(expected.map(({ body }) => body));
      expect(new Set(finished).size, `seed ${seed}, run ${run}`).toBe(finished.length);
      expect(finished.length, `seed ${seed}, run ${run}`).toBeGreaterThanOrEqual(handled.length);
      expect(armedDeadlines(), `seed ${seed}, run ${run}`).toBe(armedBefore);
    }
  });

  test("is read to its last request where every body is read and answered", async () => {
    const random = seededRandom(seed + 1);
    for (let run = 0; run < runs; run++) {
      const input = Buffer.from(randomRequests(random), "latin1");
      const complete = readRequests(input).messages.filter((message) => message.complete);
      const { handled } = await converse(random, input, true);
      const read = handled.filter(({ body }) => body !== null);
      expect(read.length, `seed ${seed}, run ${run}`).toBe(complete.length);
    }
  });
});
