/** Clients that leave, in good order or by a reset, wherever a conversation can stand: whatever hangs on them is let go. */
import { expect, test } from "vitest";
import { type RawBackend, startConnectionBackend } from "./rig/backends.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;
const HALF_ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
const BODY = "x".repeat(50_000);

interface State {
  readonly where: string;
  /** What the client sends before it leaves. */
  readonly sends: string;
  /** What has reached the upstream by then; empty: nothing ever does. */
  readonly upstreamHas: string;
  readonly upstreamSays?: string;
  /** What has reached the client by then. */
  readonly clientHas?: string;
  /** The line of the access log, if there is one. */
  readonly log: RegExp | null;
}

const STATES: readonly State[] = [
  { where: "before its first byte", sends: "", upstreamHas: "", log: null },
  { where: "within its request line", sends: "GET /x HT", upstreamHas: "", log: /"GET \/x HT" 400 0/ },
  {
    where: "within its head",
    sends: "GET /x HTTP/1.1\r\nHost: a\r\nX",
    upstreamHas: "",
    log: /"GET \/x HTTP\/1\.1" 400 0/,
  },
  {
    where: "before the body that it has announced",
    sends: "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    upstreamHas: "",
    log: /"POST \/x HTTP\/1\.1" 400 0/,
  },
  {
    where: "within a body that is kept in memory",
    sends: "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
    upstreamHas: "",
    log: /"POST \/x HTTP\/1\.1" 400 0/,
  },
  {
    where: "within a body that is kept in a file",
    sends: `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${BODY}`,
    upstreamHas: "",
    log: /"POST \/x HTTP\/1\.1" 400 0/,
  },
  {
    where: "within a chunk",
    sends: "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    upstreamHas: "",
    log: /"POST \/x HTTP\/1\.1" 400 0/,
  },
  {
    where: "within a body that is passed on at once",
    sends: "POST /streamed HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
    upstreamHas: "half",
    log: /"POST \/streamed HTTP\/1\.1" 400 0/,
  },
  {
    where: "waiting for an answer",
    sends: "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    upstreamHas: "\r\n\r\n",
    log: /"GET \/x HTTP\/1\.1" 499 0/,
  },
  {
    where: "waiting for an answer, with more requests sent",
    sends: "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\nGET",
    upstreamHas: "\r\n\r\n",
    log: /"GET \/x HTTP\/1\.1" 499 0/,
  },
  {
    where: "within an answer",
    sends: "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    upstreamHas: "\r\n\r\n",
    upstreamSays: HALF_ANSWER,
    clientHas: "half",
    log: /"GET \/x HTTP\/1\.1" 200 4/,
  },
  {
    where: "after the interim answers",
    sends: "GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    upstreamHas: "\r\n\r\n",
    upstreamSays: "HTTP/1.1 103 Early Hints\r\n\r\n",
    log: /"GET \/x HTTP\/1\.1" 499 0/,
  },
  {
    where: "waiting for its upgrade",
    sends: `${handshakeBytes("/x")}early`,
    upstreamHas: "\r\n\r\n",
    log: /"GET \/x HTTP\/1\.1" 499 0/,
  },
];

/** The upstream only listens: what it says, and when, is up to the test. */
async function stage(): Promise<{ readonly gate: Proxy; readonly backend: RawBackend }> {
  const backend = await startConnectionBackend(() => {});
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; }
      location /streamed { proxy_pass http://${backend.address}; proxy_request_buffering off; }
      location /fine { return 200 fine; } }`,
  });
  return { gate, backend };
}

function leave(client: RawPeer, how: "FIN" | "RST"): void {
  if (how === "FIN") client.end();
  else client.reset();
}

test.for(STATES.flatMap((state) => (["FIN", "RST"] as const).map((how) => ({ ...state, how }))))(
  "a client that leaves by $how $where takes along what was made for it",
  async ({ sends, upstreamHas, upstreamSays, clientHas, log, how }) => {
    const { gate, backend } = await stage();
    const client = await connectRaw({ port: gate.port() });
    await client.send(sends);
    const upstream = upstreamHas === "" ? null : await backend.connection(0);
    await upstream?.until(upstreamHas);
    if (upstreamSays !== undefined) await upstream?.send(upstreamSays);
    if (clientHas !== undefined) await client.until(clientHas);
    leave(client, how);
    await upstream?.toEnd();
    if (how === "FIN") await client.toEnd();
    if (log !== null) await gate.waitForFile("logs/access.log", log);
    expect((await request({ port: gate.port(), target: "/fine" })).body).toBe("fine");
    expect(backend.connections).toHaveLength(upstream === null ? 0 : 1);
  },
);

test.each(["FIN", "RST"] as const)("a client that leaves its tunnel by %s is missed at once", async (how) => {
  const { gate, backend } = await stage();
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/x"));
  const upstream = await backend.connection(0);
  await upstream.until("\r\n\r\n");
  await upstream.send(SWITCHING);
  await client.until("\r\n\r\n");
  leave(client, how);
  await upstream.toEnd();
  upstream.end();
  await gate.waitForFile("logs/access.log", /"GET \/x HTTP\/1\.1" 101 /);
  expect((await request({ port: gate.port(), target: "/fine" })).body).toBe("fine");
});

test("a client that reads nothing holds up its own upstream, and nobody else's", async () => {
  const { gate, backend } = await stage();
  const client = await connectRaw({ port: gate.port() });
  client.socket.pause();
  await client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  const upstream = await backend.connection(0);
  await upstream.until("\r\n\r\n");
  await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
  const piece = Buffer.alloc(1 << 20);
  let takenMiB = 0;
  // What fits into the buffers of all sockets on the way, and those of the location, is far below this.
  while (takenMiB < 100) {
    const taken = upstream.send(piece).then(() => true);
    if (!(await Promise.race([taken, othersAreServed(gate)]))) break;
    takenMiB++;
  }
  expect(takenMiB).toBeLessThan(100);
  client.reset();
  await upstream.toEnd();
});

/** Resolves to false after some requests of others, which is time enough for a piece to be taken. */
async function othersAreServed(gate: Proxy): Promise<false> {
  for (let i = 0; i < 5; i++) {
    expect((await request({ port: gate.port(), target: "/fine" })).body).toBe("fine");
  }
  return false;
}
