import { describe, expect, it } from "vitest";
import { FIELD_VALUE_BYTES, isToken, parseList, parseTokenList, skipFieldValue } from "./tokens.ts";

describe("lists", () => {
  it.each([
    ["", []],
    ["a", ["a"]],
    [" a ,\tb ", ["a", "b"]],
    [",, a ,,b,", ["a", "b"]],
    ['a="x, y", b', ['a="x, y"', "b"]],
    ['a="x\\", y", b', ['a="x\\", y"', "b"]],
    ['a="x, y', ['a="x, y']],
  ])("%j has the members %j", (value, members) => {
    expect(parseList(value)).toEqual(members);
  });

  it("of tokens compare in lower case", () => {
    expect(parseTokenList("Keep-Alive, UPGRADE")).toEqual(["keep-alive", "upgrade"]);
    expect(parseTokenList(" Close ")).toEqual(["close"]);
    expect(parseTokenList("  ")).toEqual([]);
  });
});

describe("bytes", () => {
  it("of a token are those of RFC 9110", () => {
    const all = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
    expect(all.filter(isToken).join("")).toBe(
      "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~",
    );
    expect(isToken("")).toBe(false);
  });

  it("of a value are skipped up to the first that is none, wherever that stands", () => {
    for (let stop = 0; stop < 12; stop++) {
      for (const byte of [0, 0x0a, 0x0d, 0x1f, 0x7f]) {
        const bytes = Buffer.alloc(12, "a");
        bytes[stop] = byte;
        expect(skipFieldValue(bytes, 0, 12)).toBe(stop);
      }
    }
    expect(skipFieldValue(Buffer.from("a\tb \xff", "latin1"), 0, 5)).toBe(5);
    expect(skipFieldValue(Buffer.from("abcdef\n"), 1, 4)).toBe(4);
    expect([FIELD_VALUE_BYTES[9], FIELD_VALUE_BYTES[8]]).toEqual([1, 0]);
  });
});
