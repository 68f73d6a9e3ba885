import { describe, expect, test } from "vitest";
import type { HeaderList } from "../http/header-list.ts";
import { type Http2Head, type HeadSettings, readHttp2Head, readHttp2Trailers } from "./http2-head.ts";

const SETTINGS: HeadSettings = {
  large_client_header_buffers: { count: 2, size: 1_000 },
  max_headers: 10,
  ignore_invalid_headers: true,
  underscores_in_headers: false,
};

const GET = [":method", "GET", ":scheme", "https", ":path", "/a?b=c", ":authority", "Host.example:8443"];
const TUNNEL = [
  ":method",
  "CONNECT",
  ":protocol",
  "websocket",
  ":scheme",
  "https",
  ":path",
  "/chat",
  ":authority",
  "a",
  "sec-websocket-version",
  "13",
];

function read(
  fields: readonly string[],
  options: { endsStream?: boolean; settings?: HeadSettings } = {},
): Http2Head {
  return readHttp2Head(fields, options.endsStream ?? true, options.settings ?? SETTINGS);
}

/** GET with fields in place of others of the same name, or after them. */
function getWith(...fields: readonly string[]): readonly string[] {
  const changed = new Map<string, string>();
  for (let i = 0; i < GET.length; i += 2) changed.set(GET[i] ?? "", GET[i + 1] ?? "");
  for (let i = 0; i < fields.length; i += 2) changed.set(fields[i] ?? "", fields[i + 1] ?? "");
  return [...changed].flat();
}

function linesOf(headers: HeaderList): readonly string[] {
  return headers.toLines().trimEnd().split("\r\n");
}

describe("a head", () => {
  test("reads as that of the same request over HTTP/1.1, its authority as Host", () => {
    const { head, fault, isTunnel } = read([...GET, "accept", "*/*"]);
    expect({ fault, isTunnel }).toEqual({ fault: null, isTunnel: false });
    expect(head).toMatchObject({
      method: "GET",
      target: "/a?b=c",
      form: "origin",
      rawPath: "/a",
      rawQuery: "b=c",
      versionMajor: 2,
      versionMinor: 0,
      host: "host.example",
      port: 8443,
      framing: { kind: "none" },
      keepAlive: true,
      upgrade: [],
    });
    expect(linesOf(head.headers)).toEqual(["accept: */*", "host: Host.example:8443"]);
  });

  test("takes its host from Host where there is no authority, and from either where both are the same", () => {
    const fields = GET.slice(0, 6);
    expect(read([...fields, "host", "b.example"]).head.host).toBe("b.example");
    const both = read([...GET, "host", "HOST.example:8443"]);
    expect(both.fault).toBeNull();
    expect(both.head.headers.getAll("host")).toEqual(["Host.example:8443"]);
  });

  test("has one Cookie, however many crumbs it came in", () => {
    const { head } = read([...GET, "cookie", "a=1", "x", "y", "cookie", "b=2; c=3"]);
    expect(head.headers.getAll("cookie")).toEqual(["a=1; b=2; c=3"]);
  });

  test.each([
    ["none, where the stream ends with it", [], true, { kind: "none" }],
    ["of unknown length", [], false, { kind: "chunked" }],
    ["of a length", ["content-length", "12"], false, { kind: "length", length: 12 }],
    ["of no bytes", ["content-length", "0"], true, { kind: "length", length: 0 }],
  ])("has a body: %s", (_what, fields, endsStream, framing) => {
    expect(read([...GET, ...fields], { endsStream }).head.framing).toEqual(framing);
  });

  test("loses fields with unusual names, unless they are allowed", () => {
    const fields = [...GET, "x_y", "1", "x.z", "2"];
    expect(linesOf(read(fields).head.headers)).toEqual(["host: Host.example:8443"]);
    const settings = { ...SETTINGS, underscores_in_headers: true };
    expect(read(fields, { settings }).head.headers.get("x_y")).toBe("1");
    const allowing = { ...SETTINGS, ignore_invalid_headers: false };
    expect(read(fields, { settings: allowing }).head.headers.get("x.z")).toBe("2");
  });

  test("may have a field whose name means something to JavaScript", () => {
    expect(
      read([...GET, "__proto__", "x"], { settings: { ...SETTINGS, ignore_invalid_headers: false } }).fault,
    ).toBeNull();
  });

  test("of OPTIONS may ask for the server as a whole", () => {
    expect(read(getWith(":method", "OPTIONS", ":path", "*")).head.form).toBe("asterisk");
  });
});

