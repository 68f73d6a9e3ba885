import { expect, test } from "vitest";
import type { WalkOptions } from "../probe/walk.ts";
import { redactDeep, redactor } from "./redact.ts";

const OPTIONS: WalkOptions = {
  url: "wss://anna:geheim99@example.com/chat?token=s%C3%A9cret-1234&room=7",
  page: new URL("https://example.com/app?ticket=page-ticket-1"),
  origin: null,
  subprotocols: ["chat", "bearer.0123456789abcdef0123"],
  headers: [
    ["Cookie", "sid=cookie-value-1; theme=dark-blue"],
    ["X-Api-Key", "key-value-123"],
  ],
  address: null,
  nameServer: null,
  ca: null,
  clientCertificate: null,
  timeoutMs: 1,
  holdMs: 0,
  sendsMessages: true,
  maxMessageBytes: null,
  layer4: false,
};

const redact = redactor([OPTIONS]);

test.each([
  [
    "a value of the query",
    "GET /chat?token=s%C3%A9cret-1234&room=7 HTTP/1.1",
    "GET /chat?token=***&room=*** HTTP/1.1",
  ],
  ["a value of the query that a body repeats, decoded", "no such token: sécret-1234", "no such token: ***"],
  ["a short value of the query, where it stands", "/chat?room=7, seen", "/chat?room=***, seen"],
  ["credentials of a URL", "wss://anna:geheim99@example.com/", "wss://***@example.com/"],
  ["a password that a body repeats", "bad password geheim99", "bad password ***"],
  ["a cookie that was sent", "> Cookie: sid=cookie-value-1; theme=dark-blue", "> Cookie: ***"],
  ["a part of a cookie that a body repeats", "unknown session cookie-value-1", "unknown session ***"],
  ["a cookie that was set", "< Set-Cookie: sid=other; Path=/", "< Set-Cookie: ***"],
  ["a header whose name says so", "> X-Api-Key: key-value-123", "> X-Api-Key: ***"],
  ["another header whose name says so", "< X-Session-Id: 42", "< X-Session-Id: ***"],
  ["credentials of a header", "> Authorization: Basic YW5uYTpnZWhlaW0=", "> Authorization: ***"],
  ["credentials within a text", "got Bearer abcdefgh12345", "got Bearer ***"],
  ["a JSON Web Token", "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_-9 expired", "token *** expired"],
  [
    "a subprotocol that is a token",
    "Sec-WebSocket-Protocol: chat, bearer.0123456789abcdef0123",
    "Sec-WebSocket-Protocol: chat, ***",
  ],
  [
    "the ticket of the page",
    "https://example.com/app?ticket=page-ticket-1",
    "https://example.com/app?ticket=***",
  ],
  [
    "a value in a Location",
    "Location: https://login.example/?next=%2Fchat&state=xyz",
    "Location: https://login.example/?next=***&state=***",
  ],
])("takes %s out", (_what, text, clean) => {
  expect(redact(text)).toBe(clean);
});

test("leaves alone what the protocol needs", () => {
  const text =
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: https://example.com";
  expect(redact(text)).toBe(text);
});

test("takes the value of a pair out whose name is secret, wherever it stands", () => {
  const headers = {
    headers: [
      ["Set-Cookie", "a=1"],
      ["Server", "nginx"],
    ],
    deep: [{ url: "/?a=1" }],
  };
  expect(redactDeep(headers, redact)).toEqual({
    headers: [
      ["Set-Cookie", "***"],
      ["Server", "nginx"],
    ],
    deep: [{ url: "/?a=***" }],
  });
});
