/**
 * Frames that make a server end streams and sessions while its HTTP/2 engine is still reading the packet that brought them:
 * nghttp2 then goes on with what it has freed (nodejs/node#64113, #64841, #64850). With a heap whose freed memory is
 * overwritten (Linux) the process dies of it at once, and otherwise some time later.
 */
import { describe, expect, test } from "vitest";
import { startConnectionBackend } from "./rig/backends.ts";
import { nextTurn } from "./rig/deadline.ts";
import { clientFrame, serverFrame } from "./rig/frames.ts";
import { connectHttp2 } from "./rig/http2-client.ts";
import { END_HEADERS, END_STREAM, http2Frame, PREFACE, requestBlock, uint32 } from "./rig/http2-frames.ts";
import { readRequest } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { fuzzSeed, Random } from "./rig/random.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { switching } from "./rig/tunnel-backend.ts";

useRig();

const CONNECTIONS = 400;
const AT_ONCE = 12;
const SEED: number = fuzzSeed("WSGATE_ATTACK_SEED");
const random = new Random(SEED);

const CANCEL = 8;
const SETTINGS = http2Frame("settings", 0, 0);
const PING = http2Frame("ping", 0, 0, "12345678");
const OPENING = Buffer.concat([Buffer.from(PREFACE, "latin1"), SETTINGS]);

