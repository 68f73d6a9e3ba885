import { describe, expect, it } from "vitest";
import { BodyParser } from "./body-parser.ts";
import type { Framing } from "./framing.ts";

interface Decoded {
  readonly data: string;
  /** Names and values. */
  readonly trailers: readonly string[];
  readonly state: string;
  readonly rule: string | undefined;
  /** How many bytes were taken. */
  readonly used: number;
}

/** Feeds `text` in pieces of `pieceBytes`, and says that the connection ended if `ended`. */
function decode(framing: Framing, text: string, pieceBytes = text.length, ended = false): Decoded {
  let data = "";
  const fields: string[] = [];
  const parser = new BodyParser(framing, {
    onData: (buffer, start, end) => {
      expect(end).toBeGreaterThan(start);
      data += buffer.toString("latin1", start, end);
    },
    onTrailers: (trailers) => {
      for (let i = 0; i < trailers.length; i++) fields.push(trailers.nameAt(i), trailers.valueAt(i));
    },
  });
  const input = Buffer.from(text, "latin1");
  let used = 0;
  while (used < input.length && parser.state === "more") {
    used += parser.feed(input, used, Math.min(input.length, used + pieceBytes));
  }
  if (ended) parser.end();
  return { data, trailers: fields, state: parser.state, rule: parser.error?.rule, used };
}

const CHUNKED: Framing = { kind: "chunked" };

describe("a body of known length", () => {
  it("ends where its length says, and leaves the rest to the caller", () => {
    expect(decode({ kind: "length", length: 5 }, "helloGET /")).toMatchObject({
      data: "hello",
      state: "done",
      used: 5,
    });
  });

  it("is over before it begins when it is empty or there is none", () => {
    expect(decode({ kind: "length", length: 0 }, "x")).toMatchObject({ state: "done", used: 0 });
    expect(decode({ kind: "none" }, "x")).toMatchObject({ state: "done", used: 0 });
  });

  it("is refused when the connection ends first", () => {
    expect(decode({ kind: "length", length: 5 }, "hell", 4, true)).toMatchObject({ rule: "premature-end" });
  });

  it("goes on past 2^31 bytes", () => {
    let bytes = 0;
    const length = 2 ** 31 + 10;
    const parser = new BodyParser(
      { kind: "length", length },
      {
        onData: (_buffer, start, end) => {
          bytes += end - start;
        },
        onTrailers: () => undefined,
      },
    );
    const piece = Buffer.alloc(1 << 20);
    while (parser.state === "more") parser.feed(piece, 0, piece.length);
    expect(bytes).toBe(length);
    expect(parser.bytesRead).toBe(length);
  });
});

describe("a body that lasts until the connection closes", () => {
  it("ends in order when the connection does", () => {
    expect(decode({ kind: "until-close" }, "any\0thing")).toMatchObject({
      state: "more",
      data: "any\0thing",
    });
    expect(decode({ kind: "until-close" }, "any", 3, true)).toMatchObject({ state: "done", data: "any" });
  });
});

