import { describe, expect, it } from "vitest";
import type { HeadRule } from "./head-error.ts";
import { type RequestHead, RequestHeadParser, type ResponseHead, ResponseHeadParser } from "./head-parser.ts";

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Parses one request head that must be whole; what follows it is given back. */
function parseRequest(text: string): { head: RequestHead; rest: string } {
  const parser = new RequestHeadParser();
  const input = bytes(text);
  const used = parser.execute(input, 0, input.length);
  if (parser.head === null) throw new Error(`no head: ${parser.state} ${parser.error?.rule}`);
  return { head: parser.head, rest: text.slice(used) };
}

function requestRule(text: string): HeadRule | null {
  const parser = new RequestHeadParser();
  const input = bytes(text);
  parser.execute(input, 0, input.length);
  return parser.error?.rule ?? null;
}

function parseResponse(text: string, method = "GET"): ResponseHead {
  const parser = new ResponseHeadParser(method);
  const input = bytes(text);
  parser.execute(input, 0, input.length);
  if (parser.head === null) throw new Error(`no head: ${parser.state} ${parser.error?.rule}`);
  return parser.head;
}

describe("RequestHeadParser", () => {
  it("leaves the bytes after the head to the caller", () => {
    const { head, rest } = parseRequest(
      "GET /a?b=c HTTP/1.1\r\nHost: Example.com:8080\r\nX: \t y \r\n\r\nGET /next",
    );
    expect(head).toMatchObject({
      method: "GET",
      target: "/a?b=c",
      form: "origin",
      rawPath: "/a",
      rawQuery: "b=c",
      versionMinor: 1,
      host: "example.com",
      port: 8080,
      framing: { kind: "none" },
      keepAlive: true,
      upgrade: [],
      expectContinue: false,
    });
    expect(head.headers.get("x")).toBe("y");
    expect(rest).toBe("GET /next");
  });

  it("refuses a length beside a transfer coding", () => {
    const text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(requestRule(text)).toBe("length-and-transfer-encoding");
  });
});

describe("ResponseHeadParser", () => {
  it("takes a response without any framing to last until the connection closes", () => {
    const head = parseResponse("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n");
    expect(head).toMatchObject({
      status: 200,
      reason: "OK",
      framing: { kind: "until-close" },
      keepAlive: false,
    });
  });
});
