import { spawnSync } from "node:child_process";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readResponse } from "../../test/rig/http-message.ts";
import { obtain, useRig } from "../../test/rig/ledger.ts";
import {
  answerText,
  makeListenerPlan,
  makeServerPlan,
  type PlanSettings,
  StandIn,
  startListener,
} from "../../test/rig/listening.ts";
import { temporaryFolder } from "../../test/rig/proxy-process.ts";
import { connectRaw } from "../../test/rig/raw-peer.ts";
import type { ListenerPlan } from "../compile/plan.ts";
import type { Request } from "../compile/request.ts";
import { ConnectionCounts, waitingConnections } from "../observe/connections.ts";
import type { BindError } from "./bind-error.ts";
import { Listener } from "./listener.ts";

useRig();

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

function answerServer(request: Request): void {
  answerText(request, 200, request.server.name);
}

async function open(plan: Partial<ListenerPlan>): Promise<Listener | BindError> {
  const listener = await Listener.open(makeListenerPlan({ listener: plan }), {
    handler: new StandIn(answerServer),
    counts: new ConnectionCounts(),
    connectionsMax: () => 10,
  });
  if (listener instanceof Listener) {
    obtain("a listener", async () => {
      listener.closeNow();
      await listener.close();
    });
  }
  return listener;
}

describe("an address", () => {
  test("that is taken is an error in nginx's words", async () => {
    const { listener } = await startListener(answerServer);
    expect(await open({ address: listener.address })).toEqual({
      message: `bind() to ${listener.addressText} failed (98: Address already in use)`,
      code: "EADDRINUSE",
      address: listener.address,
    });
  });

  test("that this machine has not is one, too", async () => {
    expect(await open({ address: { kind: "inet", host: "192.0.2.1", port: 8080 } })).toMatchObject({
      message: "bind() to 192.0.2.1:8080 failed (99: Cannot assign requested address)",
    });
  });

  test("of IPv6 is written in brackets", async () => {
    const listener = await open({ address: { kind: "inet", host: "::1", port: 0 } });
    expect(listener instanceof Listener && listener.addressText).toMatch(/^\[::1\]:\d+$/);
  });
});

describe("a Unix socket", () => {
  const unix = (path: string): Partial<ListenerPlan> => ({
    address: { kind: "unix", path },
    key: `unix:${path}`,
  });

  test("serves everybody, and its file goes with it", async () => {
    const path = join(temporaryFolder(), "s");
    const listener = await open(unix(path));
    const client = await connectRaw({ path });
    await client.send(GET);
    expect((await readResponse(client)).status).toBe(200);
    // As nginx sets it. Older versions of Node let everybody execute it as well, which means nothing for a socket.
    expect(statSync(path).mode & 0o666).toBe(0o666);
    await client.close();
    if (listener instanceof Listener) await listener.close();
    expect(existsSync(path)).toBe(false);
  });

  test("left behind by a process that died is replaced", async () => {
    const path = join(temporaryFolder(), "s");
    spawnSync(process.execPath, [
      "-e",
      `net.createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`,
    ]);
    expect(statSync(path).isSocket()).toBe(true);
    expect(await open(unix(path))).toBeInstanceOf(Listener);
  });

  test("that somebody listens on, or a file that is no socket, is left alone", async () => {
    const folder = temporaryFolder();
    const path = join(folder, "s");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    obtain("a server", () => {
      server.close();
    });
    const message = `bind() to unix:${path} failed (98: Address already in use)`;
    expect(await open(unix(path))).toMatchObject({ message });
    expect(statSync(path).isSocket()).toBe(true);
    writeFileSync(join(folder, "file"), "text");
    expect(await open(unix(join(folder, "file")))).toMatchObject({ code: "EADDRINUSE" });
    expect(existsSync(join(folder, "file"))).toBe(true);
  });
});

describe("counts", () => {
  test("say what connections are doing", async () => {
    const waiting: Request[] = [];
    const { connect, counts } = await startListener((request) => void waiting.push(request));
    const state = (): number[] => [counts.active, counts.reading, counts.writing, waitingConnections(counts)];
    const until = async (expected: readonly number[]): Promise<void> => {
      while (state().join() !== expected.join()) await new Promise(setImmediate);
    };
    const client = await connect();
    await until([1, 0, 0, 1]);
    await client.send("GET / HT");
    await until([1, 1, 0, 0]);
    await client.send("TP/1.1\r\nHost: a\r\n\r\n");
    await until([1, 0, 1, 0]);
    for (const request of waiting) answerText(request, 200, "");
    await readResponse(client);
    await until([1, 0, 0, 1]);
    client.end();
    await client.toEnd();
    await until([0, 0, 0, 0]);
    expect([counts.accepted, counts.handled, counts.requests]).toEqual([1, 1, 1]);
  });
});

