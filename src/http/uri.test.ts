import { describe, expect, it } from "vitest";
import { escapeTarget, escapeUri, normalizePath } from "./uri.ts";

describe("normalizePath", () => {
  it.each([
    ["/", "/"],
    ["/a/b.c/~x", "/a/b.c/~x"],
    ["/%61%2Fb", "/a/b"],
    ["/a/./b/../c", "/a/c"],
    ["/a/.", "/a/"],
    ["/a/..", "/"],
    ["/a/b/..", "/a/"],
    ["/a/.b/..c/...", "/a/.b/..c/..."],
    ["/a/%2e%2e/b", "/b"],
    ["/a%2F..%2Fb", "/b"],
    ["/a//b///c", "/a/b/c"],
    ["/a/.//../b", "/b"],
    ["/%252e%252e", "/%2e%2e"],
    ["/a%3fb%23c%25d", "/a?b#c%d"],
    ["/%C3%A4", "/\xc3\xa4"],
    ["/a+b", "/a+b"],
    ["/a%0ab", "/a\nb"],
  ])("makes of %j %j", (raw, path) => {
    expect(normalizePath(raw, true)).toBe(path);
  });

  it("leaves runs of slashes alone where merge_slashes is off", () => {
    expect(normalizePath("/a//b", false)).toBe("/a//b");
    expect(normalizePath("/a//../b", false)).toBe("/a/b");
    expect(normalizePath("//%2f", false)).toBe("///");
  });

  it.each([
    "",
    "a",
    "*",
    "/..",
    "/../a",
    "/a/../..",
    "/%2e%2e",
    "//..%2f..",
    "/%",
    "/%4",
    "/%4g",
    "/%00",
    "/a%00b",
  ])("refuses %j", (raw) => {
    expect(normalizePath(raw, true)).toBeNull();
  });
});

describe("escaping", () => {
  const visible = Array.from({ length: 95 }, (_, i) => String.fromCharCode(i + 0x20));

  it("for a path escapes what nginx's NGX_ESCAPE_URI does", () => {
    const escaped = visible.filter((char) => escapeUri(char, "uri") !== char).join("");
    expect(escaped).toBe(' "#%<>?\\^`{|}');
  });

  it("for arguments escapes what nginx's NGX_ESCAPE_ARGS does", () => {
    const escaped = visible.filter((char) => escapeUri(char, "args") !== char).join("");
    expect(escaped).toBe(' "#%&+;<>?\\^`{|}');
  });

  it("for a component leaves letters, digits and -._~ alone", () => {
    const left = visible.filter((char) => escapeUri(char, "component") === char).join("");
    expect(left).toBe("-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
  });

  it("writes two upper-case digits for every byte", () => {
    expect(escapeUri("a\0\x1f \x7f\xffb", "uri")).toBe("a%00%1F%20%7F%FFb");
  });

  it("of a target touches only what would end it", () => {
    expect(escapeTarget("/a b\r\nX: y#?%\xe4")).toBe("/a%20b%0D%0AX:%20y#?%\xe4");
  });
});
