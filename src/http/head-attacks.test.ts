import { describe, expect, it } from "vitest";
import { BodyParser } from "./body-parser.ts";
import type { HeadRule } from "./head-error.ts";
import { type RequestHead, RequestHeadParser, ResponseHeadParser } from "./head-parser.ts";

/** What has been used against other servers; the names are those of the advisories. */

function read(headerLines: string, requestLine = "POST / HTTP/1.1"): RequestHead | HeadRule {
  const text = `${requestLine}\r\nHost: a\r\n${headerLines}\r\n\r\n`;
  const parser = new RequestHeadParser();
  parser.execute(Buffer.from(text, "latin1"), 0, text.length);
  if (parser.error !== null) return parser.error.rule;
  if (parser.head === null) throw new Error("the head is not whole");
  return parser.head;
}

describe("request smuggling", () => {
  it("CL.TE and TE.CL: a length beside a transfer coding is refused in whatever order and spelling", () => {
    expect(read("Content-Length: 3\r\nTransfer-Encoding: chunked")).toBe("length-and-transfer-encoding");
    expect(read("tRANSFER-eNCODING: chunked\r\ncONTENT-lENGTH: 3")).toBe("length-and-transfer-encoding");
  });

  it.each([
    "xchunked",
    "chunked, identity",
    "identity",
    "chunked, chunked",
    "gzip, chunked",
    "\x85chunked",
    '"chunked"',
    "chunked;q=1",
    "",
  ])("TE.TE: Transfer-Encoding %j is not taken for chunked", (coding) => {
    expect(read(`Transfer-Encoding: ${coding}`)).toBe("unknown-transfer-encoding");
  });

  it("TE.TE: a second Transfer-Encoding is refused", () => {
    expect(read("Transfer-Encoding: chunked\r\nTransfer-Encoding: x")).toBe("duplicate-transfer-encoding");
  });

  it("a transfer coding in HTTP/1.0 is refused", () => {
    expect(read("Transfer-Encoding: chunked", "POST / HTTP/1.0")).toBe("transfer-encoding-in-http-1.0");
  });

  it.each([
    "+5",
    "-5",
    "5, 5",
    "5 5",
    "0x5",
    "5.0",
    "5e3",
    "",
    "\xb2",
    "9007199254740992",
    "18446744073709551621",
  ])("CVE-2021-40346: Content-Length %j is no length", (length) => {
    expect(read(`Content-Length: ${length}`)).toBe("invalid-content-length");
  });

  it("the greatest length that a number holds is read exactly", () => {
    expect(read("Content-Length: 9007199254740991")).toMatchObject({
      framing: { kind: "length", length: 9007199254740991 },
    });
  });

  it("CVE-2021-40346: a name longer than a byte can count is not cut to Content-Length", () => {
    const head = read(`Content-Length0${"a".repeat(255)}: 5\r\nContent-Length: 3`);
    expect(head).toMatchObject({ framing: { kind: "length", length: 3 } });
  });

  it("two lengths are refused even where they agree", () => {
    expect(read("Content-Length: 3\r\nContent-Length: 3")).toBe("duplicate-content-length");
  });

  it("CVE-2023-25725: an empty header name does not end the header fields", () => {
    expect(read(": x\r\nContent-Length: 3")).toBe("empty-header-name");
    expect(read("A: b\r\n:\r\nTransfer-Encoding: chunked")).toBe("empty-header-name");
  });

  it.each(["GET", "DELETE", "OPTIONS", "HEAD", "TRACE"])(
    "CVE-2026-29057: %s with a chunked body has a chunked body, and goes on as one",
    (method) => {
      const head = read("Transfer-Encoding: chunked", `${method} / HTTP/1.1`);
      expect(head).toMatchObject({ framing: { kind: "chunked" } });
      expect(typeof head === "string" ? head : head.headers.toLines()).toBe(
        "Host: a\r\nTransfer-Encoding: chunked\r\n",
      );
    },
  );

  it("whitespace before a colon does not hide a field from one of two servers", () => {
    expect(read("Transfer-Encoding : chunked")).toBe("space-in-header-name");
    expect(read("Content-Length\t: 5")).toBe("space-in-header-name");
  });

  it("a folded line does not hide a field", () => {
    expect(read("X: y\r\n Transfer-Encoding: chunked")).toBe("folded-header");
  });

  it("a carriage return within a value does not begin another line", () => {
    expect(read("X: y\rTransfer-Encoding: chunked")).toBe("bare-cr");
  });

  it("an underscore does not make an alias of a field that frames the message", () => {
    const head = read("Content_Length: 5\r\nTransfer_Encoding: chunked");
    expect(head).toMatchObject({ framing: { kind: "none" }, headers: { length: 1 } });
  });

  it("CVE-2021-40346 in responses: an upstream's lengths are read as strictly", () => {
    const parser = new ResponseHeadParser("GET");
    const text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    parser.execute(Buffer.from(text, "latin1"), 0, text.length);
    expect(parser.error).toMatchObject({ status: 502, rule: "length-and-transfer-encoding" });
  });
});

describe("names that mean something to JavaScript", () => {
  it("CVE-2026-21710: `__proto__` and its like are headers like any other", () => {
    const parser = new RequestHeadParser(undefined, {
      ignoreInvalidHeaders: false,
      underscoresInHeaders: true,
    });
    const text =
      "GET / HTTP/1.1\r\nHost: a\r\n__proto__: x\r\nconstructor: y\r\nhasOwnProperty: z\r\n__proto__: w\r\n\r\n";
    parser.execute(Buffer.from(text, "latin1"), 0, text.length);
    const headers = parser.head?.headers;
    expect(headers?.getAll("__proto__")).toEqual(["x", "w"]);
    expect(headers?.get("constructor")).toBe("y");
    expect(headers?.get("hasownproperty")).toBe("z");
    expect(headers?.get("tostring")).toBeUndefined();
    expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain("x");
  });
});

describe("bodies without end", () => {
  it("a chunked body cannot be made of extensions", () => {
    const parser = new BodyParser(
      { kind: "chunked" },
      { onData: () => undefined, onTrailers: () => undefined },
    );
    const chunk = Buffer.from(`1;${"x".repeat(500)}\r\na\r\n`, "latin1");
    let chunks = 0;
    while (parser.state === "more") {
      parser.feed(chunk, 0, chunk.length);
      chunks++;
    }
    expect(parser.error?.rule).toBe("chunk-extension-too-long");
    expect(chunks).toBeLessThan(50);
  });
});
