import { once } from "node:events";
import * as net from "node:net";
import { afterEach, expect, test } from "vitest";
import { dialTransport, type Transport } from "../base/transport.ts";
import {
  ConnectionPool,
  DEFAULT_KEEPALIVE,
  type KeepaliveSettings,
  PooledConnection,
} from "./connection-pool.ts";
import { DEFAULT_SERVER, Peer } from "./peer.ts";

const releases: (() => void)[] = [];
afterEach(() => {
  for (const release of releases.splice(0).reverse()) release();
});

interface Server {
  readonly peer: Peer;
  /** The server's end of the n-th connection. */
  readonly sockets: readonly net.Socket[];
}

async function startServer(): Promise<Server> {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
  });
  releases.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no address");
  return {
    peer: new Peer({ host: "127.0.0.1", port: address.port }, { ...DEFAULT_SERVER, server: "test" }),
    sockets,
  };
}

function makePool(settings: Partial<KeepaliveSettings> = {}): ConnectionPool<string> {
  const pool = new ConnectionPool<string>({ ...DEFAULT_KEEPALIVE, ...settings });
  releases.push(() => pool.close());
  return pool;
}

/** A connection to the server that has carried one request; its end is told by the promise. */
async function connect(
  { peer, sockets }: Server,
  name: string,
  profile = "",
): Promise<{ readonly connection: PooledConnection<string>; readonly closed: Promise<void> }> {
  const before = sockets.length;
  let onClosed = (): void => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  const transport = await new Promise<Transport>((resolve, reject) => {
    const dialled = dialTransport(
      { address: peer.address, onConnect: () => resolve(dialled), onClosed },
      { onBytes() {}, onEnd() {}, onDrain() {}, onClose: (error) => reject(error ?? new Error("closed")) },
    );
  });
  releases.push(() => transport.destroy());
  while (sockets.length === before) await new Promise((resolve) => setImmediate(resolve));
  const connection = new PooledConnection(transport, peer, profile, name, 0);
  connection.requests = 1;
  return { connection, closed };
}

test("the connection that was used last is taken first", async () => {
  const server = await startServer();
  const pool = makePool();
  const { connection: first } = await connect(server, "first");
  const { connection: second } = await connect(server, "second");
  pool.put(first, 1);
  pool.put(second, 2);
  expect(pool.take(server.peer, "")).toBe(second);
  expect(pool.take(server.peer, "")).toBe(first);
  expect(pool.take(server.peer, "")).toBeNull();
});

test("a connection is shared only for the same peer and when it would be made in the same way", async () => {
  const server = await startServer();
  const other = await startServer();
  const pool = makePool();
  const { connection } = await connect(server, "tls", "tls example.test");
  pool.put(connection, 0);
  expect(pool.take(server.peer, "")).toBeNull();
  expect(pool.take(other.peer, "tls example.test")).toBeNull();
  expect(pool.take(server.peer, "tls example.test")).toBe(connection);
});

test("bytes that nobody asked for end an idle connection", async () => {
  const server = await startServer();
  const pool = makePool();
  const { connection, closed } = await connect(server, "poisoned");
  pool.put(connection, 0);
  server.sockets[0]?.write("HTTP/1.1 200 OK\r\n\r\n");
  await closed;
  expect(pool.take(server.peer, "")).toBeNull();
});

test.each(["end", "destroy", "resetAndDestroy"] as const)(
  "a connection on which the server calls %s leaves the pool",
  async (ending) => {
    const server = await startServer();
    const pool = makePool();
    const { connection, closed } = await connect(server, "gone");
    pool.put(connection, 0);
    server.sockets[0]?.[ending]();
    await closed;
    expect(pool.size).toBe(0);
  },
);

test("over the limit the one that has been idle for longest makes way", async () => {
  const server = await startServer();
  const pool = makePool({ keepalive: 1 });
  const first = await connect(server, "first");
  const second = await connect(server, "second");
  pool.put(first.connection, 1);
  pool.put(second.connection, 2);
  await first.closed;
  expect(pool.take(server.peer, "")).toBe(second.connection);
});

test("a connection is not kept once it has carried its requests or is old enough", async () => {
  const server = await startServer();
  const pool = makePool({ keepalive_requests: 2, keepalive_time: 1_000 });
  const used = await connect(server, "used");
  used.connection.requests = 2;
  pool.put(used.connection, 1);
  const old = await connect(server, "old");
  pool.put(old.connection, 1_001);
  await Promise.all([used.closed, old.closed]);
  expect(pool.size).toBe(0);
});

test("an idle connection is closed after keepalive_timeout", async () => {
  const server = await startServer();
  const pool = makePool({ keepalive_timeout: 20 });
  const { connection, closed } = await connect(server, "idle");
  pool.put(connection, performance.now());
  await closed;
  expect(pool.size).toBe(0);
});

test("a reload takes over connections of peers that stay, and closes the others", async () => {
  const server = await startServer();
  const removed = await startServer();
  const before = makePool();
  const stays = await connect(server, "stays");
  const goes = await connect(removed, "goes");
  before.put(stays.connection, 1);
  before.put(goes.connection, 1);
  const after = makePool();
  const successor = new Peer(server.peer.address, server.peer.settings);
  after.adopt(before, (peer) => (peer === server.peer ? successor : undefined), 2);
  await goes.closed;
  expect(before.size).toBe(0);
  expect(after.take(successor, "")).toBe(stays.connection);
});

test("a closed pool closes what is idle, and what is put into it", async () => {
  const server = await startServer();
  const pool = makePool();
  const idle = await connect(server, "idle");
  const late = await connect(server, "late");
  pool.put(idle.connection, 0);
  pool.close();
  pool.put(late.connection, 0);
  await Promise.all([idle.closed, late.closed]);
  expect(pool.size).toBe(0);
});