describe("worker_connections", () => {
  test("turns a connection away when all others are busy, and closes an idle one for it otherwise", async () => {
    const { connect, counts, log } = await startListener(
      (request) => {
        if (request.head.target === "/") answerServer(request);
      },
      {},
      { connectionsMax: () => 2 },
    );
    const first = await connect();
    const second = await connect();
    await first.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    await second.send(GET);
    await readResponse(second);
    const third = await connect();
    await third.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await second.toEnd()).toBe("");
    while (counts.writing < 2) await new Promise(setImmediate);
    const fourth = await connect();
    expect(await fourth.toEnd()).toBe("");
    expect([counts.accepted, counts.handled]).toEqual([4, 3]);
    expect(log.lines.map((line) => line.replace(/^.*#\d+: /, ""))).toEqual([
      "2 worker_connections are not enough, reusing connections",
      "2 worker_connections are not enough",
    ]);
  });
});

describe("a reload", () => {
  test("is in force for the next request of a connection, while one under way keeps the plan it began with", async () => {
    const waiting: Request[] = [];
    const named = (name: string): PlanSettings => ({ serverPlan: { name } });
    const { connect, listener } = await startListener((request) => void waiting.push(request), named("old"));
    const client = await connect();
    await client.send(GET + GET);
    while (waiting.length < 1) await new Promise(setImmediate);
    listener.plan = { ...listener.plan, defaultServer: makeServerPlan(named("new")) };
    for (let answered = 0; answered < 2; answered++) {
      while (waiting.length <= answered) await new Promise(setImmediate);
      const request = waiting[answered];
      if (request !== undefined) answerText(request, 200, request.listener.defaultServer.name);
    }
    expect((await readResponse(client)).body).toBe("old");
    expect((await readResponse(client)).body).toBe("new");
  });
});

describe("closing", () => {
  test("closes idle connections at once and busy ones after their answer, which says so", async () => {
    const waiting: Request[] = [];
    const { connect, counts, listener } = await startListener((request) => {
      if (request.head.target === "/busy") waiting.push(request);
      else answerServer(request);
    });
    const silent = await connect();
    const idle = await connect();
    await idle.send(GET);
    await readResponse(idle);
    const busy = await connect();
    await busy.send("GET /busy HTTP/1.1\r\nHost: a\r\n\r\n");
    while (waiting.length === 0) await new Promise(setImmediate);

    const closed = listener.close();
    expect(await silent.toEnd()).toBe("");
    expect(await idle.toEnd()).toBe("");
    await expect(connect()).rejects.toThrow("ECONNREFUSED");
    for (const request of waiting) answerText(request, 200, "last");
    const response = await readResponse(busy);
    expect(response.body).toBe("last");
    expect(response.header("connection")).toBe("close");
    await closed;
    expect(counts.active).toBe(0);
  });

  test("now closes everything, whatever is under way", async () => {
    const gone: string[] = [];
    const { connect, counts, handler, listener } = await startListener((request) => {
      request.onClientGone = () => gone.push(request.head.target);
    });
    const client = await connect();
    await client.send(GET);
    while (counts.writing === 0) await new Promise(setImmediate);
    listener.closeNow();
    await client.toEnd();
    await handler.untilFinished(1);
    expect(gone).toEqual(["/"]);
  });
});

describe("proxy_protocol", () => {
  const settings: PlanSettings = { listener: { proxy_protocol: true } };

  test("tells the addresses, wherever the header is cut, and leaves the connection's own as they are", async () => {
    const { connect } = await startListener((request) => {
      const { proxyProtocol, remoteAddress } = request.connection;
      answerText(
        request,
        200,
        `${proxyProtocol?.sourceAddress}:${proxyProtocol?.sourcePort} ${remoteAddress}`,
      );
    }, settings);
    const wire = `PROXY TCP4 10.0.0.1 10.0.0.2 4711 443\r\n${GET}`;
    for (let cut = 1; cut < wire.length; cut++) {
      const client = await connect();
      await client.sendPieces([wire.slice(0, cut), wire.slice(cut)]);
      expect((await readResponse(client)).body).toBe("10.0.0.1:4711 127.0.0.1");
      client.reset();
    }
  });

  test("that is missing or broken ends the connection, with a line", async () => {
    const { connect, log } = await startListener(answerServer, settings);
    const client = await connect();
    await client.send(GET);
    expect(await client.toEnd()).toBe("");
    expect(log.lines[0]).toMatch(
      /\[error\] .*\*\d+ broken header: no PROXY protocol header while reading PROXY protocol, client: 127\.0\.0\.1, server: 127\.0\.0\.1:0$/,
    );
  });

  test("that does not come is given up after client_header_timeout", async () => {
    const { connect, log } = await startListener(answerServer, {
      ...settings,
      server: { client_header_timeout: 40 },
    });
    const client = await connect();
    await client.send("PROX");
    expect(await client.toEnd()).toBe("");
    expect(log.lines[0]).toContain(
      "client timed out (110: Connection timed out) while reading PROXY protocol",
    );
  });
});
