/** How much of what one HTTP/2 connection carries a gate holds, when nobody takes it. */
import { expect, test } from "vitest";
import { type RawBackend, startConnectionBackend } from "./rig/backends.ts";
import { untilSo } from "./rig/deadline.ts";
import { connectHttp2, type Http2Client } from "./rig/http2-client.ts";
import { END_HEADERS, END_STREAM, http2Frame, PREFACE, requestBlock, uint32 } from "./rig/http2-frames.ts";
import { useRig } from "./rig/ledger.ts";
import { residentBytes, untilIdle } from "./rig/processes.ts";
import { type Proxy, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

const MIB = 1_048_576;
const STREAMS = 128;
const MESSAGE_BYTES = 4 * MIB;
const CHUNK = Buffer.alloc(65_536, "x");
/** All of the messages are 512 MiB. Of each the gate may hold a window and a high-water mark or two, and of itself some. */
const HELD_MIB_MAX = 96;

const INITIAL_WINDOW_SIZE = 4;
const WINDOW_BYTES_MAX = 0x7fff_ffff;
const WINDOW_BYTES_DEFAULT = 65_535;

/** What has been handed over so far to be sent, in bytes, and how many messages that makes whole. */
interface Sent {
  bytes: number;
  whole: number;
}

/** Through a Unix socket, since the kernel holds little of what stands in one. */
function startBackend(serve: (peer: RawPeer) => Promise<void> | void): Promise<RawBackend> {
  return startConnectionBackend(serve, { path: `${temporaryFolder()}/backend` });
}

function startFront(backend: RawBackend): Promise<Proxy> {
  return startGate({
    http: `http2 on; client_max_body_size 0; proxy_request_buffering off;
      server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
}

/** A client that asks on each stream, with that window for each, and reads nothing from its socket. */
async function askWithoutReading(gate: Proxy, windowBytes: number): Promise<void> {
  const client = await connectRaw({ port: gate.port() });
  client.pause();
  const setting = Buffer.concat([Buffer.of(0, INITIAL_WINDOW_SIZE), uint32(windowBytes)]);
  const requests = Array.from({ length: STREAMS }, (_, index) =>
    http2Frame("headers", END_HEADERS | END_STREAM, 2 * index + 1, requestBlock()),
  );
  await client.send(
    Buffer.concat([
      Buffer.from(PREFACE, "latin1"),
      http2Frame("settings", 0, 0, setting),
      http2Frame("windowUpdate", 0, 0, uint32(WINDOW_BYTES_MAX - WINDOW_BYTES_DEFAULT)),
      ...requests,
    ]),
  );
}

/** A body on a stream of its own, as fast as it is taken. */
function sendBody(client: Http2Client, sent: Sent): void {
  const stream = client.open({ ":method": "POST" });
  let bytesLeft = MESSAGE_BYTES;
  const sendChunk = (): void => {
    if (bytesLeft === 0) {
      sent.whole++;
      return;
    }
    bytesLeft -= CHUNK.length;
    stream.write(CHUNK, (error) => {
      if (error) return;
      sent.bytes += CHUNK.length;
      sendChunk();
    });
  };
  sendChunk();
}

/** Waits until the gate takes nothing more of what is sent. */
async function untilStuck(gate: Proxy, sent: Sent): Promise<void> {
  for (let before = -1; before !== sent.bytes; ) {
    before = sent.bytes;
    await untilIdle(gate.pid);
  }
}

test.each([
  ["opens no window", 0],
  ["opens every window and reads nothing", WINDOW_BYTES_MAX],
])("128 large answers wait at their backends for a client that %s", async (_what, windowBytes) => {
  const sent: Sent = { bytes: 0, whole: 0 };
  const backend = await startBackend(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${MESSAGE_BYTES}\r\n\r\n`);
    for (let bytes = 0; bytes < MESSAGE_BYTES; bytes += CHUNK.length) {
      await peer.send(CHUNK);
      sent.bytes += CHUNK.length;
    }
    sent.whole++;
  });
  const gate = await startFront(backend);
  const before = residentBytes(gate.pid);
  await askWithoutReading(gate, windowBytes);
  await untilSo("all requests to be passed on", () => backend.connections.length === STREAMS);
  await untilStuck(gate, sent);
  expect((residentBytes(gate.pid) - before) / MIB).toBeLessThan(HELD_MIB_MAX);
  expect(sent.bytes).toBeGreaterThan(0);
});

test("128 large bodies wait at their client for a backend that reads nothing", async () => {
  const sent: Sent = { bytes: 0, whole: 0 };
  const backend = await startBackend((peer) => peer.pause());
  const gate = await startFront(backend);
  const before = residentBytes(gate.pid);
  const client = await connectHttp2({ port: gate.port() });
  for (let index = 0; index < STREAMS; index++) sendBody(client, sent);
  await untilSo("all requests to be passed on", () => backend.connections.length === STREAMS);
  await untilStuck(gate, sent);
  expect((residentBytes(gate.pid) - before) / MIB).toBeLessThan(HELD_MIB_MAX);
  expect(sent.whole).toBe(0);
});
