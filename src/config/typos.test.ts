import { expect, test } from "vitest";
import { nearestName } from "./typos.ts";

const names = [
  "listen",
  "proxy_pass",
  "proxy_pass_header",
  "proxy_read_timeout",
  "proxy_send_timeout",
  "root",
  "user",
];

test.each([
  ["lisen", "listen"],
  ["listten", "listen"],
  ["lsiten", "listen"],
  ["Listen", "listen"],
  ["proxy-pass", "proxy_pass"],
  ["proxypass", "proxy_pass"],
  ["proxy_raed_timeuot", "proxy_read_timeout"],
  ["roto", "root"],
])("%s was meant as %s", (word, name) => {
  expect(nearestName(word, names)).toBe(name);
});

test.each(["foo", "", "rt", "proxy", "server_names", "ab"])("%j is too far from everything", (word) => {
  expect(nearestName(word, names)).toBeNull();
});

test("of equally near names the first in the alphabet wins, whatever the order", () => {
  expect(nearestName("cat", ["hat", "bat"])).toBe("bat");
  expect(nearestName("cat", ["bat", "hat"])).toBe("bat");
});

test("a word is not its own correction", () => {
  expect(nearestName("root", ["root"])).toBeNull();
});

test("a nearer name wins over an earlier one", () => {
  expect(nearestName("proxy_xead_timeout", names)).toBe("proxy_read_timeout");
});
