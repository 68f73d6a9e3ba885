import { describe, expect, test } from "vitest";
import { readResponse } from "../../test/rig/http-message.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { answerText, type PlanSettings, startListener } from "../../test/rig/listening.ts";
import { assert } from "../base/assert.ts";
import { VERSION } from "../base/version.ts";
import type { Request } from "../compile/request.ts";
import { HeaderList } from "../http/header-list.ts";
import { ClientConnection } from "./client-connection.ts";

useRig();

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/** Answers in pieces, each written in a turn of its own. */
async function answerInPieces(
  request: Request,
  pieces: readonly string[],
  trailers: HeaderList | null = null,
): Promise<void> {
  request.response.status = 200;
  request.response.bodyLength = "unknown";
  request.sendHead();
  for (const piece of pieces) {
    await new Promise(setImmediate);
    request.downstream.write(Buffer.from(piece, "latin1"), 0, piece.length);
  }
  request.downstream.end(trailers);
}

function headersOf(fields: Readonly<Record<string, string>>): HeaderList {
  const headers = new HeaderList();
  for (const [name, value] of Object.entries(fields)) headers.append(name, value);
  return headers;
}

describe("the head of an answer", () => {
  test("has nginx's order, whatever the order of the list", async () => {
    const { connect } = await startListener(
      (request) => {
        request.response.headers = headersOf({
          "x-first": "1",
          Location: "/l",
          ETag: '"e"',
          "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
          "content-type": "text/plain",
          "Set-Cookie": "a=b",
        });
        answerText(request, 201, "x");
      },
      { location: { keepalive_timeout: { timeout: 75_000, header: 60 } } },
    );
    const client = await connect();
    await client.send(GET);
    const { head } = await readResponse(client);
    expect(head.replace(/Date: [^\r]+ GMT/, "Date: …").split("\r\n")).toEqual([
      "HTTP/1.1 201 Created",
      `Server: wsgate/${VERSION}`,
      "Date: …",
      "Content-Type: text/plain",
      "Content-Length: 1",
      "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT",
      "Location: /l",
      "Connection: keep-alive",
      "Keep-Alive: timeout=60",
      "x-first: 1",
      'ETag: "e"',
      "Set-Cookie: a=b",
      "",
      "",
    ]);
  });

  test("says how the body is framed in its own words, not in those of the list", async () => {
    const { connect } = await startListener((request) => {
      request.response.headers = headersOf({
        "Content-Length": "999",
        "Transfer-Encoding": "gzip",
        Connection: "close",
        "Keep-Alive": "timeout=1",
      });
      answerText(request, 200, "abc");
    });
    const client = await connect();
    await client.send(GET);
    const response = await readResponse(client);
    expect(response.body).toBe("abc");
    expect(response.header("transfer-encoding")).toBeUndefined();
    expect(response.header("connection")).toBe("keep-alive");
  });

  test("lets a Server and a Date of the list stand in the place of ours", async () => {
    const { connect } = await startListener((request) => {
      request.response.headers = headersOf({ Date: "yesterday", Server: "theirs" });
      answerText(request, 200, "");
    });
    const client = await connect();
    await client.send(GET);
    const response = await readResponse(client);
    expect(response.header("server")).toBe("theirs");
    expect(response.header("date")).toBe("yesterday");
  });

  test("keeps the version to itself with server_tokens off, and passes a reason on", async () => {
    const { connect } = await startListener(
      (request) => {
        request.response.reason = "Fine";
        answerText(request, 200, "");
      },
      { location: { server_tokens: "off" } },
    );
    const client = await connect();
    await client.send(GET);
    const response = await readResponse(client);
    expect(response.header("server")).toBe("wsgate");
    expect(response.reason).toBe("Fine");
  });

  test("leaves in one piece with the first bytes of the body, and with the end of a short one", async () => {
    const { connect } = await startListener((request) => {
      request.response.status = 200;
      request.response.bodyLength = "unknown";
      request.sendHead();
      request.downstream.write(Buffer.from("abc"), 0, 3);
      request.downstream.end(null);
    });
    const client = await connect();
    const chunks: number[] = [];
    client.socket.on("data", (chunk: Buffer) => chunks.push(chunk.length));
    await client.send(GET);
    const response = await readResponse(client);
    expect(response.body).toBe("abc");
    expect(chunks.length).toBe(1);
  });
});

