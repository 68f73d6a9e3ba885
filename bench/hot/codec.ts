/** The HTTP/1.1 codec: heads read, kept, and written. */
import { RequestHeadParser, ResponseHeadParser } from "../../src/http/head-parser.ts";
import { HeaderList } from "../../src/http/header-list.ts";
import type { HotFunction } from "../loop.ts";

function head(...lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

const SMALL_REQUEST: Buffer = head(
  "GET /bytes/100 HTTP/1.1",
  "Host: bench.test",
  "User-Agent: bench",
  "Accept: */*",
);

const BROWSER_REQUEST: Buffer = head(
  "GET /articles/2026/proxies?page=2&sort=newest HTTP/1.1",
  "Host: www.example.com",
  "Connection: keep-alive",
  'sec-ch-ua: "Chromium";v="142", "Not;A=Brand";v="8"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "Upgrade-Insecure-Requests: 1",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Mode: navigate",
  "Sec-Fetch-User: ?1",
  "Sec-Fetch-Dest: document",
  "Referer: https://www.example.com/articles",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-US,en;q=0.9",
  "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
);

const UPGRADE_REQUEST: Buffer = head(
  "GET /chat HTTP/1.1",
  "Host: www.example.com",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Origin: https://www.example.com",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
);

const RESPONSE: Buffer = head(
  "HTTP/1.1 200 OK",
  "Date: Sat, 21 Nov 2026 12:00:00 GMT",
  "Content-Type: text/html; charset=utf-8",
  "Content-Length: 10240",
  "Cache-Control: no-cache",
  'ETag: "5f2a-61b"',
  "Connection: keep-alive",
);

/** Reads `bytes` as a whole head; in as many pieces as `cuts` make. */
function readRequest(bytes: Buffer, ...cuts: readonly number[]): () => unknown {
  const parser = new RequestHeadParser();
  const ends = [...cuts, bytes.length];
  return () => {
    parser.reset();
    let start = 0;
    for (const end of ends) start += parser.execute(bytes, start, end);
    return parser.head;
  };
}

function readResponse(bytes: Buffer): () => unknown {
  const parser = new ResponseHeadParser("GET");
  return () => {
    parser.reset();
    parser.execute(bytes, 0, bytes.length);
    return parser.head;
  };
}

function headersOf(request: Buffer): HeaderList {
  const parser = new RequestHeadParser();
  parser.execute(request, 0, request.length);
  return parser.head?.headers ?? new HeaderList();
}

/** What `proxy_pass` does to the header list of a request: a copy without some, with some of its own. */
function rewritten(headers: HeaderList): HeaderList {
  const upstream = new HeaderList();
  for (let i = 0; i < headers.length; i++) {
    upstream.appendFrom(headers, i);
  }
  upstream.delete("connection");
  upstream.set("Host", "backend");
  upstream.append("X-Forwarded-For", "192.0.2.1");
  return upstream;
}

/** A head is a rope of strings until somebody wants its bytes; so the bytes are what is timed. */
const scratch: Buffer = Buffer.alloc(16 * 1024);

const browserHeaders: HeaderList = headersOf(BROWSER_REQUEST);

export const codec: readonly HotFunction[] = [
  { name: "read a request head, 3 fields", run: readRequest(SMALL_REQUEST) },
  { name: "read a request head, 16 fields, as a browser sends it", run: readRequest(BROWSER_REQUEST) },
  { name: "read the same in two pieces", run: readRequest(BROWSER_REQUEST, 333) },
  { name: "read an opening handshake", run: readRequest(UPGRADE_REQUEST) },
  { name: "read a response head, 6 fields", run: readResponse(RESPONSE) },
  { name: "find the last of 16 header fields", run: () => browserHeaders.get("cookie") },
  { name: "miss among 16 header fields", run: () => browserHeaders.get("x-absent") },
  { name: "copy 16 header fields, drop one, set one, add one", run: () => rewritten(browserHeaders) },
  {
    name: "write a request head, 16 fields, to bytes",
    run: () => scratch.write(`GET /articles/2026 HTTP/1.1\r\n${browserHeaders.toLines()}\r\n`, "latin1"),
  },
];
