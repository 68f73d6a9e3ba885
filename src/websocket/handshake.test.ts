import { describe, expect, test } from "vitest";
import {
  type RequestHead,
  RequestHeadParser,
  type ResponseHead,
  ResponseHeadParser,
} from "../http/head-parser.ts";
import { acceptFor, brokenClientRule, brokenUpstreamRule, clientHandshake } from "./handshake.ts";

/** The example of RFC 6455 section 1.3. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Fields = Readonly<Record<string, string | readonly string[] | null>>;

/** Lines of a head; a field that is null is left out, one with several values has as many lines. */
function lines(fields: Fields): string {
  return Object.entries(fields)
    .flatMap(([name, value]) => (value === null ? [] : [value].flat().map((each) => `${name}: ${each}\r\n`)))
    .join("");
}

function request(changes: Fields = {}, startLine = "GET /chat HTTP/1.1"): RequestHead {
  const fields = {
    Host: "example.test",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    ...changes,
  };
  const bytes = Buffer.from(`${startLine}\r\n${lines(fields)}\r\n`, "latin1");
  const parser = new RequestHeadParser();
  parser.execute(bytes, 0, bytes.length);
  if (parser.head === null) throw new Error(parser.error?.message ?? "the head is not complete");
  return parser.head;
}

function response(changes: Fields = {}, version = "HTTP/1.1"): ResponseHead {
  const fields = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": ACCEPT, ...changes };
  const bytes = Buffer.from(`${version} 101 Switching Protocols\r\n${lines(fields)}\r\n`, "latin1");
  const parser = new ResponseHeadParser("GET");
  parser.execute(bytes, 0, bytes.length);
  if (parser.head === null) throw new Error(parser.error?.message ?? "the head is not complete");
  return parser.head;
}

test("the accept of a key is that of the RFC's example", () => {
  expect(acceptFor(KEY)).toBe(ACCEPT);
});

describe("a client's opening handshake", () => {
  const valid: readonly (readonly [string, RequestHead])[] = [
    ["as short as it may be", request()],
    ["with other options in Connection", request({ Connection: "keep-alive, UPGRADE" })],
    ["with the protocol in capitals", request({ Upgrade: "WebSocket" })],
    [
      "with several subprotocols in several lines",
      request({ "Sec-WebSocket-Protocol": ["chat, soap", "wamp"] }),
    ],
    [
      "with extensions",
      request({
        "Sec-WebSocket-Extensions":
          'permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits="10"; x=y, z',
      }),
    ],
    ["that announces a body of no bytes", request({ "Content-Length": "0" })],
    ["in absolute form", request({}, "GET http://other.test/chat HTTP/1.1")],
  ];

  test.each(valid)("%s is valid", (_what, head) => {
    expect(brokenClientRule(head, "strict")).toBeNull();
    expect(brokenClientRule(head, "relaxed")).toBeNull();
  });

  const broken: readonly (readonly [string, string, RequestHead])[] = [
    ["method", "is a POST", request({}, "POST /chat HTTP/1.1")],
    ["http-version", "is HTTP/1.0", request({}, "GET /chat HTTP/1.0")],
    ["no-body", "has a body", request({ "Content-Length": "5" })],
    ["no-body", "has a body in chunks", request({ "Transfer-Encoding": "chunked" })],
    ["connection", "has no Connection", request({ Connection: null })],
    ["connection", "asks to keep the connection alive and no more", request({ Connection: "keep-alive" })],
    ["key", "has no key", request({ "Sec-WebSocket-Key": null })],
    ["key", "has two keys", request({ "Sec-WebSocket-Key": [KEY, KEY] })],
    ["key", "has a key of 15 bytes", request({ "Sec-WebSocket-Key": Buffer.alloc(15).toString("base64") })],
    ["key", "has a key of 17 bytes", request({ "Sec-WebSocket-Key": Buffer.alloc(17).toString("base64") })],
    ["key", "has a key that is not base64", request({ "Sec-WebSocket-Key": "d!hlIHNhbXBsZSBub25jZQ==" })],
    ["version", "has no version", request({ "Sec-WebSocket-Version": null })],
    ["version", "has version 8", request({ "Sec-WebSocket-Version": "8" })],
    ["version", "lists versions", request({ "Sec-WebSocket-Version": "13, 8" })],
    ["subprotocols", "has an empty list of subprotocols", request({ "Sec-WebSocket-Protocol": "" })],
    ["subprotocols", "names a subprotocol twice", request({ "Sec-WebSocket-Protocol": ["a, b", "a"] })],
    ["subprotocols", "has a subprotocol that is no token", request({ "Sec-WebSocket-Protocol": "a b" })],
    ["extensions", "has an extension that is no token", request({ "Sec-WebSocket-Extensions": "a b" })],
    ["extensions", "has a parameter without a name", request({ "Sec-WebSocket-Extensions": "a; =1" })],
    ["extensions", "leaves a quotation open", request({ "Sec-WebSocket-Extensions": 'a; b="c' })],
  ];

  test.each(broken)("breaks the rule %s when it %s", (rule, _what, head) => {
    expect(brokenClientRule(head, "strict")?.name).toBe(rule);
  });

  test("is held to the safe rules alone when relaxed", () => {
    const stillHeld = broken.filter(([, , head]) => brokenClientRule(head, "relaxed") !== null);
    expect(new Set(stillHeld.map(([rule]) => rule))).toEqual(new Set(["method", "http-version", "no-body"]));
  });

  test("may offer as many subprotocols as a head has room for", () => {
    const names = Array.from({ length: 900 }, (_, i) => `p${i}`).join(" ,\t");
    expect(brokenClientRule(request({ "Sec-WebSocket-Protocol": names }), "strict")).toBeNull();
  });
});

