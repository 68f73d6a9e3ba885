import { describe, expect, it } from "vitest";
import { BodyParser } from "./body-parser.ts";
import { CHUNK_END, chunkHead, LAST_CHUNK, lastChunk } from "./chunk-writer.ts";
import { HeaderList } from "./header-list.ts";

describe("writing chunks", () => {
  it("gives what the body parser reads", () => {
    const trailers = new HeaderList();
    trailers.append("X-Sum", "1");
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
