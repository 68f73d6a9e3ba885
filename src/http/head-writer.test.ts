import { describe, expect, it } from "vitest";
import { chunkHead, CHUNK_END, LAST_CHUNK, lastChunk } from "./chunk-writer.ts";
import { BodyParser } from "./body-parser.ts";
import { RequestHeadParser } from "./head-parser.ts";
import { writeRequestHead, writeResponseHead } from "./head-writer.ts";
import { HeaderList } from "./header-list.ts";

function listOf(...fields: readonly (readonly [string, string])[]): HeaderList {
  const list = new HeaderList();
  for (const [name, value] of fields) list.append(name, value);
  return list;
}

describe("writing a head", () => {
  it("gives one line each and an empty one at the end", () => {
    const headers = listOf(["Host", "a"], ["X", ""]);
    expect(writeRequestHead("GET", "/", 1, headers)).toBe("GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n");
    expect(writeRequestHead("GET", "/", 0, new HeaderList())).toBe("GET / HTTP/1.0\r\n\r\n");
    expect(writeResponseHead(200, "OK", listOf(["A", "b"]))).toBe("HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
    expect(writeResponseHead(299, "", new HeaderList())).toBe("HTTP/1.1 299 \r\n\r\n");
  });

  it("makes one message of a target that holds a whole second one", () => {
    const written = writeRequestHead("GET", "/ HTTP/1.1\r\n\r\nGET /admin", 1, listOf(["Host", "a"]));
    expect(written).toBe("GET /%20HTTP/1.1%0D%0A%0D%0AGET%20/admin HTTP/1.1\r\nHost: a\r\n\r\n");
  });

  it("makes one message of a reason that holds a header", () => {
    expect(writeResponseHead(200, "OK\r\nX: y", new HeaderList())).toBe("HTTP/1.1 200 OK  X: y\r\n\r\n");
  });

  it("makes canonical what was read tolerantly", () => {
    const text = "\nPOST http://A/x?y HTTP/1.1\nhost:\tA  \nX-Y:z\n\n";
    const parser = new RequestHeadParser();
    parser.execute(Buffer.from(text, "latin1"), 0, text.length);
    const head = parser.head;
    expect(head).not.toBeNull();
    if (head === null) return;
    expect(writeRequestHead(head.method, `${head.rawPath}?${head.rawQuery}`, 1, head.headers)).toBe(
      "POST /x?y HTTP/1.1\r\nhost: A\r\nX-Y: z\r\n\r\n",
    );
  });
});

describe("writing chunks", () => {
  it("gives what the body parser reads", () => {
    const trailers = listOf(["X-Sum", "1"]);
    const data = "x".repeat(300);
    const text = chunkHead(data.length) + data + CHUNK_END + lastChunk(trailers);
    let read = "";
    let lines = "";
    const parser = new BodyParser(
      { kind: "chunked" },
      {
        onData: (buffer, start, end) => {
          read += buffer.toString("latin1", start, end);
        },
        onTrailers: (list) => {
          lines = list.toLines();
        },
      },
    );
    expect(parser.feed(Buffer.from(text, "latin1"), 0, text.length)).toBe(text.length);
    expect([parser.state, read, lines]).toEqual(["done", data, "X-Sum: 1\r\n"]);
  });

  it("ends a body without trailers with an empty chunk and an empty line", () => {
    expect(lastChunk(new HeaderList())).toBe(LAST_CHUNK);
  });
});
