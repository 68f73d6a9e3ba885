import { describe, expect, test } from "vitest";
import { readResponse } from "../../test/rig/http-message.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { answerText, startListener } from "../../test/rig/listening.ts";
import type { Request } from "../compile/request.ts";

useRig();

/** Answers with method, target and body, once the body is complete. */
function echo(request: Request): void {
  let body = "";
  request.downstream.readBody({
    onBodyBytes(chunk, start, end) {
      body += chunk.toString("latin1", start, end);
    },
    onBodyEnd() {
      answerText(request, 200, `${request.method} ${request.head.target} ${body}`);
    },
    onBodyError() {},
  });
}

describe("keep-alive", () => {
  test("carries one request after the other on one connection", async () => {
    const { connect, handler } = await startListener(echo);
    const client = await connect();
    for (const target of ["/1", "/2", "/3"]) {
      await client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const response = await readResponse(client);
      expect(response.body).toBe(`GET ${target} `);
      expect(response.header("connection")).toBe("keep-alive");
    }
    expect(handler.finished.map((request) => request.connection.requests)).toEqual([3, 3, 3]);
  });

  test("answers pipelined requests in order, however they are cut", async () => {
    const { connect } = await startListener(echo);
    const wire =
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
      "POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n" +
      "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    for (let cut = 1; cut < wire.length; cut++) {
      const client = await connect();
      await client.sendPieces([wire.slice(0, cut), wire.slice(cut)]);
      expect((await readResponse(client)).body).toBe("POST /1 abc");
      expect((await readResponse(client)).body).toBe("POST /2 def");
      expect((await readResponse(client)).body).toBe("GET /3 ");
      client.reset();
    }
  });
});
