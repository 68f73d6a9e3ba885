import { expect, test } from "vitest";
import { parseUpstreamAddress } from "./upstream-address.ts";

test.each([
  ["app", { kind: "inet", host: "app", port: null }],
  ["app:8080", { kind: "inet", host: "app", port: 8080 }],
  ["127.0.0.1:1", { kind: "inet", host: "127.0.0.1", port: 1 }],
  ["[::1]", { kind: "inet", host: "::1", port: null }],
  ["[2001:db8::1]:65535", { kind: "inet", host: "2001:db8::1", port: 65_535 }],
  ["unix:/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
  ["UNIX:app.sock", { kind: "unix", path: "app.sock" }],
] as const)("%s is read", (text, address) => {
  expect(parseUpstreamAddress(text)).toEqual({ ok: true, address });
});

test.each([
  ["", "no host"],
  [":80", "no host"],
  ["app:", "invalid port"],
  ["app:0", "invalid port"],
  ["app:65536", "invalid port"],
  ["app:8o", "invalid port"],
  ["[::g]:80", "invalid IPv6 address"],
  ["a b", "invalid host"],
  ["unix:", "no path in the unix domain socket"],
  [`unix:/${"x".repeat(107)}`, "too long path in the unix domain socket"],
])("%j is refused: %s", (text, message) => {
  expect(parseUpstreamAddress(text)).toEqual({ ok: false, message });
});