describe("an upstream's answer to it", () => {
  const client = clientHandshake(
    request({
      "Sec-WebSocket-Protocol": "chat, soap",
      "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
    }),
    false,
  );

  test.each([
    ["as short as it may be", response()],
    ["in other letters", response({ Upgrade: "WEBSOCKET", Connection: "upgrade" })],
    ["that chooses a subprotocol", response({ "Sec-WebSocket-Protocol": "soap" })],
    [
      "that accepts an extension",
      response({ "Sec-WebSocket-Extensions": "Permessage-Deflate; server_no_context_takeover" }),
    ],
  ] as const)("%s begins the tunnel", (_what, head) => {
    expect(brokenUpstreamRule(head, client, "strict")).toBeNull();
  });

  test.each([
    ["upgrade", "has no Upgrade", response({ Upgrade: null })],
    ["upgrade", "upgrades to something else", response({ Upgrade: "h2c" })],
    ["upgrade", "upgrades to two protocols", response({ Upgrade: "websocket, h2c" })],
    ["connection", "has no Connection", response({ Connection: null })],
    ["http-version", "is HTTP/1.0", response({}, "HTTP/1.0")],
    ["accept", "has no accept", response({ "Sec-WebSocket-Accept": null })],
    ["accept", "answers another key", response({ "Sec-WebSocket-Accept": acceptFor("another") })],
    ["accept", "has two accepts", response({ "Sec-WebSocket-Accept": [ACCEPT, ACCEPT] })],
    ["extensions", "accepts what was not offered", response({ "Sec-WebSocket-Extensions": "x-webkit" })],
    ["extensions", "breaks the grammar", response({ "Sec-WebSocket-Extensions": "permessage-deflate; =" })],
    [
      "compression",
      "agrees on parameters that were not offered",
      response({ "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }),
    ],
    ["subprotocol", "chooses what was not offered", response({ "Sec-WebSocket-Protocol": "wamp" })],
    ["subprotocol", "chooses in other letters", response({ "Sec-WebSocket-Protocol": "CHAT" })],
    ["subprotocol", "chooses two", response({ "Sec-WebSocket-Protocol": ["chat", "soap"] })],
  ] as const)("breaks the rule %s when it %s", (rule, _what, head) => {
    expect(brokenUpstreamRule(head, client, "strict")?.name).toBe(rule);
    const isAlwaysHeld = rule === "upgrade";
    expect(brokenUpstreamRule(head, client, "relaxed")?.name).toBe(isAlwaysHeld ? rule : undefined);
  });
});