describe("the body of an answer", () => {
  test("of unknown length is chunked, with its trailers", async () => {
    const { connect, handler } = await startListener(
      (request) => void answerInPieces(request, ["ab", "", "c"], headersOf({ "X-Sum": "1" })),
    );
    const client = await connect();
    await client.send(GET);
    await client.until("\r\n\r\n");
    await client.exactly("2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n");
    await handler.untilFinished(1);
    const { response } = handler.finished[0] ?? {};
    expect(response?.bodyBytesSent).toBe("2\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n".length);
    expect(response?.bytesSent).toBe(client.inbox.received.length);
  });

  test.each([
    ["HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true],
    ["chunked_transfer_encoding off", GET, false],
  ])(
    "of unknown length ends with the connection where chunks may not be: %s",
    async (_why, wire, chunked) => {
      const { connect } = await startListener((request) => void answerInPieces(request, ["ab", "c"]), {
        location: { chunked_transfer_encoding: chunked },
      });
      const client = await connect();
      await client.send(wire);
      const head = await client.until("\r\n\r\n");
      expect(head).toContain("Connection: close\r\n");
      expect(head).not.toContain("Transfer-Encoding");
      expect(await client.toEnd()).toBe("abc");
    },
  );

  test("is not sent to HEAD, nor with 204 and 304, and the connection goes on", async () => {
    const { connect, handler } = await startListener((request) => {
      const status = Number(request.head.target.slice(1));
      if (status === 200) answerText(request, 200, "abc");
      else {
        request.response.status = status;
        // As an upstream may say it.
        request.response.bodyLength = status === 204 ? 0 : "none";
        request.sendHead();
        request.downstream.end(null);
      }
    });
    const client = await connect();
    for (const [method, status] of [
      ["HEAD", 200],
      ["GET", 204],
      ["GET", 304],
    ] as const) {
      await client.send(`${method} /${status} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const response = await readResponse(client, method);
      expect(response.status).toBe(status);
      expect(response.header("content-length")).toBe(method === "HEAD" ? "3" : undefined);
      expect(response.header("connection")).toBe("keep-alive");
    }
    expect(handler.finished.map(({ response }) => response.bodyBytesSent)).toEqual([0, 0, 0]);
  });

  test("in small pieces is not gathered without end while a turn lasts", async () => {
    const piece = Buffer.alloc(1000, "p");
    let written = 0;
    const { connect } = await startListener((request) => {
      request.response.status = 200;
      request.response.bodyLength = 100_000_000;
      request.sendHead();
      while (request.downstream.write(piece, 0, piece.length)) written += piece.length;
    });
    const client = await connect();
    await client.send(GET);
    await client.until("pppp");
    expect(written).toBeLessThan(50_000_000);
  });

  test("waits for a client that takes it slowly, and so does the next request", async () => {
    const block = Buffer.alloc(64 * 1024, "x");
    const total = 200;
    let stops = 0;
    const { connect, handler } = await startListener((request) => {
      let left = total;
      const go = (): void => {
        for (; left > 0; left--) {
          if (request.downstream.write(block, 0, block.length)) continue;
          left--;
          stops++;
          return;
        }
        request.downstream.end(null);
      };
      request.response.status = 200;
      request.response.bodyLength = total * block.length;
      request.onWritable = go;
      request.sendHead();
      go();
    });
    const client = await connect();
    client.socket.pause();
    await client.send(GET + GET);
    for (let i = 0; i < 30; i++) await new Promise(setImmediate);
    expect(handler.finished.length).toBe(0);
    client.socket.resume();
    expect((await readResponse(client)).body.length).toBe(total * block.length);
    expect((await readResponse(client)).body.length).toBe(total * block.length);
    expect(stops).toBeGreaterThan(1);
  });

  test("that a client does not take at all is given up after send_timeout", async () => {
    const { connect, handler, log } = await startListener(
      (request) => {
        request.response.status = 200;
        request.response.bodyLength = 100_000_000;
        request.sendHead();
        request.downstream.write(Buffer.alloc(50_000_000), 0, 50_000_000);
      },
      { location: { send_timeout: 50 } },
    );
    const client = await connect();
    client.socket.pause();
    await client.send(GET);
    await handler.untilFinished(1);
    expect(log.lines[0]).toContain("client timed out (110: Connection timed out), client: 127.0.0.1");
    expect(handler.finished[0]?.response.status).toBe(200);
  });
});

describe("an answer that breaks off", () => {
  test.each(["length", "chunked"])(
    "with %s framing leaves the client in no doubt about it",
    async (framing) => {
      const { connect, handler } = await startListener((request) => {
        request.response.status = 200;
        request.response.bodyLength = framing === "length" ? 10 : "unknown";
        request.sendHead();
        request.downstream.write(Buffer.from("abc"), 0, 3);
        request.downstream.abort();
      });
      const client = await connect();
      await client.send(GET);
      await client.until("\r\n\r\n");
      expect(await client.toEnd()).toBe(framing === "length" ? "abc" : "3\r\nabc\r\n");
      expect(handler.finished.length).toBe(1);
    },
  );

  test("ends with RST where only the connection's end would end it", async () => {
    const begun: Request[] = [];
    const { connect } = await startListener((request) => {
      request.response.status = 200;
      request.response.bodyLength = "unknown";
      request.sendHead();
      request.downstream.write(Buffer.from("abc"), 0, 3);
      begun.push(request);
    });
    const client = await connect();
    await client.send("GET / HTTP/1.0\r\n\r\n");
    await client.until("abc");
    for (const request of begun) request.downstream.abort();
    await client.toEnd();
    expect(client.inbox.ending).toBe("ECONNRESET");
  });

  test("before its head ends the connection without a word (444)", async () => {
    const { connect, handler } = await startListener((request) => {
      request.response.status = 444;
      request.downstream.abort();
    });
    const client = await connect();
    await client.send(GET);
    expect(await client.toEnd()).toBe("");
    expect(handler.finished[0]?.response.status).toBe(444);
  });

  test("because it is shorter than it said ends the connection", async () => {
    const { connect } = await startListener((request) => {
      request.response.status = 200;
      request.response.bodyLength = 10;
      request.sendHead();
      request.downstream.write(Buffer.from("abc"), 0, 3);
      request.downstream.end(null);
    });
    const client = await connect();
    await client.send(GET + GET);
    await client.until("\r\n\r\n");
    expect(await client.toEnd()).toBe("abc");
  });
});

describe("a client that leaves", () => {
  test.each(["FIN", "RST"])(
    "by %s while its answer is made is 499, and whoever makes it is told",
    async (how) => {
      const gone: string[] = [];
      const { connect, counts, handler } = await startListener((request) => {
        request.onClientGone = () => gone.push(request.head.target);
        request.finMeansGone = true;
      });
      const client = await connect();
      await client.send(GET);
      while (counts.writing === 0) await new Promise(setImmediate);
      if (how === "FIN") client.end();
      else client.reset();
      await handler.untilFinished(1);
      expect(gone).toEqual(["/"]);
      expect(handler.finished[0]?.response.status).toBe(499);
      expect(counts.writing).toBe(0);
    },
  );

  test("with pipelined requests behind the one in hand has left nevertheless", async () => {
    const { connect, handler } = await startListener((request) => {
      request.onClientGone = () => {};
      request.finMeansGone = true;
    });
    const client = await connect();
    await client.send(GET + GET);
    client.end();
    await handler.untilFinished(1);
    expect(await client.toEnd()).toBe("");
    expect(handler.finished.length).toBe(1);
  });

  test("by FIN gets its answer where that does not mean that it has gone", async () => {
    const waiting: Request[] = [];
    const { connect } = await startListener((request) => {
      request.onClientGone = () => waiting.pop();
      waiting.push(request);
    });
    const client = await connect();
    await client.send(GET);
    client.end();
    while (waiting.length === 0) await new Promise(setImmediate);
    await new Promise(setImmediate);
    for (const request of waiting) answerText(request, 200, "still");
    expect((await readResponse(client)).body).toBe("still");
    expect(await client.toEnd()).toBe("");
  });

  test("after the head was sent keeps the status it was sent", async () => {
    const { connect, handler } = await startListener((request) => {
      request.response.status = 200;
      request.response.bodyLength = 10;
      request.sendHead();
    });
    const client = await connect();
    await client.send(GET);
    await client.until("\r\n\r\n");
    client.reset();
    await handler.untilFinished(1);
    expect(handler.finished[0]?.response.status).toBe(200);
  });

  test("leaves whoever goes on answering without any effect", async () => {
    const waiting: Request[] = [];
    const { connect, handler } = await startListener((request) => void waiting.push(request));
    const client = await connect();
    await client.send(GET);
    while (waiting.length === 0) await new Promise(setImmediate);
    client.reset();
    await handler.untilFinished(1);
    for (const request of waiting) {
      answerText(request, 200, "too late");
      request.downstream.abort();
      request.downstream.sendInterim(103, new HeaderList());
    }
    expect(handler.finished.length).toBe(1);
    expect(handler.finished[0]?.response.bytesSent).toBe(0);
  });
});

describe("keep-alive", () => {
  const asking10 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const closing11 = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

  test.each([
    ["HTTP/1.1", GET],
    ["HTTP/1.0 that asks for it", asking10],
  ])("%s: the connection carries another request", async (_why, wire) => {
    const { connect } = await startListener((request) => answerText(request, 200, "ok"));
    const client = await connect();
    for (let i = 0; i < 2; i++) {
      await client.send(wire);
      expect((await readResponse(client)).header("connection")).toBe("keep-alive");
    }
  });

  test.each<[string, string, PlanSettings["location"]]>([
    ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", {}],
    ["Connection: close", closing11, {}],
    ["keepalive_timeout 0", GET, { keepalive_timeout: { timeout: 0, header: null } }],
    ["keepalive_requests 1", GET, { keepalive_requests: 1 }],
    ["keepalive_time over", GET, { keepalive_time: 0 }],
  ])("%s: the connection ends with the answer", async (_why, wire, location = {}) => {
    const { connect } = await startListener((request) => answerText(request, 200, "ok"), { location });
    const client = await connect();
    await client.send(wire);
    expect((await readResponse(client)).header("connection")).toBe("close");
    expect(await client.toEnd()).toBe("");
  });
});

describe("interim answers", () => {
  test("come before the final one, and not at all in HTTP/1.0", async () => {
    const { connect } = await startListener((request) => {
      request.downstream.sendInterim(103, headersOf({ Link: "</s>; rel=preload" }));
      answerText(request, 200, "ok");
      request.downstream.sendInterim(103, headersOf({ Link: "late" }));
    });
    const client = await connect();
    await client.send(GET);
    const response = await readResponse(client);
    expect(response.interim.map(({ head }) => head)).toEqual([
      "HTTP/1.1 103 Early Hints\r\nLink: </s>; rel=preload\r\n\r\n",
    ]);
    await client.send("GET / HTTP/1.0\r\n\r\n");
    expect((await readResponse(client)).interim).toEqual([]);
    expect(await client.toEnd()).toBe("");
  });
});

describe("an upgrade", () => {
  const upgrade = "GET /up HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";

  /** Answers /up with 101 and then echoes; other targets with 200. */
  function switchOrAnswer(request: Request): void {
    if (request.head.target !== "/up") return answerText(request, 200, request.head.target);
    request.response.status = 101;
    request.response.headers = headersOf({ Upgrade: "x" });
    setImmediate(() => {
      const { transport, early } = request.upgrade();
      transport.listener = {
        onBytes: (chunk, start, end) => void transport.write(chunk, start, end),
        onEnd: () => transport.end(),
        onDrain() {},
        onClose: () => request.finish(),
      };
      transport.write(early, 0, early.length);
      transport.resume();
    });
  }

  test("hands the connection over with what came early, and counts it until it is closed", async () => {
    const { connect, counts, handler } = await startListener(switchOrAnswer);
    const client = await connect();
    await client.send(`${upgrade}early`);
    const head = await client.until("\r\n\r\n");
    expect(head).toMatch(
      /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*Connection: upgrade\r\nUpgrade: x\r\n\r\n$/,
    );
    await client.exactly("early");
    await client.send("more");
    await client.exactly("more");
    expect([counts.active, counts.writing]).toEqual([1, 1]);
    client.end();
    await client.toEnd();
    await handler.untilFinished(1);
    expect([counts.active, counts.writing]).toEqual([0, 0]);
  });

  test("refused, or answered with anything else, leaves an ordinary connection, and early bytes are requests", async () => {
    const { connect } = await startListener((request) =>
      setImmediate(() => answerText(request, 200, request.head.target)),
    );
    const client = await connect();
    await client.send(`${upgrade}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect((await readResponse(client)).body).toBe("/up");
    expect((await readResponse(client)).body).toBe("/next");
    await client.send("\x81\x05hello\r\n");
    expect((await readResponse(client)).body).toBe("status 400");
  });

  test("holds back no more early bytes than a bound until it is decided", async () => {
    const held: Request[] = [];
    const { connect } = await startListener((request) => void held.push(request));
    const client = await connect();
    const early = "e".repeat(20_000_000);
    const sent = client.send(upgrade + early).then(() => "all");
    for (let i = 0; i < 200; i++) await new Promise(setImmediate);
    expect(await Promise.race([sent, Promise.resolve("not all")])).toBe("not all");
    for (const request of held) {
      assert(request.connection instanceof ClientConnection, "it came over HTTP/1.1");
      expect(request.connection.transport.bytesRead).toBeLessThan(200_000);
      switchOrAnswer(request);
    }
    await client.until("\r\n\r\n");
    expect((await client.bytes(early.length)) === early).toBe(true);
  });
});
