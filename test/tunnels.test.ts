/** What an open tunnel does with bytes, over each front by which a WebSocket can come. */
import assert from "node:assert/strict";
import { beforeAll, describe, expect, test } from "vitest";
import { startHttpBackend } from "./rig/backends.ts";
import { clientFrame, frame, OPCODE, readFrames, serverFrame } from "./rig/frames.ts";
import { type Front, FRONTS, type Opening, type OpeningOptions } from "./rig/fronts.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import type { RawPeer } from "./rig/raw-peer.ts";
import { residentBytes, untilIdle } from "./rig/processes.ts";
import { startTunnelBackend, type TunnelBackend, type UpstreamTunnel } from "./rig/tunnel-backend.ts";
import { type BytePeer, WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

const MIB = 1024 * 1024;
/** Chooses the last of the subprotocols that are offered, if any. */
const BACKEND_PROTOCOL = /, *([^,]+)$/;

interface Tunnel {
  readonly client: BytePeer;
  readonly upstream: RawPeer;
  readonly opening: Opening;
  readonly handshake: UpstreamTunnel["handshake"];
}

class House {
  readonly front: Front;
  readonly gate: Proxy;
  readonly #backend: TunnelBackend;
  #count = 0;

  constructor(front: Front, gate: Proxy, backend: TunnelBackend) {
    this.front = front;
    this.gate = gate;
    this.#backend = backend;
  }

  /** An open tunnel through the location of that name. */
  async open(location: string = "plain", options?: OpeningOptions): Promise<Tunnel> {
    const target = `/${location}?${this.#count++}`;
    const opening = await this.front.open(this.gate, target, options);
    assert(opening.isOpen, `the handshake for ${target} was answered ${opening.status}`);
    const { wire, handshake } = await this.#backend.tunnel(target);
    obtain(`the upstream's side of ${target}`, () => wire.close());
    return { client: opening.wire, upstream: wire, opening, handshake };
  }

  answerTo(target: string, options?: OpeningOptions): Promise<Opening> {
    return this.front.open(this.gate, target, options);
  }
}

async function openHouse(front: Front): Promise<House> {
  const backend = await startTunnelBackend({
    headers: (handshake) => {
      const chosen = BACKEND_PROTOCOL.exec(handshake.header("sec-websocket-protocol") ?? "")?.[1];
      return chosen === undefined ? "" : `Sec-WebSocket-Protocol: ${chosen}\r\n`;
    },
    along: serverFrame("along"),
  });
  const http = await startHttpBackend((seen, response) => {
    const status = Number(seen.url.slice(1));
    response.writeHead(status, {
      "content-type": "text/plain",
      connection: "close",
      ...(status === 302 ? { location: "/x" } : {}),
    });
    response.end("the upstream's own words");
  });
  const gate = await startGate({
    config: `events { worker_connections 4096; }
      http {
        log_format tunnels "$uri $websocket_ended_by $websocket_end $websocket_bytes_in $websocket_bytes_out $websocket_messages_in $websocket_messages_out [$websocket_subprotocol]";
        server {
          ${await front.listen()}
          access_log logs/tunnels.log tunnels;
          location / { proxy_pass http://${http.address}; }
          location /plain { proxy_pass http://${backend.address}; }
          location /counted { proxy_pass http://${backend.address}; }
          location /pinged { proxy_pass http://${backend.address}; websocket_ping_interval 100ms; }
          location /lively { proxy_pass http://${backend.address}; websocket_ping_interval 100ms; proxy_read_timeout 700ms; }
          location /mortal { proxy_pass http://${backend.address}; websocket_ping_interval 100ms; proxy_read_timeout 300ms; }
          location /returned { return 403; }
          location /own-page-only { websocket_allowed_origins https://page.test; proxy_pass http://${backend.address}; }
          location /refused { proxy_pass http://127.0.0.1:{{port:nobody}}; }
          location /off { proxy_pass http://${backend.address}; websocket_upgrade off; }
        }
      }`,
  });
  return new House(front, gate, backend);
}

/** Every byte value, in an order that a shift by any distance would spoil. */
function payloadOf(length: number): string {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8)) & 0xff;
  return bytes.toString("latin1");
}

