import { expect, test } from "vitest";
import { readUrl } from "./url.ts";

test.each([
  [
    "wss://example.com/chat?room=1",
    { scheme: "wss", host: "example.com", port: 443, authority: "example.com", path: "/chat?room=1" },
  ],
  ["ws://example.com", { scheme: "ws", port: 80, path: "/" }],
  ["ws://example.com:443/", { scheme: "ws", port: 443, authority: "example.com:443" }],
  ["wss://[2001:db8::1]:8443/x", { host: "2001:db8::1", authority: "[2001:db8::1]:8443" }],
  ["wss://Bücher.example/", { host: "xn--bcher-kva.example" }],
  ["https://example.com/chat", { scheme: "wss", port: 443, origin: "https://example.com" }],
])("%s leads to where a browser would go", (given, target) => {
  expect(readUrl(given).target).toMatchObject(target);
});

test.each([
  ["ws://example.com/#room", ["fragment"]],
  ["ws://example.com/#", ["fragment"]],
  ["ws://user:pass@example.com/", ["credentials"]],
  ["http://example.com/", ["http-scheme"]],
  ["ws://example.com:6000/", ["blocked-port"]],
  ["example.com/chat", ["no-scheme"]],
  ["ftp://example.com/", ["foreign-scheme"]],
  ["ws://", ["unparsable"]],
  ["ws://exa mple/", ["unparsable"]],
])("%s has the faults %j", (given, faults) => {
  expect(readUrl(given).faults).toEqual(faults);
});

test.each(["ws//example.com:81/chat", "ws:/example.com:81/chat", "ws:example.com:81/chat"])(
  "%s leads to what can only have been meant",
  (given) => {
    const { faults, target } = readUrl(given);
    expect(faults).toEqual(["no-scheme"]);
    expect(target).toMatchObject({ scheme: "ws", host: "example.com", port: 81, path: "/chat" });
  },
);

test.each(["ws:8080/chat", "ws/chat"])("%s begins with the name of a machine", (given) => {
  expect(readUrl(given).target?.host).toBe("ws");
});

test("a name without a scheme is taken for wss, and a machine of one's own for ws", () => {
  expect(readUrl("example.com/chat").target?.scheme).toBe("wss");
  expect(readUrl("localhost:3000/chat").target).toMatchObject({
    scheme: "ws",
    host: "localhost",
    port: 3000,
  });
});
