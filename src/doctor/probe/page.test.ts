import { expect, test } from "vitest";
import { forbiddingDirective } from "./page.ts";
import { readUrl } from "./url.ts";

function isForbidden(policy: string, page: string, url: string): boolean {
  const { target } = readUrl(url);
  if (target === null) throw new Error(`no target in ${url}`);
  return forbiddingDirective(policy, new URL(page), target) !== null;
}

test.each([
  ["script-src 'self'", "https://a.test/", "wss://b.test/", false],
  ["default-src 'self'", "https://a.test/", "wss://b.test/", true],
  ["default-src 'self'", "https://a.test/", "wss://a.test/x", false],
  ["default-src 'none'; connect-src *", "https://a.test/", "wss://b.test/", false],
  ["connect-src 'none'", "https://a.test/", "wss://a.test/", true],
  ["connect-src 'self'", "http://a.test:8080/", "ws://a.test:9090/", true],
  ["connect-src 'self'", "https://a.test/", "ws://a.test/", true],
  ["connect-src wss:", "https://a.test/", "wss://b.test/", false],
  ["connect-src ws:", "http://a.test/", "wss://b.test/", false],
  ["connect-src https:", "https://a.test/", "wss://b.test/", true],
  ["connect-src wss://b.test", "https://a.test/", "wss://b.test/", false],
  ["connect-src wss://b.test", "https://a.test/", "wss://b.test:8443/", true],
  ["connect-src wss://b.test:*", "https://a.test/", "wss://b.test:8443/", false],
  ["connect-src wss://*.b.test", "https://a.test/", "wss://x.b.test/", false],
  ["connect-src wss://*.b.test", "https://a.test/", "wss://b.test/", true],
  ["connect-src b.test", "https://a.test/", "wss://b.test/", false],
  ["connect-src https://b.test", "https://a.test/", "wss://b.test/", true],
])("%s on %s: that %s is forbidden is %s", (policy, page, url, expected) => {
  expect(isForbidden(policy, page, url)).toBe(expected);
});
