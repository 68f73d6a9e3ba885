import assert from "node:assert/strict";
import { afterEach, describe, expect, test } from "vitest";
import { armedDeadlines } from "../base/timers.ts";
import { clientFrame, readClose, readFrames, serverFrame } from "../../test/rig/frames.ts";
import { useRig } from "../../test/rig/ledger.ts";
import type { TransportPair } from "../../test/rig/transports.ts";
import { openWatched, type WatchedTunnel } from "../../test/rig/watched-tunnel.ts";
import type { TunnelEnd } from "./relay.ts";

afterEach(() => assert.equal(armedDeadlines(), 0, "a test left a deadline armed"));
useRig();

const CLOSE = 8;
/** What the client is told, and answers with the code alone. */
const ASKED = serverFrame("\x03\xf4the proxy asks its clients to connect anew", CLOSE);
const ANSWER = clientFrame("\x03\xf4", CLOSE);
const UPSTREAM_ANSWER = serverFrame("\x03\xf4", CLOSE);
const LONG_MS = 20_000;

/** Both peers end as they should once their connections have got FIN. */
async function endBoth({ rig, ended }: WatchedTunnel): Promise<TunnelEnd> {
  rig.client.peer.end();
  rig.upstream.peer.end();
  return ended;
}

describe("a closing handshake of the proxy's", () => {
  test("asks the client; its answer asks the upstream, whose own answer stays with the proxy", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close();
    await client.peer.exactly(ASKED);
    await client.peer.send(ANSWER);
    // The client has its whole handshake, and need not wait for the upstream.
    expect(await client.peer.toEnd()).toBe("");
    await untilAsked(upstream);
    await upstream.peer.send(UPSTREAM_ANSWER);
    expect(await upstream.peer.toEnd()).toBe("");
    expect(await endBoth(watched)).toMatchObject({ endedBy: "proxy", reason: "drain" });
    expect(watched.watch.totals()).toMatchObject({ closeCode: 1012 });
    expect(watched.watch.close).toBeNull();
    expect(watched.delays).toEqual([]);
  });

  test("delivers what the client had sent before it saw the Close frame, and drops what the upstream sends after it", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close();
    await client.peer.exactly(ASKED);
    await client.peer.send(clientFrame("one"));
    await upstream.peer.exactly(clientFrame("one"));
    await upstream.peer.send(serverFrame("too late"));
    await client.peer.send(clientFrame("two") + ANSWER);
    await upstream.peer.exactly(clientFrame("two"));
    await untilAsked(upstream);
    await upstream.peer.send(serverFrame("still talking") + UPSTREAM_ANSWER);
    expect(await upstream.peer.toEnd()).toBe("");
    expect(await client.peer.toEnd()).toBe("");
    await endBoth(watched);
    expect(watched.watch.totals()).toMatchObject({ messagesFromClient: 2, messagesFromUpstream: 0 });
  });

  test.each(Array.from({ length: 9 }, (_, cut) => cut + 1))(
    "waits for the end of a frame of which %i bytes have come, and passes nothing of the next",
    async (cut) => {
      const watched = await openWatched();
      const { client, upstream } = watched.rig;
      const frame = serverFrame("01234567");
      await upstream.peer.send(frame.slice(0, cut));
      // A single byte is no head yet, and is kept back: there is nothing to wait for.
      const isKept = cut < 2;
      if (!isKept) await client.peer.exactly(frame.slice(0, cut));
      else await untilRead(watched, cut);
      watched.close();
      expect(watched.rig.tunnel.isOpen).toBe(!isKept);
      await upstream.peer.send(frame.slice(cut) + serverFrame("next"));
      await client.peer.exactly(isKept ? ASKED : frame.slice(cut) + ASKED);
      await client.peer.send(ANSWER);
      expect(await client.peer.toEnd()).toBe("");
      await untilAsked(upstream);
      await upstream.peer.send(UPSTREAM_ANSWER);
      await endBoth(watched);
    },
  );

  test("is the client's own where its Close frame comes while a frame is under way to it", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    await upstream.peer.send(serverFrame("01234567").slice(0, 5));
    await client.peer.exactly(serverFrame("01234567").slice(0, 5));
    watched.close();
    await client.peer.send(clientFrame("\x03\xe8", CLOSE));
    await upstream.peer.exactly(clientFrame("\x03\xe8", CLOSE));
    const rest = serverFrame("01234567").slice(5) + serverFrame("\x03\xe8", CLOSE);
    await upstream.peer.send(rest);
    await client.peer.exactly(rest);
    client.peer.end();
    expect(await endBoth(watched)).toMatchObject({ endedBy: "client", reason: "eof" });
    expect(watched.watch.close).toMatchObject({ by: "client", code: 1000 });
  });

  test("ends at once where the upstream's own Close frame has crossed ours", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close();
    await upstream.peer.send(serverFrame("\x03\xe8", CLOSE));
    await client.peer.exactly(ASKED);
    await untilRead(watched, serverFrame("\x03\xe8", CLOSE).length);
    await client.peer.send(ANSWER);
    expect(await client.peer.toEnd()).toBe("");
    await untilAsked(upstream);
    expect(await upstream.peer.toEnd()).toBe("");
    expect(await endBoth(watched)).toMatchObject({ endedBy: "proxy", reason: "drain" });
  });

  test("leaves a handshake alone that a side had begun", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    await upstream.peer.send(UPSTREAM_ANSWER);
    await client.peer.exactly(UPSTREAM_ANSWER);
    watched.close();
    await client.peer.send(ANSWER);
    await upstream.peer.exactly(ANSWER);
    upstream.peer.end();
    expect(await client.peer.toEnd()).toBe("");
    expect(await endBoth(watched)).toMatchObject({ endedBy: "upstream", reason: "eof" });
  });

  test("tells the upstream itself where the client ends without an answer", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close();
    await client.peer.exactly(ASKED);
    await client.peer.send(clientFrame("last words"));
    client.peer.end();
    await upstream.peer.exactly(clientFrame("last words"));
    expect(readClose(await upstream.peer.toEnd())).toMatchObject({ code: 1001 });
    expect(await endBoth(watched)).toMatchObject({ endedBy: "proxy", reason: "drain" });
  });

  test("is not held up by an upstream that goes away: the client still answers", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close();
    await client.peer.exactly(ASKED);
    upstream.peer.reset();
    await client.peer.send(ANSWER);
    client.peer.end();
    expect(await client.peer.toEnd()).toBe("");
    expect(await watched.ended).toMatchObject({ endedBy: "proxy", reason: "drain" });
  });
});