describe.each(FRONTS)("over $name", (front) => {
  let house: House;

  beforeAll(async () => {
    house = await openHouse(front);
  });

  test("what comes with the upstream's answer reaches the client first", async () => {
    const { client, upstream } = await house.open();
    await upstream.send(serverFrame("later"));
    expect(await client.inbox.bytes(14)).toBe(serverFrame("along") + serverFrame("later"));
  });

  test("what the client sends too early is held until the upstream has agreed", async () => {
    const { upstream } = await house.open("plain", { early: clientFrame("early") });
    expect(await upstream.bytes(11)).toBe(clientFrame("early"));
  });

  test.each([0, 1, 125, 126, 65_535, 65_536, MIB + 3])(
    "a message of %i bytes is the same on both sides",
    async (length) => {
      const { client, upstream } = await house.open();
      await client.inbox.exactly(serverFrame("along"));
      const payload = payloadOf(length);
      for (const [by, from, to] of [
        ["client", client, upstream],
        ["server", upstream, client],
      ] as const) {
        const bytes = frame(by, payload, { opcode: OPCODE.binary });
        void from.send(bytes);
        expect((await to.inbox.bytes(bytes.length)) === bytes).toBe(true);
      }
    },
  );

  test("a fragmented message with pings, pongs and empty fragments inside comes through as it was", async () => {
    const { client, upstream } = await house.open();
    await client.inbox.exactly(serverFrame("along"));
    for (const [by, from, to] of [
      ["client", client, upstream],
      ["server", upstream, client],
    ] as const) {
      const bytes =
        frame(by, "fir", { isFinal: false }) +
        frame(by, "ping", { opcode: OPCODE.ping }) +
        frame(by, "", { isFinal: false, opcode: OPCODE.continuation }) +
        frame(by, "", { opcode: OPCODE.pong }) +
        frame(by, "st", { opcode: OPCODE.continuation }) +
        frame(by, "second");
      for (const byte of bytes) await from.send(byte);
      expect(await to.inbox.bytes(bytes.length)).toBe(bytes);
    }
  });

  test("a side that has closed its half gets what the other still has to say", async () => {
    for (const first of ["client", "upstream"] as const) {
      const { client, upstream } = await house.open();
      await client.inbox.exactly(serverFrame("along"));
      const [half, other] = first === "client" ? [client, upstream] : [upstream, client];
      const late = frame(first === "client" ? "server" : "client", "late");
      half.end();
      // The Close frame that tells it of the end.
      await other.inbox.toEnd();
      await other.send(late);
      other.end();
      expect(await half.inbox.toEnd()).toBe(late);
    }
  });

  test("pings go to a side that is silent, and their answers stay with the proxy", async () => {
    const { client, upstream } = await house.open("pinged");
    const ping = await client.inbox.until(/\x89\x08[^]{8}/);
    await client.send(clientFrame(ping.slice(-8), OPCODE.pong) + clientFrame("after"));
    // The upstream is pinged as well; what comes from the client is its message alone.
    const received = await upstream.until("after");
    expect(readFrames(received).frames.filter(({ opcode }) => opcode !== OPCODE.ping)).toEqual([
      { opcode: OPCODE.text, isFinal: true, payload: "after" },
    ]);
  });

  test("pings never stand inside a frame that is under way", async () => {
    const { client, upstream } = await house.open("pinged");
    await client.inbox.exactly(serverFrame("along"));
    const [head, rest] = [serverFrame("0123456789").slice(0, 7), serverFrame("0123456789").slice(7)];
    await upstream.send(head);
    await client.inbox.exactly(head);
    // Its own pings tell the upstream that time has passed in which the client, too, was silent.
    await upstream.until(/\x89\x88[^]{12}\x89\x88/);
    await upstream.send(rest);
    // Nothing but the frame has reached the client.
    expect(await client.inbox.until("789")).toBe(rest);
  });

  test("an idle tunnel outlasts proxy_read_timeout while both sides answer pings", async () => {
    const tunnel = await house.open("lively");
    const client = new WebSocketPeer(tunnel.client, "client");
    const upstream = new WebSocketPeer(tunnel.upstream, "server");
    // Twice as long as the read timeout.
    await Promise.all([client.pinged(14), upstream.pinged(14)]);
    await client.sendClose(4000, "still here");
    expect((await upstream.ended).close).toEqual({ code: 4000, reason: "still here" });
    expect((await client.ended).close?.code).toBe(4000);
  });

  test("a side that answers no ping is not waited for", async () => {
    const { client, upstream } = await house.open("mortal");
    const ended = new WebSocketPeer(upstream, "server").ended;
    expect((await ended).close?.code).toBe(1001);
    // Nothing has ended the client's half.
    await house.gate.waitForFile("logs/tunnels.log", /^\/mortal proxy ping-timeout /m);
    await client.inbox.toEnd();
  });

  test("a side that does not read makes the other wait, and the proxy keeps little of it", async () => {
    const TUNNELS = 3;
    const FLOOD = frame("server", "\0".repeat(24 * MIB), { opcode: OPCODE.binary });
    const before = residentBytes(house.gate.pid);
    for (const by of ["upstream", "client"] as const) {
      const flooded = await Promise.all(
        Array.from({ length: TUNNELS }, async () => {
          const { client, upstream } = await house.open();
          const [from, to] = by === "client" ? [client, upstream] : [upstream, client];
          to.pause();
          const bytes = by === "client" ? frame("client", FLOOD.slice(10), { opcode: OPCODE.binary }) : FLOOD;
          return { from, to, bytes: to === client ? bytes.length + 7 : bytes.length, sent: from.send(bytes) };
        }),
      );
      await untilIdle(house.gate.pid);
      expect((residentBytes(house.gate.pid) - before) / MIB).toBeLessThan(48);
      for (const { to } of flooded) to.resume();
      for (const { to, bytes, sent, from } of flooded) {
        expect((await to.inbox.bytes(bytes)).length).toBe(bytes);
        await sent;
        await from.close();
      }
    }
  });

  test("many tunnels are open at once, each with its own bytes", async () => {
    // What TLS handshakes cost here is the test's own time.
    const COUNT = front.name === "wss" ? 200 : 1000;
    const tunnels: Tunnel[] = [];
    while (tunnels.length < COUNT)
      tunnels.push(...(await Promise.all(Array.from({ length: 50 }, () => house.open()))));
    const talks = await Promise.all(
      tunnels.map(async ({ client, upstream }, index) => {
        await client.send(clientFrame(`up ${index}`));
        await upstream.exactly(clientFrame(`up ${index}`));
        await upstream.send(serverFrame(`down ${index}`));
        await client.inbox.exactly(serverFrame("along") + serverFrame(`down ${index}`));
        return index;
      }),
    );
    expect(talks).toHaveLength(COUNT);
    await Promise.all(tunnels.map(({ client }) => client.close()));
    await Promise.all(tunnels.map(({ upstream }) => upstream.toEnd()));
  });

  test("the upstream sees the subprotocols and extensions that the client offers, and the client what is chosen", async () => {
    const { opening, handshake } = await house.open("plain", {
      headers: {
        "sec-websocket-protocol": "a, b, c",
        "sec-websocket-extensions": "permessage-deflate; client_max_window_bits, x-other",
        origin: "https://page.test",
      },
    });
    expect(handshake.header("sec-websocket-protocol")).toBe("a, b, c");
    expect(handshake.header("sec-websocket-extensions")).toBe(
      "permessage-deflate; client_max_window_bits, x-other",
    );
    expect(handshake.header("origin")).toBe("https://page.test");
    expect(opening.header("sec-websocket-protocol")).toBe("c");
    expect((await house.open()).opening.header("sec-websocket-protocol")).toBeUndefined();
  });

  test.each([200, 302, 400, 401, 403, 404, 426, 429, 500, 503])(
    "an upstream that refuses with %i is quoted, and the front goes on",
    async (status) => {
      const answer = await house.answerTo(`/${status}`);
      // A success that opens no tunnel would be one to HTTP/2.
      const shown = status === front.openStatus ? 502 : status;
      expect([answer.status, answer.isOpen, answer.body]).toEqual([shown, false, "the upstream's own words"]);
      expect(answer.header("location")).toBe(status === 302 ? "/x" : undefined);
      await house.open();
    },
  );

  test.each([
    ["returned", "whose location answers by itself", {}, 403],
    ["own-page-only", "from a page that may not", { origin: "https://other.test" }, 403],
    ["off", "where no upgrade is wanted", {}, 426],
    ["refused", "whose upstream does not listen", {}, 502],
    ["nowhere", "of another version of the protocol", { "sec-websocket-version": "8" }, 426],
    ["nowhere", "that names a subprotocol twice", { "sec-websocket-protocol": "a, a" }, 400],
  ] as const)("a handshake for /%s, %s, is answered", async (location, _what, headers, status) => {
    const answer = await house.answerTo(`/${location}`, { headers });
    expect([answer.status, answer.isOpen]).toEqual([status, false]);
    await house.open();
  });

  test("the access log counts bytes and messages each way, and names the subprotocol", async () => {
    const tunnel = await house.open("counted", { headers: { "sec-websocket-protocol": "x, chat" } });
    const client = new WebSocketPeer(tunnel.client, "client");
    const upstream = new WebSocketPeer(tunnel.upstream, "server");
    await client.sendFrame("x");
    await upstream.sendFrame("from the upstream");
    client.end();
    await Promise.all([client.ended, upstream.ended]);
    await house.gate.waitForFile("logs/tunnels.log", /^\/counted /m);
    const line = house.gate
      .read("logs/tunnels.log")
      .split("\n")
      .find((each) => each.startsWith("/counted"));
    expect(line).toBe("/counted client eof 7 30 1 2 [chat]");
  });
});