describe("an extended CONNECT", () => {
  test("reads as the opening handshake that it stands for, with a key of its own each time", () => {
    const { head, fault, isTunnel } = read(TUNNEL, { endsStream: false });
    expect({ fault, isTunnel }).toEqual({ fault: null, isTunnel: true });
    expect(head).toMatchObject({
      method: "GET",
      target: "/chat",
      upgrade: ["websocket"],
      framing: { kind: "none" },
    });
    expect(head.headers.get("upgrade")).toBe("websocket");
    expect(head.headers.get("connection")).toBe("Upgrade");
    const key = head.headers.get("sec-websocket-key");
    expect(key).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    expect(read(TUNNEL).head.headers.get("sec-websocket-key")).not.toBe(key);
  });

  test("to another protocol is not implemented", () => {
    const fields = TUNNEL.map((text) => (text === "websocket" ? "connect-udp" : text));
    expect(read(fields)).toMatchObject({ fault: { status: 501 }, isTunnel: false });
  });
});

test("CONNECT without a protocol keeps its authority, and is for route/ to refuse", () => {
  const { head, fault } = read([":method", "CONNECT", ":authority", "a.example:443"]);
  expect(fault).toBeNull();
  expect(head).toMatchObject({ method: "CONNECT", form: "authority", authority: "a.example:443", port: 443 });
});

const FAULTS: readonly (readonly [message: string, fields: readonly string[]])[] = [
  ["no :method header", GET.slice(2)],
  ["no :scheme header", [...GET.slice(0, 2), ...GET.slice(4)]],
  ["no :path header", [...GET.slice(0, 4), ...GET.slice(6)]],
  ["neither :authority nor Host header", GET.slice(0, 6)],
  ["empty :path header", getWith(":path", "")],
  ["invalid method", getWith(":method", "G T")],
  ["invalid :path header", getWith(":path", "a")],
  ["invalid :path header", getWith(":path", "/a b")],
  ["invalid :path header", getWith(":path", "/a\r\nx: y")],
  ["invalid :path header", getWith(":path", "/a#b")],
  ["invalid :path header", getWith(":path", "http://b.example/")],
  ["invalid :path header", getWith(":path", "*")],
  ["invalid :authority header", getWith(":authority", "u@a")],
  ["duplicate :path header", [...GET, ":path", "/b"]],
  ["unknown pseudo-header", [...GET, ":status", "200"]],
  ["out of order pseudo-headers", [...GET.slice(0, 6), "x", "y", ...GET.slice(6)]],
  ["invalid header name", [...GET, "X-Own", "1"]],
  ["invalid header name", [...GET, "x y", "1"]],
  ["a control byte in a header value", [...GET, "x", "a\r\nb: c"]],
  ["a control byte in a header value", [...GET, "x", "a\0b"]],
  ['the connection-specific header "connection"', [...GET, "connection", "x"]],
  ['the connection-specific header "transfer-encoding"', [...GET, "transfer-encoding", "chunked"]],
  ['the connection-specific header "upgrade"', [...GET, "upgrade", "h2c"]],
  ['the connection-specific header "keep-alive"', [...GET, "keep-alive", "1"]],
  ['the connection-specific header "proxy-connection"', [...GET, "proxy-connection", "1"]],
  ['a "te" header other than "trailers"', [...GET, "te", "gzip"]],
  ['a "Host" header that differs from :authority', [...GET, "host", "b.example"]],
  ["duplicate host header", [...GET.slice(0, 6), "host", "a", "host", "a"]],
  ["invalid host header", [...GET.slice(0, 6), "host", "a b"]],
  ["duplicate header line", [...GET, "authorization", "a", "authorization", "b"]],
  ['duplicate "Content-Length" header', [...GET, "content-length", "0", "content-length", "0"]],
  ['invalid "Content-Length" header', [...GET, "content-length", "+1"]],
  ['a "Content-Length" header without a body', [...GET, "content-length", "1"]],
  ["a :protocol header without CONNECT", [...GET.slice(0, 2), ":protocol", "websocket", ...GET.slice(2)]],
  ["a CONNECT with :scheme or :path", getWith(":method", "CONNECT")],
];

describe("a head is refused with 400 for", () => {
  test.each(FAULTS)("%s: %j", (message, fields) => {
    const { head, fault, isTunnel } = read(fields);
    expect(fault).toEqual({ status: 400, message });
    expect({ isTunnel, method: head.method, major: head.versionMajor }).toEqual({
      isTunnel: false,
      method: "",
      major: 2,
    });
  });
});

describe("a head is too large, which error_page knows as 494, with", () => {
  test.each([
    ["a value longer than a buffer", [...GET, "x", "v".repeat(1_001)]],
    ["a name longer than a buffer", [...GET, "x".repeat(1_001), "v"]],
    ["more than all buffers hold", [...GET, "x", "v".repeat(990), "y", "v".repeat(990)]],
    ["more fields than max_headers", [...GET, ...Array.from({ length: 11 }, () => ["x", "y"]).flat()]],
  ])("%s", (_what, fields) => {
    expect(read(fields).fault?.status).toBe(494);
  });
});

test("trailers lose what is no field of theirs", () => {
  const trailers = readHttp2Trailers(["x-sum", " 1 ", ":path", "/", "connection", "close", "bad", "a\nb"]);
  expect(linesOf(trailers)).toEqual(["x-sum: 1"]);
});