describe("when its time is over", () => {
  test("a client that answers nothing is cut off, and the upstream gets a Close frame", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close(50);
    expect(await client.peer.toEnd()).toBe(ASKED);
    expect(readClose(await upstream.peer.toEnd())).toMatchObject({ code: 1001 });
    expect(await endBoth(watched)).toMatchObject({ endedBy: "proxy", reason: "drain" });
    expect(watched.delays).toEqual(["client"]);
  });

  test("a client that goes on talking gains nothing by it", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close(50);
    const talk = setInterval(() => void client.peer.send(clientFrame("x")), 1);
    void client.peer.closed.then(() => clearInterval(talk));
    expect(await client.peer.toEnd()).toBe(ASKED);
    upstream.peer.end();
    await endBoth(watched);
    expect(watched.delays).toEqual(["client"]);
  });

  test("nothing is written into a frame that has not come to its end", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    // The head of a message of 1 GiB, and its beginning.
    const beginning = "\x82\x7f\0\0\0\0\x40\0\0\0begins";
    await upstream.peer.send(beginning);
    await client.peer.exactly(beginning);
    watched.close(50);
    expect(await client.peer.toEnd()).toBe("");
    expect(readClose(await upstream.peer.toEnd())).toMatchObject({ code: 1001 });
    await endBoth(watched);
    expect(watched.delays).toEqual(["frame"]);
    expect(watched.watch.totals().closeCode).toBe(1001);
  });

  test("an upstream that answers nothing is cut off, although it goes on talking", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close(50);
    await client.peer.exactly(ASKED);
    await client.peer.send(ANSWER);
    await untilAsked(upstream);
    await upstream.peer.send(serverFrame("la la la"));
    expect(await client.peer.toEnd()).toBe("");
    client.peer.end();
    await watched.ended;
    expect(watched.delays).toEqual(["upstream"]);
  });

  test("a handshake that a side had begun is cut as well", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    await client.peer.send(ANSWER);
    await upstream.peer.exactly(ANSWER);
    watched.close(50);
    expect(await watched.ended).toMatchObject({ endedBy: "proxy", reason: "drain" });
    expect(watched.delays).toEqual(["theirs"]);
  });

  test("connections that do not end after all has been said are closed", async () => {
    const watched = await openWatched();
    const { client, upstream } = watched.rig;
    watched.close(100);
    await client.peer.exactly(ASKED);
    await client.peer.send(ANSWER);
    await untilAsked(upstream);
    await upstream.peer.send(UPSTREAM_ANSWER);
    await watched.ended;
    expect(watched.delays).toEqual(["connection"]);
  });

  test("an upstream that takes no notice of the client's being cut off does not live on for long", async () => {
    const watched = await openWatched();
    watched.close(50);
    await watched.rig.upstream.peer.until("\x88");
    await watched.ended;
    expect(watched.delays).toEqual(["client"]);
  });

  test("the shorter of two times counts", async () => {
    const watched = await openWatched();
    watched.close(LONG_MS);
    watched.close(50);
    watched.close(LONG_MS);
    watched.rig.upstream.peer.end();
    await watched.ended;
    expect(watched.delays).toEqual(["client"]);
  });
});

/** The upstream is told what the client was told. */
async function untilAsked({ peer }: TransportPair): Promise<void> {
  const keyBytes = 4;
  expect(readFrames(await peer.bytes(ASKED.length + keyBytes)).frames).toEqual(readFrames(ASKED).frames);
}

/** Waits until the proxy has read so many bytes of the upstream. */
async function untilRead({ rig }: WatchedTunnel, bytes: number): Promise<void> {
  while (rig.upstream.transport.bytesRead < bytes) await new Promise((resolve) => setImmediate(resolve));
}
