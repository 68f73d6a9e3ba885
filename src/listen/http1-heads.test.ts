import { describe, expect, test } from "vitest";
import { readResponse } from "../../test/rig/http-message.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { answerText, type Listening, type PlanSettings, startListener } from "../../test/rig/listening.ts";
import type { Request } from "../compile/request.ts";

useRig();

function answerTarget(request: Request): void {
  answerText(request, 200, `${request.head.target} ${request.head.headers.get("x") ?? "-"}`);
}

function start(settings: PlanSettings = {}): Promise<Listening> {
  return startListener(answerTarget, settings);
}

/** The line that the log has since, without time, level and number. */
function lastLine({ log }: Listening): string {
  return (log.lines.at(-1) ?? "").replace(/^\S+ \S+ /, "").replace(/ \d+#\d+: \*\d+ /, " ");
}

describe("a head that comes", () => {
  test("in two pieces is read wherever it is cut", async () => {
    const wire = "\r\nGET /a?b HTTP/1.1\r\nHost: a.test\r\nX: 1\r\n\r\n";
    const { connect } = await start();
    for (let cut = 1; cut < wire.length; cut++) {
      const client = await connect();
      await client.sendPieces([wire.slice(0, cut), wire.slice(cut)]);
      expect((await readResponse(client)).body).toBe("/a?b 1");
      client.reset();
    }
  });

  test("byte by byte is read, and so is the next one on the connection", async () => {
    const { connect } = await start();
    const client = await connect();
    for (const target of ["/1", "/2"]) {
      await client.sendPieces(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect((await readResponse(client)).body).toBe(`${target} -`);
    }
  });

  test("with as much behind it as is held waits for its answer, and so does what comes then", async () => {
    const waiting: Request[] = [];
    const { connect, handler } = await startListener(
      (request) => {
        if (request.head.target === "/first") waiting.push(request);
        else answerTarget(request);
      },
      { location: { keepalive_requests: 10_000 } },
    );
    const client = await connect();
    const rest = Array.from({ length: 2000 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join("");
    const sent = client.send(`GET /first HTTP/1.1\r\nHost: a\r\n\r\n${rest}`);
    while (waiting.length === 0) await new Promise(setImmediate);
    expect(handler.finished.length).toBe(0);
    for (const request of waiting) answerText(request, 200, "first");
    await sent;
    expect((await readResponse(client)).body).toBe("first");
    for (let i = 0; i < 2000; i++) expect((await readResponse(client)).body).toBe(`/${i} -`);
  });
});

describe("a head that is no good", () => {
  const refused: readonly (readonly [why: string, wire: string, status: number, line: string])[] = [
    [
      "a method in lower case",
      "get / HTTP/1.1\r\nHost: a\r\n\r\n",
      400,
      'client sent invalid method while reading client request line, client: 127.0.0.1, server: , request: "get / HTTP/1.1"',
    ],
    [
      "a control byte in the target",
      "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
      400,
      'client sent invalid request target while reading client request line, client: 127.0.0.1, server: , request: "GET /\\x01 HTTP/1.1"',
    ],
    [
      "HTTP/2.0 in the request line",
      "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
      505,
      'client sent invalid version while reading client request line, client: 127.0.0.1, server: , request: "GET / HTTP/2.0"',
    ],
    [
      "no Host",
      "GET / HTTP/1.1\r\n\r\n",
      400,
      'client sent HTTP/1.1 request without "Host" header while reading client request headers, client: 127.0.0.1, server: , request: "GET / HTTP/1.1"',
    ],
    [
      "a body framed twice",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
      400,
      'client sent "Content-Length" and "Transfer-Encoding" headers at the same time while reading client request headers, client: 127.0.0.1, server: , request: "POST / HTTP/1.1", host: "a"',
    ],
    [
      "an unknown transfer coding",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
      501,
      'client sent unknown "Transfer-Encoding" while reading client request headers, client: 127.0.0.1, server: , request: "POST / HTTP/1.1", host: "a"',
    ],
    [
      "a target longer than a large buffer",
      `GET /${"a".repeat(8192)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      414,
      `client sent too long URI while reading client request line, client: 127.0.0.1, server: , request: "GET /${"a".repeat(8192)} HTTP/1.1"`,
    ],
    [
      "a header longer than a large buffer",
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(8192)}\r\n\r\n`,
      494,
      'client sent too long header line while reading client request headers, client: 127.0.0.1, server: , request: "GET / HTTP/1.1", host: "a"',
    ],
  ];

  test.each(refused)("%s: is answered, logged, and ends the connection", async (_why, wire, status, line) => {
    const listening = await start();
    const client = await listening.connect();
    await client.send(wire);
    const response = await readResponse(client);
    expect(response.body).toBe(`status ${status}`);
    expect(response.header("connection")).toBe("close");
    expect(await client.toEnd()).toBe("");
    expect(lastLine(listening)).toBe(`[info] ${line}`);
    expect(listening.handler.finished.map((request) => request.response.status)).toEqual([status]);
  });

  test("keeps what follows it from being taken for a request", async () => {
    const { connect, handler } = await start();
    const client = await connect();
    await client.send("GET / HTTP/1.1\r\nHost : a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.toEnd();
    expect(handler.finished.length).toBe(1);
  });

  test("is found to be so wherever it is cut, with the same line in the log", async () => {
    const wire = "GET /x HTTP/1.1\r\nHost: a\r\nX y: 1\r\n\r\n";
    const listening = await start();
    for (let cut = 1; cut < wire.length; cut++) {
      const client = await listening.connect();
      await client.sendPieces([wire.slice(0, cut), wire.slice(cut)]);
      expect((await readResponse(client)).body).toBe("status 400");
      expect(lastLine(listening)).toContain('server: , request: "GET /x HTTP/1.1"');
      client.reset();
    }
  });

  test("is bounded by the settings of the default server, and those of the next plan after a reload", async () => {
    const { connect, listener } = await start({
      server: { client_header_buffer_size: 64, large_client_header_buffers: { count: 1, size: 100 } },
    });
    const wire = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(150)}\r\n\r\n`;
    const client = await connect();
    await client.send("GET /before HTTP/1.1\r\nHost: a\r\n\r\n");
    await readResponse(client);
    const strict = await connect();
    await strict.send(wire);
    expect((await readResponse(strict)).body).toBe("status 494");
    const { defaultServer } = listener.plan;
    listener.plan = {
      ...listener.plan,
      defaultServer: { ...defaultServer, core: { ...defaultServer.core, client_header_buffer_size: 1024 } },
    };
    await client.send(wire);
    expect((await readResponse(client)).body).toBe(`/ ${"x".repeat(150)}`);
  });
});

describe("a head that does not come", () => {
  test("within client_header_timeout of the accept is given up without a request", async () => {
    const listening = await start({ server: { client_header_timeout: 40 } });
    const client = await listening.connect();
    expect(await client.toEnd()).toBe("");
    expect(lastLine(listening)).toBe(
      "[info] client timed out (110: Connection timed out) while waiting for request, client: 127.0.0.1, server: 127.0.0.1:0",
    );
    expect(listening.handler.finished).toEqual([]);
  });

  test.each([
    ["GET / HTT", "line"],
    ["GET / HTTP/1.1", "headers"],
    ["GET / HTTP/1.1\r\nHos", "headers"],
  ])("whole: %j is 408 in the log, and nothing is answered", async (wire, part) => {
    const listening = await start({ server: { client_header_timeout: 40 } });
    const client = await listening.connect();
    await client.send(wire);
    expect(await client.toEnd()).toBe("");
    await listening.handler.untilFinished(1);
    expect(listening.handler.finished[0]?.response.status).toBe(408);
    expect(listening.handler.finished[0]?.head.target).toBe(wire.split("\r\n")[0]);
    expect(lastLine(listening)).toContain(
      `client timed out (110: Connection timed out) while reading client request ${part}, client: 127.0.0.1`,
    );
  });

  test("fast enough is given up although bytes keep coming", async () => {
    const { connect, handler } = await start({ server: { client_header_timeout: 60 } });
    const client = await connect();
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    while (client.inbox.ending === undefined) {
      await client.send("X: y\r\n");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(handler.finished[0]?.response.status).toBe(408);
  });

  test("after FIN or RST is 400 in the log", async () => {
    const listening = await start();
    const ended = await listening.connect();
    await ended.send("GET / HTTP/1.1\r\nHo");
    ended.end();
    expect(await ended.toEnd()).toBe("");
    expect(lastLine(listening)).toContain(
      'client prematurely closed connection while reading client request headers, client: 127.0.0.1, server: , request: "GET / HTTP/1.1"',
    );
    const torn = await listening.connect();
    await torn.send("GET / HTTP/1.1\r\nHo");
    while (listening.counts.reading === 0) await new Promise(setImmediate);
    torn.reset();
    await listening.handler.untilFinished(2);
    expect(lastLine(listening)).toContain(
      "recv() failed (104: Connection reset by peer) while reading client request",
    );
    expect(listening.handler.finished.map(({ response }) => response.status)).toEqual([400, 400]);
    expect(listening.counts.reading).toBe(0);
  });
});

describe("an idle connection", () => {
  test("ends in silence when keepalive_timeout is over, and with a line when the client leaves", async () => {
    const listening = await start({ location: { keepalive_timeout: { timeout: 40, header: 40 } } });
    const waiting = await listening.connect();
    await waiting.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await readResponse(waiting);
    expect(response.header("keep-alive")).toBe("timeout=40");
    expect(await waiting.toEnd()).toBe("");
    expect(listening.log.lines).toEqual([]);

    const leaving = await listening.connect();
    await leaving.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await readResponse(leaving);
    leaving.end();
    await leaving.toEnd();
    expect(lastLine(listening)).toBe("[info] client 127.0.0.1 closed keepalive connection");
  });

  test("answers every request that was sent before a FIN", async () => {
    const { connect } = await start();
    const client = await connect();
    await client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end();
    expect((await readResponse(client)).body).toBe("/1 -");
    expect((await readResponse(client)).body).toBe("/2 -");
    expect(await client.toEnd()).toBe("");
  });
});
