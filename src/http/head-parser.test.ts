import { describe, expect, it } from "vitest";
import type { HeadRule } from "./head-error.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./head-limits.ts";
import { type RequestHead, RequestHeadParser, type ResponseHead, ResponseHeadParser } from "./head-parser.ts";
import type { HeaderNameRules } from "./head-scanner.ts";

function bytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** Parses a head that must be whole. */
function parseRequest(text: string, rules?: HeaderNameRules): RequestHead {
  const parser = new RequestHeadParser(DEFAULT_HEAD_LIMITS, rules);
  parser.execute(bytes(text), 0, text.length);
  if (parser.head === null) throw new Error(`no head: ${parser.state} ${parser.error?.rule}`);
  return parser.head;
}

/** The rule that a head breaks, or null. */
function brokenRule(text: string, limits?: HeadLimits, rules?: HeaderNameRules): HeadRule | null {
  const parser = new RequestHeadParser(limits, rules);
  parser.execute(bytes(text), 0, text.length);
  return parser.error?.rule ?? null;
}

/** A head with one header more than it needs. */
function withHeader(line: string, method = "GET"): string {
  return `${method} / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`;
}

function parseResponse(text: string, method = "GET"): ResponseHead {
  const parser = new ResponseHeadParser(method);
  parser.execute(bytes(text), 0, text.length);
  if (parser.head === null) throw new Error(`no head: ${parser.state} ${parser.error?.rule}`);
  return parser.head;
}

describe("a request head", () => {
  it("gives method, target, names and values as they were sent", () => {
    const head = parseRequest(
      "PATCH /a%20b?c=d HTTP/1.1\r\nhost: A\r\nX-Mixed-CASE:  \t x y \t\r\nEmpty:\r\n\r\n",
    );
    expect(head).toMatchObject({ method: "PATCH", target: "/a%20b?c=d", rawPath: "/a%20b", rawQuery: "c=d" });
    expect(head.headers.nameAt(0)).toBe("host");
    expect(head.headers.nameAt(1)).toBe("X-Mixed-CASE");
    expect(head.headers.lowerNameAt(1)).toBe("x-mixed-case");
    expect(head.headers.get("x-mixed-case")).toBe("x y");
    expect(head.headers.get("empty")).toBe("");
  });

  it("leaves what follows it in the buffer, and reads it after a reset", () => {
    const input = bytes("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n");
    const parser = new RequestHeadParser();
    const used = parser.execute(input, 0, input.length);
    expect(parser.head?.target).toBe("/1");
    parser.reset();
    expect(used + parser.execute(input, used, input.length)).toBe(input.length);
    expect(parser.head).toMatchObject({ target: "/2", host: "b" });
  });

  it("counts every byte that it took, empty lines before it among them", () => {
    const text = "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    expect(parseRequest(`${text}body`).headBytes).toBe(text.length);
  });

  it("is idle until its first byte, whatever empty lines came before", () => {
    const parser = new RequestHeadParser();
    expect(parser.idle).toBe(true);
    parser.execute(bytes("\r\n\r\n"), 0, 4);
    expect(parser.idle).toBe(true);
    parser.execute(bytes("G"), 0, 1);
    expect(parser.idle).toBe(false);
    parser.reset();
    expect(parser.idle).toBe(true);
  });

  it("does not depend on the buffer that it was read from", () => {
    const buffer = bytes("GET /first HTTP/1.1\r\nHost: a\r\n");
    const parser = new RequestHeadParser();
    parser.execute(buffer, 0, buffer.length);
    buffer.fill(0);
    parser.execute(bytes("\r\n"), 0, 2);
    expect(parser.head?.target).toBe("/first");
  });

  it("may end its lines with LF alone, and is canonical once it is read", () => {
    const head = parseRequest("\nGET http://A/x?y HTTP/1.1\nhost:\tA  \nB:c\n\n");
    expect(`${head.rawPath}?${head.rawQuery}`).toBe("/x?y");
    expect(head.headers.toLines()).toBe("host: A\r\nB: c\r\n");
  });

  it("keeps bytes beyond ASCII as they are", () => {
    expect(parseRequest(withHeader("X: \xe4\xff")).headers.get("x")).toBe("\xe4\xff");
  });

  it("reads HTTP/1.0 without a Host, and later 1.x as 1.1", () => {
    expect(parseRequest("GET / HTTP/1.0\r\n\r\n")).toMatchObject({ versionMinor: 0, host: null, port: null });
    expect(parseRequest("GET / HTTP/1.7\r\nHost: a\r\n\r\n").versionMinor).toBe(1);
  });
});

