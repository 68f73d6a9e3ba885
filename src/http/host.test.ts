import { describe, expect, it } from "vitest";
import { parseAuthority } from "./host.ts";

describe("parseAuthority", () => {
  it.each([
    ["Example.COM", "example.com", null],
    ["example.com.", "example.com", null],
    ["example.com.:80", "example.com", 80],
    ["a_b-c.d", "a_b-c.d", null],
    ["a:", "a", null],
    ["a:0", "a", 0],
    ["a:65535", "a", 65535],
    ["127.0.0.1:8080", "127.0.0.1", 8080],
    ["[::1]", "[::1]", null],
    ["[2001:DB8::1]:443", "[2001:db8::1]", 443],
    ["\xc3\xa4.example", "\xc3\xa4.example", null],
    ["a%20b", "a%20b", null],
  ])("reads %j as host %j and port %j", (text, host, port) => {
    expect(parseAuthority(text)).toEqual({ host, port });
  });

  it.each([
    "",
    ".",
    ":80",
    "a..b",
    "a b",
    "a/b",
    "a\\b",
    "a?b",
    "a#b",
    "user@a",
    "a:b",
    "a:80:80",
    "a:-1",
    "a:65536",
    "a:99999999999999999999",
    "[]",
    "[::1",
    "::1",
    "[::1]x",
    "[::1%25eth0]",
    "[::1]:x",
    "a\0",
    "a<b",
    '"a"',
  ])("refuses %j", (text) => {
    expect(parseAuthority(text)).toBeNull();
  });
});
