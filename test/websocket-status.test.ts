/** What websocket_status tells, in one process and in several. */
import { constants, deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { parseExposition } from "./rig/exposition.ts";
import { clientFrame, frame, serverFrame } from "./rig/frames.ts";
import { FRONTS } from "./rig/fronts.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes, request, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { workersOf } from "./rig/processes.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;
const FORBIDDEN = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
const STATUS =
  "location = /status { access_log off; websocket_status; } location = /json { access_log off; websocket_status json; }";

function start(
  address: string,
  settings = "",
  workers = 1,
  tolerates: readonly RegExp[] = [],
): Promise<Proxy> {
  return startGate({
    config: `worker_processes ${workers}; events {}
      http { access_log logs/access.log; server { listen 127.0.0.1:{{port:front}}; ${STATUS}
        location / { proxy_pass http://${address}; ${settings} } } }`,
    tolerates,
  });
}

/** All series of the text by `name label label`. */
async function read(gate: Proxy): Promise<Readonly<Record<string, number>>> {
  const response = await request({ port: gate.port(), target: "/status" });
  expect(response.status).toBe(200);
  expect(response.header("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return Object.fromEntries(
    parseExposition(response.body).flatMap(({ name, samples }) =>
      samples.map(({ labels, value }) => [[name, ...Object.values(labels)].join(" "), value] as const),
    ),
  );
}

test("what a tunnel does is counted while it does it, and its end when the access log has it", async () => {
  const backend = await startWebSocketBackend();
  const gate = await start(backend.address);
  expect(await read(gate)).toMatchObject({ wsgate_tunnels_opened_total: 0, wsgate_tunnels_open: 0 });
  const client = await connectWebSocket("ws", gate.url("ws"));
  client.send("12345");
  expect(await client.next()).toBe("12345");
  expect(await read(gate)).toMatchObject({
    wsgate_tunnels_opened_total: 1,
    wsgate_tunnels_open: 1,
    "wsgate_tunnel_messages_total client": 1,
    "wsgate_tunnel_messages_total upstream": 1,
    // Two bytes of head, and a client's masking key.
    "wsgate_tunnel_bytes_total client": 11,
    "wsgate_tunnel_bytes_total upstream": 7,
  });
  client.close(1000, "");
  await client.closed;
  await gate.waitForFile("logs/access.log", / 101 /);
  const after = await read(gate);
  expect(after).toMatchObject({ wsgate_tunnels_open: 0, "wsgate_tunnels_ended_total client close": 1 });
  expect(after).not.toHaveProperty("wsgate_close_frames_sent_total client 1000");
});

test("bytes are those on the wire, early ones included, also where wsgate compresses", async () => {
  const backend = await startTunnelBackend();
  const gate = await startGate({
    http: `log_format bytes "$websocket_bytes_in $websocket_bytes_out"; access_log logs/bytes.log bytes;
      server { listen 127.0.0.1:{{port:front}}; ${STATUS}
        location / { proxy_pass http://${backend.address}; websocket_compression offload; } }`,
  });
  const client = await connectRaw({ port: gate.port() });
  const deflated = deflateRawSync("long ".repeat(1000), { finishFlush: constants.Z_SYNC_FLUSH });
  const message = frame("client", deflated.toString("latin1", 0, deflated.length - 4), { reservedBits: 4 });
  await client.send(handshakeBytes("/", { "Sec-WebSocket-Extensions": "permessage-deflate" }) + message);
  expect((await readResponse(client)).header("sec-websocket-extensions")).toContain("permessage-deflate");
  const upstream = await backend.tunnel("/");
  await client.send(message);
  await upstream.wire.bytes(2 * (8 + 5000));
  const answer = serverFrame("answer ".repeat(100));
  await upstream.wire.send(answer);
  await client.until("\xc1");
  const counts = await read(gate);
  expect(counts).toMatchObject({
    "wsgate_tunnel_bytes_total client": 2 * message.length,
    "wsgate_tunnel_bytes_total upstream": answer.length,
  });
  client.reset();
  await upstream.wire.toEnd();
  upstream.wire.end();
  await gate.waitForFile("logs/bytes.log", new RegExp(`^${2 * message.length} ${answer.length}$`, "m"));
});

test("refusals are counted by side and rule, pings and Close frames by side and code", async () => {
  const wrong = SWITCHING.replace("Accept: s", "Accept: x");
  const backend = await startRawBackend([
    SWITCHING,
    async (_request, peer) => await peer.send(wrong),
    FORBIDDEN,
  ]);
  const settings = "websocket_ping_interval 50ms; websocket_allowed_origins same; proxy_next_upstream off;";
  const gate = await start(backend.address, settings);
  const shake = async (headers: Readonly<Record<string, string | undefined>>): Promise<number> => {
    const client = await connectRaw({ port: gate.port() });
    await client.send(handshakeBytes("/", headers));
    return (await readResponse(client)).status;
  };
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/"));
  expect((await readResponse(client)).status).toBe(101);
  await client.until(/\x89\x08[^]{8}/);
  await (await backend.connection(0)).send(serverFrame("", 3));
  await client.toEnd();
  client.end();
  expect(await shake({ "Sec-WebSocket-Version": "8" })).toBe(426);
  expect(await shake({ Origin: "https://evil.test" })).toBe(403);
  expect(await shake({})).toBe(502);
  expect(await shake({})).toBe(403);
  const counts = await read(gate);
  expect(counts).toMatchObject({
    "wsgate_handshakes_refused_total client version": 1,
    "wsgate_handshakes_refused_total client origin": 1,
    "wsgate_handshakes_refused_total upstream accept": 1,
    "wsgate_handshakes_refused_total upstream status-403": 1,
    "wsgate_close_frames_sent_total client 1001": 1,
    "wsgate_close_frames_sent_total upstream 1002": 1,
  });
  expect(counts["wsgate_pings_sent_total client"]).toBeGreaterThanOrEqual(1);
});

test.each(FRONTS.map((front) => [front.name, front] as const))(
  "a tunnel over %s is one, and one that breaks off has ended as the access log says",
  async (_name, front) => {
    const backend = await startTunnelBackend();
    const gate = await startGate({
      http: `log_format end "$websocket_ended_by $websocket_end"; access_log logs/end.log end;
        server { ${await front.listen()} location / { proxy_pass http://${backend.address}; } }
        server { listen 127.0.0.1:{{port:status}}; location / { access_log off; websocket_status json; } }`,
    });
    const { wire } = await front.open(gate, "/");
    const upstream = await backend.tunnel("/");
    await wire.send(clientFrame("one"));
    await upstream.wire.until("one");
    wire.reset();
    await upstream.wire.toEnd();
    upstream.wire.end();
    const [, endedBy, reason] = await gate.waitForFile("logs/end.log", /^(\S+) (\S+)$/m);
    const { body } = await request({ port: gate.port("status") });
    expect(JSON.parse(body)).toMatchObject({
      opened: 1,
      open: 0,
      ended: [{ ended_by: endedBy, reason, count: 1 }],
      messages: [
        { from: "client", count: 1 },
        { from: "upstream", count: 0 },
      ],
      close_frames: [{ to: "upstream", code: "1001", count: 1 }],
    });
  },
);

test("JSON has the same, and there is no answer but to GET and HEAD", async () => {
  const gate = await start("127.0.0.1:1");
  const json = await request({ port: gate.port(), target: "/json" });
  expect(json.header("content-type")).toBe("application/json");
  expect(JSON.parse(json.body)).toMatchObject({ opened: 0, open: 0, ended: [] });
  expect((await request({ port: gate.port(), target: "/status", method: "HEAD" })).status).toBe(200);
  expect((await request({ port: gate.port(), target: "/status", method: "POST" })).status).toBe(405);
});

test("any worker answers for all, and what a killed one had open has ended with worker-crash", async () => {
  const backend = await startWebSocketBackend();
  const gate = await start(backend.address, "", 2, [/exited on signal SIGKILL/]);
  const clients = [];
  for (let index = 0; index < 4; index++) clients.push(await connectWebSocket("ws", gate.url("ws")));
  for (let index = 0; index < 2; index++) {
    expect(await read(gate)).toMatchObject({ wsgate_tunnels_opened_total: 4, wsgate_tunnels_open: 4 });
  }
  const [victim = 0] = workersOf(gate);
  process.kill(victim, "SIGKILL");
  await gate.waitForLog(new RegExp(`\\[notice\\] .*tunnels that ended with worker process ${victim}: 2`));
  expect(await read(gate)).toMatchObject({
    wsgate_tunnels_opened_total: 4,
    wsgate_tunnels_open: 2,
    "wsgate_tunnels_ended_total proxy worker-crash": 2,
  });
  for (const client of clients) client.close(1000, "");
  await Promise.all(clients.map((client) => client.closed));
  await gate.waitForFile("logs/access.log", /( 101 [^]*){2}/);
  expect(await read(gate)).toMatchObject({
    wsgate_tunnels_open: 0,
    "wsgate_tunnels_ended_total client close": 2,
  });
});

test("a worker that leaves in order takes nothing that it has counted with it", async () => {
  const backend = await startWebSocketBackend();
  const gate = await start(backend.address, "", 2);
  const clients = [];
  for (let index = 0; index < 4; index++) clients.push(await connectWebSocket("ws", gate.url("ws")));
  for (const client of clients) client.close(1000, "");
  await Promise.all(clients.map((client) => client.closed));
  const [leaving = 0] = workersOf(gate);
  process.kill(leaving, "SIGTERM");
  await gate.waitForLog(/exited with code 0; another one takes its place/);
  expect(await read(gate)).toMatchObject({
    wsgate_tunnels_opened_total: 4,
    wsgate_tunnels_open: 0,
    "wsgate_tunnels_ended_total client close": 4,
  });
});

test("stub_status counts the connections and requests of all workers, and keeps those of one that is gone", async () => {
  const gate = await startGate({
    config: `worker_processes 2; events {} http { access_log off;
      server { listen 127.0.0.1:{{port:front}}; location / { return 204; } location = /status { stub_status; } } }`,
    tolerates: [/exited on signal SIGKILL/],
  });
  const [victim = 0] = workersOf(gate);
  // One after the other, so that the workers have them in turn.
  for (let index = 0; index < 3; index++) {
    const client = await connectRaw({ port: gate.port() });
    await client.send(requestBytes({ headers: { Connection: "keep-alive" } }));
    expect((await readResponse(client)).status).toBe(204);
  }
  const status = async (): Promise<string> =>
    (await request({ port: gate.port(), target: "/status" })).body.replaceAll("\n", ";");
  for (const total of [4, 5]) {
    expect(await status()).toBe(
      `Active connections: 4 ;server accepts handled requests; ${total} ${total} ${total} ;Reading: 0 Writing: 1 Waiting: 3 ;`,
    );
  }
  process.kill(victim, "SIGKILL");
  await gate.waitForLog(/another one takes its place/);
  expect(await status()).toMatch(
    /^Active connections: [23] ;server accepts handled requests; 6 6 6 ;Reading: 0 Writing: 1 Waiting: [12] ;$/,
  );
});
