import { describe, expect, test } from "vitest";
import { readResponse } from "../../test/rig/http-message.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { answerText, startListener } from "../../test/rig/listening.ts";
import type { BodyFailure, BodySink, Request } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";

useRig();

/** Collects a body; `done` resolves at its end, whichever. */
class Collector implements BodySink {
  text = "";
  trailers: HeaderList | null = null;
  failure: BodyFailure | null = null;
  readonly done: Promise<void>;
  #settle: () => void = () => {};

  constructor() {
    this.done = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  onBodyBytes(chunk: Buffer, start: number, end: number): void {
    this.text += chunk.toString("latin1", start, end);
  }

  onBodyEnd(trailers: HeaderList | null): void {
    this.trailers = trailers;
    this.#settle();
  }

  onBodyError(failure: BodyFailure): void {
    this.failure = failure;
    this.#settle();
  }
}

function collect(request: Request): Collector {
  const collector = new Collector();
  request.downstream.readBody(collector);
  return collector;
}

/** Answers with the target and the body, once that is complete; with its status where it fails. */
async function echo(request: Request): Promise<void> {
  const body = collect(request);
  await body.done;
  if (body.failure === null) answerText(request, 200, `${request.head.target} ${body.text}`);
  else if (!request.isFinished) {
    request.response.closeAfter = true;
    answerText(request, body.failure.status, `failed ${body.failure.status}`);
  }
}

function post(target: string, body: string, header = `Content-Length: ${body.length}`): string {
  return `POST ${target} HTTP/1.1\r\nHost: a\r\n${header}\r\n\r\n${body}`;
}

function chunked(target: string, ...chunks: string[]): string {
  const lines = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
  return post(target, `${lines}0\r\n\r\n`, "Transfer-Encoding: chunked");
}

describe("a body", () => {
  test("is framed by its length or in chunks, wherever the wire is cut, and the next request follows it", async () => {
    const { connect } = await startListener((request) => void echo(request));
    const wire = `${post("/1", "abc")}${chunked("/2", "de", "f")}GET /3 HTTP/1.1\r\nHost: a\r\n\r\n`;
    for (let cut = 1; cut < wire.length; cut++) {
      const client = await connect();
      await client.sendPieces([wire.slice(0, cut), wire.slice(cut)]);
      expect((await readResponse(client)).body).toBe("/1 abc");
      expect((await readResponse(client)).body).toBe("/2 def");
      expect((await readResponse(client)).body).toBe("/3 ");
      client.reset();
    }
  });

  test("that is asked for late has been held, and no more of it than a bound", async () => {
    let ask: () => void = () => {};
    const { connect } = await startListener((request) => {
      ask = () => void echo(request);
    });
    const client = await connect();
    const body = "x".repeat(300_000);
    const sent = client.send(post("/late", body));
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    ask();
    await sent;
    expect((await readResponse(client)).body).toBe(`/late ${body}`);
  });

  test("comes with its trailers", async () => {
    const bodies: Collector[] = [];
    const { connect, handler } = await startListener((request) => {
      const body = collect(request);
      bodies.push(body);
      void body.done.then(() => answerText(request, 200, "ok"));
    });
    const client = await connect();
    await client.send(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    await handler.untilFinished(1);
    expect(bodies[0]?.trailers?.get("x-sum")).toBe("1");
  });

  test("that is paused stops coming after what has been read, until it is resumed", async () => {
    const body = new Collector();
    const requests: Request[] = [];
    const { connect } = await startListener((request) => {
      requests.push(request);
      request.downstream.readBody(body);
      request.downstream.pauseBody();
    });
    const client = await connect();
    const sent = client.send(post("/", "y".repeat(200_000)));
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect(body.text.length).toBeLessThanOrEqual(65_536);
    requests[0]?.downstream.resumeBody();
    await sent;
    await body.done;
    expect(body.text.length).toBe(200_000);
  });

  test("counts into the request's length together with its framing", async () => {
    const { connect, handler } = await startListener((request) => void echo(request));
    const client = await connect();
    const wire = chunked("/", "abc", "d");
    await client.send(wire);
    await readResponse(client);
    expect(handler.finished[0]?.bytesReceived).toBe(wire.length);
  });
});

describe("Expect: 100-continue", () => {
  const head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";

  test("is met when the body is asked for, and not if it is there already", async () => {
    const { connect } = await startListener((request) => void echo(request));
    const client = await connect();
    await client.send(head);
    await client.exactly("HTTP/1.1 100 Continue\r\n\r\n");
    await client.send("abc");
    expect((await readResponse(client)).body).toBe("/ abc");
    await client.send(`${head}def`);
    const response = await readResponse(client);
    expect(response.interim).toEqual([]);
    expect(response.body).toBe("/ def");
  });

  test("unmet ends the connection with the answer, since nobody knows whether the body will come", async () => {
    const { connect, handler } = await startListener((request) => answerText(request, 403, "no"));
    const client = await connect();
    await client.send(head);
    const response = await readResponse(client);
    expect(response.header("connection")).toBe("close");
    await client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.toEnd()).toBe("");
    expect(handler.finished.length).toBe(1);
  });
});

describe("a body that fails", () => {
  test("by bad framing is 400, with a line, and nothing after it is read as a request", async () => {
    const { connect, handler, log } = await startListener((request) => void echo(request));
    const client = await connect();
    await client.send(
      post("/", "zz\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", "Transfer-Encoding: chunked"),
    );
    const response = await readResponse(client);
    expect(response.body).toBe("failed 400");
    expect(response.header("connection")).toBe("close");
    expect(await client.toEnd()).toBe("");
    expect(handler.finished.length).toBe(1);
    expect(log.lines[0]).toMatch(
      /\[error\] .*client sent invalid chunked body \(invalid chunk size\), client: 127\.0\.0\.1, server: , request: "POST \/ HTTP\/1\.1", host: "a"$/,
    );
  });

  test("by growing past client_max_body_size is 413, with nginx's line", async () => {
    const { connect, log } = await startListener((request) => void echo(request), {
      location: { client_max_body_size: 5 },
    });
    const client = await connect();
    await client.send(chunked("/", "abc", "def"));
    expect((await readResponse(client)).body).toBe("failed 413");
    expect(log.lines[0]).toContain("client intended to send too large chunked body: 3+3 bytes, client:");
  });

  test("by not coming within client_body_timeout is 408 in the log, and nothing is answered", async () => {
    const { connect, handler } = await startListener((request) => void echo(request), {
      location: { client_body_timeout: 40 },
    });
    const client = await connect();
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    expect(await client.toEnd()).toBe("");
    await handler.untilFinished(1);
    expect(handler.finished[0]?.response.status).toBe(408);
  });

  test("does not fail while bytes keep coming, however slowly in all", async () => {
    const { connect } = await startListener((request) => void echo(request), {
      location: { client_body_timeout: 1_000 },
    });
    const client = await connect();
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for (const byte of "0123456789") {
      await client.send(byte);
      await new Promise((resolve) => setTimeout(resolve, 110));
    }
    expect((await readResponse(client)).body).toBe("/ 0123456789");
  });

  test.each(["FIN", "RST"])("by %s in its middle is 400 in the log, and its reader is told", async (how) => {
    const bodies: Collector[] = [];
    const { connect, handler, log } = await startListener((request) => void bodies.push(collect(request)));
    const client = await connect();
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    while (bodies[0]?.text !== "a") await new Promise(setImmediate);
    if (how === "FIN") client.end();
    else client.reset();
    await bodies[0].done;
    expect(bodies[0].failure?.status).toBe(400);
    expect(handler.finished[0]?.response.status).toBe(400);
    const reason =
      how === "FIN"
        ? "client prematurely closed connection"
        : "recv() failed (104: Connection reset by peer)";
    expect(log.lines[0]).toContain(
      `${reason}, client: 127.0.0.1, server: , request: "POST / HTTP/1.1", host: "a"`,
    );
  });
});

describe("an answer before the end of the body", () => {
  test("keeps the connection: the rest is dropped, and the next request is found behind it", async () => {
    const { connect } = await startListener((request) => answerText(request, 200, request.head.target));
    for (const wire of [post("/1", "abc"), chunked("/1", "abc")]) {
      const end = wire.indexOf("\r\n\r\n") + 4;
      const client = await connect();
      await client.send(wire.slice(0, end));
      expect((await readResponse(client)).body).toBe("/1");
      await client.sendPieces(`${wire.slice(end)}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect((await readResponse(client)).body).toBe("/2");
      await client.close();
    }
  });

  test("takes the body away from whoever was reading it", async () => {
    const bodies: Collector[] = [];
    const { connect } = await startListener((request) => {
      bodies.push(collect(request));
      answerText(request, 200, "early");
    });
    const client = await connect();
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    await readResponse(client);
    await client.send("abcGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await readResponse(client);
    expect(bodies[0]?.text).toBe("");
  });

  test("waits for the rest no longer than lingering_timeout between two reads, and lingering_time in all", async () => {
    const patient = { lingering_timeout: 10_000, lingering_time: 10_000 };
    for (const location of [
      { ...patient, lingering_timeout: 40 },
      { ...patient, lingering_time: 40 },
    ]) {
      const { connect } = await startListener((request) => answerText(request, 200, "ok"), { location });
      const client = await connect();
      await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
      await readResponse(client);
      expect(await client.toEnd()).toBe("");
    }
  });

  test("that ends the connection is not lost to a client that goes on sending", async () => {
    const { connect } = await startListener((request) => {
      request.response.closeAfter = true;
      answerText(request, 413, "too large");
    });
    const client = await connect();
    const body = "x".repeat(1_000_000);
    await client.send(post("/", body));
    const response = await readResponse(client);
    expect(response.body).toBe("too large");
    expect(await client.toEnd()).toBe("");
    expect(client.inbox.ending).toBe("end");
  });
});

describe("lingering_close", () => {
  /** What a client that sends more after the end of the answer gets to see of it. */
  async function endings(lingering_close: "on" | "off" | "always", wire: string): Promise<number> {
    const { connect, counts } = await startListener((request) => answerText(request, 200, "ok"), {
      location: { lingering_close, lingering_timeout: 60_000 },
    });
    const client = await connect();
    await client.send(wire);
    await readResponse(client);
    await client.toEnd();
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    return counts.active;
  }
  const close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const closeWithBody = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";

  test("on: a connection lingers after its answer where more was to come", async () => {
    expect(await endings("on", close)).toBe(0);
    expect(await endings("on", closeWithBody)).toBe(1);
    expect(await endings("on", `${close}GET / HTTP/1.1\r\n`)).toBe(1);
  });

  test("off: it never does; always: it always does", async () => {
    expect(await endings("off", closeWithBody)).toBe(0);
    expect(await endings("always", close)).toBe(1);
  });
});