async function startAttacked(): Promise<Proxy> {
  const backend = await startConnectionBackend(serve);
  const locations = `
    location / { return 200 "x"; }
    location /cut { return 444; }
    location /post { client_max_body_size 100; proxy_pass http://${backend.address}; }
    location /chat { proxy_pass http://${backend.address}; websocket_ping_interval 50ms; }
    location /limited { proxy_pass http://${backend.address}; websocket_max_message_size 50; }
    location /slow { proxy_pass http://${backend.address}; websocket_compression offload; websocket_rate 5r/s burst=2 delay; }`;
  return startGate({
    env: { GLIBC_TUNABLES: "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0" },
    tolerates: [/\(rule "/],
    http: `
      http2 on; access_log off; error_log stderr error;
      keepalive_timeout 1s; send_timeout 1s; client_body_timeout 1s; proxy_read_timeout 1s;
      server { listen 127.0.0.1:{{port:one}}; keepalive_requests 1; ${locations} }
      server { listen 127.0.0.1:{{port:few}}; keepalive_requests 20; http2_max_concurrent_streams 10; ${locations} }
      server { listen 127.0.0.1:{{port:many}}; ${locations} }`,
  });
}

/** Answers as it likes, or not at all; a tunnel of it talks, and ends in any way. */
async function serve(peer: RawPeer): Promise<void> {
  const handshake = await readRequest(peer);
  if (handshake.header("upgrade") === undefined) {
    const bytes = random.below(100_000);
    await peer.send(
      `HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n${"x".repeat(random.below(bytes + 1))}`,
    );
    return peer.end();
  }
  await peer.send(switching(handshake, ""));
  while ((await peer.inbox.some()) !== "") {
    await peer.send(serverFrame("x".repeat(random.below(30_000))));
    const end = random.below(100);
    if (end === 0) peer.reset();
    if (end === 1) peer.end();
  }
  peer.end();
}

/** A request, or with `:protocol` the opening of a tunnel. */
function open(streamId: number, path: string, method: "GET" | "POST" | "CONNECT" = "GET"): Buffer {
  const tunnel = { ":protocol": "websocket", "sec-websocket-version": "13" };
  const block = requestBlock({
    ":path": path,
    ":method": method,
    ...(method === "CONNECT" ? tunnel : {}),
  });
  return http2Frame("headers", END_HEADERS | (method === "GET" ? END_STREAM : 0), streamId, block);
}

function data(streamId: number, payload: string | Buffer, flags: number = 0): Buffer {
  return http2Frame("data", flags, streamId, payload);
}

function reset(streamId: number, code: number = CANCEL): Buffer {
  return http2Frame("rstStream", 0, streamId, uint32(code));
}

function repeat(count: number, make: (i: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
}

/** What a client sends in one packet once the connection stands. */
const PACKETS: readonly { name: string; port: string; packet: Buffer }[] = [
  {
    name: "requests behind the last one that the connection may carry",
    port: "one",
    packet: repeat(4, (i) => open(2 * i + 1, "/")),
  },
  {
    name: "requests behind GOAWAY",
    port: "many",
    packet: Buffer.concat([
      http2Frame("goaway", 0, 0, Buffer.alloc(8)),
      repeat(4, (i) => open(2 * i + 1, "/")),
    ]),
  },
  {
    name: "a body behind too many resets",
    port: "many",
    packet: Buffer.concat([
      repeat(300, (i) => Buffer.concat([open(2 * i + 1, "/"), reset(2 * i + 1)])),
      open(1001, "/post", "POST"),
      repeat(4, () => data(1001, "body")),
    ]),
  },
  {
    name: "a body behind too many pings",
    port: "many",
    packet: Buffer.concat([
      repeat(1_100, () => PING),
      open(1, "/post", "POST"),
      repeat(4, () => data(1, "body")),
    ]),
  },
];

describe("the gate outlives", () => {
  test.each(PACKETS)("$name", async ({ port, packet }) => {
    const gate = await startAttacked();
    for (let round = 0; round < 20; round++) {
      const client = await connectRaw({ port: gate.port(port) });
      await client.send(OPENING);
      await client.until("\0\0\0\x04\x01");
      await client.send(packet);
      await client.sendPieces([PING, PING]);
      await client.close();
    }
    await expectService(gate);
  });

  test(`whatever comes, on many connections at once (seed ${SEED})`, async () => {
    const gate = await startAttacked();
    let begun = 0;
    const lane = async (): Promise<void> => {
      while (begun++ < CONNECTIONS) await rave(gate);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    await expectService(gate);
  });
});

async function expectService(gate: Proxy): Promise<void> {
  const other = await connectHttp2({ port: gate.port("many") });
  expect((await other.request()).body).toBe("x");
}

/** A connection on which chance says what is sent, in which packets, and how it ends. */
async function rave(gate: Proxy): Promise<void> {
  const client = await connectRaw({ port: gate.port(random.pick(["one", "few", "many"])) });
  if (random.below(6) === 0) client.pause();
  const speech = new Speech();
  await client.send(OPENING);
  for (let packets = random.below(25) + 1; packets > 0 && client.inbox.ending === undefined; packets--) {
    const frames = 1 + random.below(random.below(3) === 0 ? 60 : 6);
    await client.send(repeat(frames, () => speech.next()));
    for (let turns = random.below(30); turns > 0; turns--) await nextTurn();
  }
  if (random.below(2) === 0) client.reset();
  await client.close();
}

/** One client's frames: mostly about the streams that it has opened. */
class Speech {
  #streamId = 1;
  readonly #tunnels: number[] = [];
  readonly #bodies: number[] = [];

  next(): Buffer {
    const streamId = this.#streamId;
    switch (random.below(16)) {
      case 0:
      case 1:
        this.#streamId += 2;
        return open(streamId, random.pick(["/", "/cut", "/post", "/chat"]));
      case 2:
        this.#streamId += 2;
        this.#bodies.push(streamId);
        return open(streamId, random.pick(["/", "/cut", "/post"]), "POST");
      case 3:
        this.#streamId += 2;
        this.#tunnels.push(streamId);
        return open(streamId, random.pick(["/chat", "/limited", "/slow"]), "CONNECT");
      case 4:
      case 5:
      case 6:
        return data(any(this.#tunnels), clientBytes(), endStream());
      case 7:
        return data(any(this.#bodies), "x".repeat(random.below(100)), endStream());
      case 8:
        return reset(any(this.#tunnels), random.below(14));
      case 9:
        return reset(any(this.#bodies), random.below(14));
      case 10:
        return http2Frame(
          "windowUpdate",
          0,
          random.below(2) * any(this.#tunnels),
          uint32(random.below(60_000) + 1),
        );
      case 11: {
        const tunnel = any(this.#tunnels);
        return Buffer.concat([data(tunnel, "\xff\xff", END_STREAM), reset(tunnel)]);
      }
      case 12:
        return random.below(10) === 0 ? repeat(1_100, () => PING) : SETTINGS;
      case 13:
        return random.below(10) === 0 ? this.#resetMany() : PING;
      case 14:
        if (random.below(8) > 0) return PING;
        return http2Frame("goaway", 0, 0, Buffer.concat([uint32(0), uint32(random.below(2))]));
      default:
        return random.below(30) === 0 ? data(this.#streamId + 10, "no such stream") : PING;
    }
  }

  #resetMany(): Buffer {
    return repeat(260, () => {
      const streamId = this.#streamId;
      this.#streamId += 2;
      return Buffer.concat([open(streamId, "/"), reset(streamId)]);
    });
  }
}

function clientBytes(): Buffer {
  const bytes = random.below(10) === 0 ? "\xff\xff\xff\xff" : clientFrame("x".repeat(random.below(200)));
  return Buffer.from(bytes, "latin1");
}

function endStream(): number {
  return random.below(8) === 0 ? END_STREAM : 0;
}

function any(streams: readonly number[]): number {
  return streams[random.below(streams.length)] ?? 1;
}