describe("the form of a request target", () => {
  it("absolute: the authority's host outweighs the Host field", () => {
    const head = parseRequest("GET HTTP://Example.COM:81/x?y?z HTTP/1.1\r\nHost: other:82\r\n\r\n");
    expect(head).toMatchObject({
      form: "absolute",
      scheme: "http",
      authority: "Example.COM:81",
      host: "example.com",
      port: 81,
      rawPath: "/x",
      rawQuery: "y?z",
    });
  });

  it("absolute without a path: the path is the root", () => {
    expect(parseRequest("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n")).toMatchObject({
      rawPath: "/",
      rawQuery: null,
    });
    expect(parseRequest("GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n")).toMatchObject({
      rawPath: "/",
      rawQuery: "b",
    });
  });

  it("absolute does not do without a Host field in HTTP/1.1", () => {
    expect(brokenRule("GET http://a/ HTTP/1.1\r\n\r\n")).toBe("missing-host");
  });

  it("origin with two slashes is a path, not an authority", () => {
    expect(parseRequest("GET //evil/x HTTP/1.1\r\nHost: a\r\n\r\n")).toMatchObject({
      form: "origin",
      host: "a",
      rawPath: "//evil/x",
    });
  });

  it("authority: only CONNECT has it, and needs a port", () => {
    const head = parseRequest("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(head).toMatchObject({ form: "authority", host: "a", port: 443, rawPath: "" });
    expect(brokenRule("CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("invalid-authority");
    expect(brokenRule("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("invalid-authority");
    expect(brokenRule("GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("invalid-target");
  });

  it("asterisk: only OPTIONS has it", () => {
    expect(parseRequest("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")).toMatchObject({
      form: "asterisk",
      rawPath: "*",
    });
    expect(brokenRule("GET * HTTP/1.1\r\nHost: a\r\n\r\n")).toBe("invalid-target");
  });

  it.each([
    ["http:///x", "invalid-authority"],
    ["http://user@a/", "invalid-authority"],
    ["http://a:b/", "invalid-authority"],
    ["http:/a", "invalid-target"],
    ["/a#b", "fragment-in-target"],
    ["/a\x7f", "invalid-target"],
    ["/a\tb", "invalid-target"],
    ["/a\0", "invalid-target"],
  ])("refuses %j", (target, rule) => {
    expect(brokenRule(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)).toBe(rule);
  });
});

describe("a request line", () => {
  it.each([
    ["get / HTTP/1.1", "invalid-method"],
    [" / HTTP/1.1", "invalid-method"],
    ["GET\t/ HTTP/1.1", "invalid-method"],
    ["\x16\x03\x01 a TLS hello", "invalid-method"],
    ["GET  / HTTP/1.1", "invalid-target"],
    ["GET /", "http-0.9"],
    ["GET / ", "invalid-version"],
    ["GET / HTTP/1.1 ", "invalid-version"],
    ["GET / HTTP/1.10", "invalid-version"],
    ["GET / HTTP/01.1", "invalid-version"],
    ["GET / http/1.1", "invalid-version"],
    ["GET / HTTP/0.9", "invalid-version"],
    ["GET / HTTP/1,1", "invalid-version"],
    ["GET / HTTP/:.1", "invalid-version"],
    ["GET / HTTP/1.:", "invalid-version"],
    ["GET / HTTP/2.0", "unsupported-version"],
    ["PRI * HTTP/2.0", "unsupported-version"],
  ])("refuses %j as soon as it has been read, without waiting for the rest", (line, rule) => {
    expect(brokenRule(`${line}\r\n`)).toBe(rule);
  });

  it("is refused at its first byte where no method can begin with it", () => {
    expect(brokenRule("\x16")).toBe("invalid-method");
  });

  it("is 505 for another major version, 414 when it is too long, 400 otherwise", () => {
    const statusOf = (text: string): number | undefined => {
      const parser = new RequestHeadParser();
      parser.execute(bytes(text), 0, text.length);
      return parser.error?.status;
    };
    expect(statusOf("GET / HTTP/3.0\r\n")).toBe(505);
    expect(statusOf(`GET /${"a".repeat(9000)}`)).toBe(414);
    expect(statusOf("get / HTTP/1.1\r\n")).toBe(400);
    expect(statusOf(withHeader(`X: ${"a".repeat(9000)}`))).toBe(494);
    expect(statusOf(withHeader("Transfer-Encoding: gzip"))).toBe(501);
  });

  it("may follow a few empty lines, not any number", () => {
    expect(parseRequest(`${"\r\n".repeat(16)}GET / HTTP/1.1\r\nHost: a\r\n\r\n`).method).toBe("GET");
    expect(brokenRule("\r\n".repeat(17))).toBe("too-many-empty-lines");
    expect(brokenRule("\rGET")).toBe("bare-cr");
  });
});

describe("a header line", () => {
  it.each([
    ["X : y", "space-in-header-name"],
    ["X\t: y", "space-in-header-name"],
    [" X: y", "folded-header"],
    ["\tX: y", "folded-header"],
    ["A: b\r\n c", "folded-header"],
    [": y", "empty-header-name"],
    ["X", "header-without-colon"],
    ["X\0Y: z", "invalid-header-name"],
    ["X\x7fY: z", "invalid-header-name"],
    ["X: a\0b", "invalid-header-value"],
    ["X: a\x0bb", "invalid-header-value"],
    ["X: a\x7fb", "invalid-header-value"],
    ["X: a\rb", "bare-cr"],
    ["X: a\r", "bare-cr"],
  ])("%j is refused", (line, rule) => {
    expect(brokenRule(withHeader(line))).toBe(rule);
  });

  it("tells how far into the head the reading stopped", () => {
    const parser = new RequestHeadParser();
    const text = "\r\nGET / HTTP/1.1\r\nHost: a\r\nX: \0";
    parser.execute(bytes(text), 0, text.length);
    expect(parser.error?.offset).toBe(text.length - 1 - 2);
    parser.reset();
    parser.execute(bytes("xxxx\r\n\rGET"), 4, 10);
    expect(parser.error).toMatchObject({ rule: "bare-cr", offset: 0 });
  });

  describe("with an unusual name", () => {
    const lines = "X_Y: 1\r\na!b: 2\r\nB\xe4d: 3\r\nOk: 4";
    const keptNames = (rules: HeaderNameRules): string[] => {
      const { headers } = parseRequest(withHeader(lines.replace("B\xe4d: 3\r\n", "")), rules);
      return Array.from({ length: headers.length }, (_, i) => headers.nameAt(i));
    };

    it("is dropped by default, as with nginx's ignore_invalid_headers on and underscores_in_headers off", () => {
      const { headers } = parseRequest(withHeader(lines));
      expect(headers.length).toBe(2);
      expect(headers.get("ok")).toBe("4");
    });

    it("passes with an underscore where underscores_in_headers is on", () => {
      expect(keptNames({ ignoreInvalidHeaders: true, underscoresInHeaders: true })).toEqual([
        "Host",
        "X_Y",
        "Ok",
      ]);
    });

    it("passes if it is a token where ignore_invalid_headers is off, and is refused otherwise", () => {
      const rules = { ignoreInvalidHeaders: false, underscoresInHeaders: false };
      expect(keptNames(rules)).toEqual(["Host", "X_Y", "a!b", "Ok"]);
      expect(brokenRule(withHeader(lines), DEFAULT_HEAD_LIMITS, rules)).toBe("invalid-header-name");
    });
  });
});

describe("the Host field", () => {
  it("is required in HTTP/1.1, and never more than one", () => {
    expect(brokenRule("GET / HTTP/1.1\r\n\r\n")).toBe("missing-host");
    expect(brokenRule(withHeader("Host: a"))).toBe("duplicate-host");
    expect(brokenRule("GET / HTTP/1.0\r\nhost: a\r\nHOST: a\r\n\r\n")).toBe("duplicate-host");
  });

  it("is refused where it names no host", () => {
    expect(brokenRule("GET / HTTP/1.1\r\nHost:\r\n\r\n")).toBe("invalid-host");
    expect(brokenRule("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")).toBe("invalid-host");
    // Even where the authority of the target would do.
    expect(brokenRule("GET http://a/ HTTP/1.1\r\nHost: b@c\r\n\r\n")).toBe("invalid-host");
  });
});

describe("the connection of a request", () => {
  it.each([
    ["HTTP/1.1", "", true],
    ["HTTP/1.1", "Connection: close", false],
    ["HTTP/1.1", "Connection: Foo, CLOSE", false],
    ["HTTP/1.1", "Connection: foo\r\nConnection: close", false],
    ["HTTP/1.1", "Connection: not-close", true],
    ["HTTP/1.0", "X: y", false],
    ["HTTP/1.0", "Connection: Keep-Alive", true],
    ["HTTP/1.0", "Connection: keep-alive, close", false],
  ])("%s %j: kept alive: %s", (version, header, expected) => {
    expect(
      parseRequest(`GET / ${version}\r\nHost: a\r\n${header === "" ? "X: y" : header}\r\n\r\n`).keepAlive,
    ).toBe(expected);
  });

  it("is upgraded only to what Upgrade lists while Connection says so, and never in HTTP/1.0", () => {
    const upgradeOf = (version: string, connection: string): readonly string[] =>
      parseRequest(
        `GET / ${version}\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: ${connection}\r\nUpgrade: foo/2\r\n\r\n`,
      ).upgrade;
    expect(upgradeOf("HTTP/1.1", "keep-alive, UPGRADE")).toEqual(["h2c", "websocket", "foo/2"]);
    expect(upgradeOf("HTTP/1.1", "keep-alive")).toEqual([]);
    expect(upgradeOf("HTTP/1.0", "Upgrade")).toEqual([]);
  });

  it("waits for 100 only where a 1.1 client says so", () => {
    expect(parseRequest(withHeader("Expect: 100-Continue", "POST")).expectContinue).toBe(true);
    expect(parseRequest(withHeader("Expect: 200-ok", "POST")).expectContinue).toBe(false);
    expect(parseRequest("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expectContinue).toBe(false);
  });
});

describe("the limits of a head", () => {
  const limits: HeadLimits = {
    clientHeaderBufferBytes: 100,
    largeBufferBytes: 200,
    largeBufferCount: 2,
    headersCountMax: 3,
  };
  const line = (lengthBytes: number): string => `X: ${"a".repeat(lengthBytes - 5)}\r\n`;
  const start = "GET / HTTP/1.1\r\nHost: a\r\n";

  it("let a line be as long as one large buffer, its end included", () => {
    expect(brokenRule(`${start}${line(200)}\r\n`, limits)).toBeNull();
    expect(brokenRule(`${start}${line(201)}\r\n`, limits)).toBe("header-too-large");
  });

  it("let no line be split between two buffers, so that the number of buffers bounds the head", () => {
    expect(brokenRule(`${start}${line(150)}${line(150)}\r\n`, limits)).toBeNull();
    expect(brokenRule(`${start}${line(100)}${line(150)}${line(60)}\r\n`, limits)).toBe("header-too-large");
  });

  it("speak before the line has ended", () => {
    expect(brokenRule(`GET /${"a".repeat(195)}`, limits)).toBe("request-line-too-long");
    expect(brokenRule(`GET /${"a".repeat(194)}`, limits)).toBeNull();
  });

  it("count the header lines", () => {
    expect(brokenRule(`${start}A: 1\r\nB: 2\r\n\r\n`, limits)).toBeNull();
    expect(brokenRule(`${start}A: 1\r\nB: 2\r\nC: 3\r\n\r\n`, limits)).toBe("too-many-headers");
  });

  it("change with a reset", () => {
    const parser = new RequestHeadParser(limits);
    parser.reset({ ...limits, headersCountMax: 1 });
    const text = `${start}A: 1\r\n\r\n`;
    parser.execute(bytes(text), 0, text.length);
    expect(parser.error?.rule).toBe("too-many-headers");
  });

  it("do not stop a long head from costing time in proportion to its length, byte by byte too", () => {
    const large = { ...limits, largeBufferBytes: 2_000_000, headersCountMax: 200_000 };
    const parser = new RequestHeadParser(large);
    const input = bytes(`${start}X: ${"a".repeat(1_000_000)}\r\n${"Y: z\r\n".repeat(100_000)}\r\n`);
    for (let at = 0; at < input.length; at++) parser.execute(input, at, at + 1);
    expect(parser.head?.headers.length).toBe(100_002);
  });
});

describe("a response head", () => {
  it("gives status and reason as they were sent", () => {
    expect(parseResponse("HTTP/1.1 200 All is well\r\nA: b\r\n\r\n")).toMatchObject({
      versionMinor: 1,
      status: 200,
      reason: "All is well",
      isInterim: false,
    });
    expect(parseResponse("HTTP/1.0 404\r\n\r\n")).toMatchObject({ versionMinor: 0, status: 404, reason: "" });
    expect(parseResponse("HTTP/1.1 200 \r\n\r\n").reason).toBe("");
  });

  it.each([
    "HTTP/2 200 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 099 No",
    "HTTP/1.1  200 OK",
    "ICY 200 OK",
    "HTTP/1.1 200\tOK",
  ])("%j is no status line, and 502", (statusLine) => {
    const parser = new ResponseHeadParser("GET");
    const text = `${statusLine}\r\n\r\n`;
    parser.execute(bytes(text), 0, text.length);
    expect(parser.error).toMatchObject({ status: 502, rule: "invalid-status-line" });
  });

  it("is refused at its first byte where an upstream does not speak HTTP", () => {
    const parser = new ResponseHeadParser("GET");
    parser.execute(bytes("SSH-2.0"), 0, 1);
    expect(parser.error?.rule).toBe("invalid-status-line");
  });

  it("is interim when it is 1xx, but for 101", () => {
    expect(parseResponse("HTTP/1.1 103 Early Hints\r\n\r\n").isInterim).toBe(true);
    expect(parseResponse("HTTP/1.1 101 Switching Protocols\r\n\r\n").isInterim).toBe(false);
  });

  it.each([
    ["GET", "200 OK", "Content-Length: 5", { kind: "length", length: 5 }],
    ["GET", "200 OK", "Transfer-Encoding: chunked", { kind: "chunked" }],
    ["GET", "200 OK", "X: y", { kind: "until-close" }],
    ["HEAD", "200 OK", "Content-Length: 5", { kind: "none" }],
    ["HEAD", "200 OK", "Transfer-Encoding: chunked", { kind: "none" }],
    ["GET", "204 No Content", "Content-Length: 5", { kind: "none" }],
    ["GET", "304 Not Modified", "Content-Length: 5", { kind: "none" }],
    ["GET", "101 Switching Protocols", "Content-Length: 5", { kind: "none" }],
    ["GET", "103 Early Hints", "Transfer-Encoding: chunked", { kind: "none" }],
    ["CONNECT", "200 OK", "Content-Length: 5", { kind: "none" }],
    ["CONNECT", "407 No", "Content-Length: 5", { kind: "length", length: 5 }],
  ])("to %s with %s and %s is framed as %j", (method, status, header, framing) => {
    expect(parseResponse(`HTTP/1.1 ${status}\r\n${header}\r\n\r\n`, method).framing).toEqual(framing);
  });

  it("lets the connection live only where its end does not frame the body", () => {
    expect(parseResponse("HTTP/1.1 200 OK\r\nX: y\r\n\r\n").keepAlive).toBe(false);
    expect(parseResponse("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").keepAlive).toBe(true);
    expect(parseResponse("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").keepAlive).toBe(
      false,
    );
    expect(parseResponse("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").keepAlive).toBe(false);
    const chunkedIn10 = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n";
    expect(parseResponse(chunkedIn10)).toMatchObject({ framing: { kind: "chunked" }, keepAlive: false });
  });

  it("passes every name that is a token, and a field more than once", () => {
    const { headers } = parseResponse(
      "HTTP/1.1 204 No\r\nX_Y: 1\r\nSet-Cookie: a\r\nset-cookie: b\r\nETag: 1\r\nETag: 2\r\n\r\n",
    );
    expect(headers.get("x_y")).toBe("1");
    expect(headers.getAll("set-cookie")).toEqual(["a", "b"]);
    expect(headers.getAll("etag")).toEqual(["1", "2"]);
  });

  it("is read again for the final answer after an interim one", () => {
    const input = bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const parser = new ResponseHeadParser("HEAD");
    const used = parser.execute(input, 0, input.length);
    expect(parser.head).toMatchObject({ status: 100, isInterim: true });
    parser.reset();
    parser.execute(input, used, input.length);
    expect(parser.head).toMatchObject({ status: 200, framing: { kind: "none" } });
  });
});