describe("a chunked body", () => {
  const body = '5\r\nhello\r\nA;name="v;a"\r\n, world !!\r\n0\r\nX-Sum: 1\r\nY:2\r\n\r\n';

  it("is the same however it is cut", () => {
    for (let pieceBytes = 1; pieceBytes <= body.length; pieceBytes++) {
      expect(decode(CHUNKED, `${body}GET`, pieceBytes)).toEqual({
        data: "hello, world !!",
        trailers: ["X-Sum", "1", "Y", "2"],
        state: "done",
        rule: undefined,
        used: body.length,
      });
    }
  });

  it("hands on ranges of the buffer that was fed, without a copy", () => {
    const input = Buffer.from("5\r\nhello\r\n0\r\n\r\n");
    const ranges: unknown[] = [];
    const parser = new BodyParser(CHUNKED, {
      onData: (buffer, start, end) => ranges.push([buffer === input, start, end]),
      onTrailers: () => undefined,
    });
    parser.feed(input, 0, input.length);
    expect(ranges).toEqual([[true, 3, 8]]);
  });

  it("ends at its last chunk only", () => {
    expect(decode(CHUNKED, "5\r\nhello\r\n0\r\n", 3, true)).toMatchObject({ rule: "premature-end" });
  });

  it.each([
    ["\r\nhello", "invalid-chunk-size"],
    ["g\r\n", "invalid-chunk-size"],
    ["0x5\r\nhello", "invalid-chunk-size"],
    ["+5\r\nhello", "invalid-chunk-size"],
    ["-5\r\nhello", "invalid-chunk-size"],
    [" 5\r\nhello", "invalid-chunk-size"],
    ["5 \r\nhello", "invalid-chunk-size"],
    ["5\nhello", "invalid-chunk-size"],
    ["00000000000000005\r\nhello", "invalid-chunk-size"],
    ["20000000000000\r\nhello", "chunk-too-large"],
    ["ffffffffffffffff\r\nhello", "chunk-too-large"],
    ["5\rhello", "invalid-chunk-extension"],
    ["5;a\nhello", "invalid-chunk-extension"],
    ["5;a\0\r\nhello", "invalid-chunk-extension"],
    ["5\r\nhelloX\r\n", "invalid-chunk-end"],
    ["5\r\nhello\n", "invalid-chunk-end"],
    ["5\r\nhello\rX", "invalid-chunk-end"],
    [`5;${"a".repeat(1100)}\r\nhello`, "chunk-extension-too-long"],
    ["0\r\n\n", "invalid-trailers"],
    ["0\r\nA: b\n\r\n", "invalid-trailers"],
    ["0\r\nA : b\r\n\r\n", "invalid-trailers"],
    ["0\r\n: b\r\n\r\n", "invalid-trailers"],
    ["0\r\nA: b\r\n c\r\n\r\n", "invalid-trailers"],
    ["0\r\nA: \x01\r\n\r\n", "invalid-trailers"],
    [`0\r\nA: ${"b".repeat(8200)}\r\n\r\n`, "trailers-too-large"],
    [`0\r\n${"A: b\r\n".repeat(101)}\r\n`, "trailers-too-large"],
  ])("%j is refused", (text, rule) => {
    for (const pieceBytes of [text.length, 1]) expect(decode(CHUNKED, text, pieceBytes).rule).toBe(rule);
  });

  it("may have leading zeros in its sizes, 16 digits in all", () => {
    expect(decode(CHUNKED, "0000000000000005\r\nhello\r\n000\r\n\r\n")).toMatchObject({
      data: "hello",
      state: "done",
    });
  });

  it("may have extensions in every chunk, and their sum begins anew with the next body", () => {
    const extended = `1;${"x".repeat(1000)}\r\na\r\n`.repeat(15);
    const input = Buffer.from(`${extended}0\r\n\r\n`);
    const parser = new BodyParser(CHUNKED, { onData: () => undefined, onTrailers: () => undefined });
    for (let body = 0; body < 2; body++) {
      parser.reset(CHUNKED);
      parser.feed(input, 0, input.length);
      expect(parser.state).toBe("done");
    }
  });

  it("tells how far into the body the reading stopped", () => {
    const parser = new BodyParser(CHUNKED, { onData: () => undefined, onTrailers: () => undefined });
    parser.feed(Buffer.from("5\r\nhel"), 0, 6);
    parser.feed(Buffer.from("loX"), 0, 3);
    expect(parser.error).toMatchObject({ rule: "invalid-chunk-end", offset: 8 });
  });

  it("loses trailers that would frame or route a message, and keeps the others", () => {
    const text = "0\r\nContent-Length: 5\r\nX: y\r\nTransfer-encoding: chunked\r\nHOST: b\r\n\r\n";
    expect(decode(CHUNKED, text).trailers).toEqual(["X", "y"]);
  });

  it("of which no trailer is left does not speak of trailers", () => {
    let called = false;
    const parser = new BodyParser(CHUNKED, {
      onData: () => undefined,
      onTrailers: () => {
        called = true;
      },
    });
    const input = Buffer.from("0\r\nHost: b\r\n\r\n");
    parser.feed(input, 0, input.length);
    expect([parser.state, called]).toEqual(["done", false]);
  });

  it("can be followed by another body", () => {
    let data = "";
    const parser = new BodyParser(CHUNKED, {
      onData: (buffer, start, end) => {
        data += buffer.toString("latin1", start, end);
      },
      onTrailers: () => undefined,
    });
    const input = Buffer.from("1;x\r\na\r\n0\r\n\r\n");
    parser.feed(input, 0, input.length);
    parser.reset({ kind: "length", length: 2 });
    expect([parser.state, parser.bytesRead]).toEqual(["more", 0]);
    parser.feed(Buffer.from("bc"), 0, 2);
    expect([parser.state, data]).toEqual(["done", "abc"]);
  });
});
