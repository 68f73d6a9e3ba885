/** The real nginx as the oracle of ordinary requests over HTTP/2: the same configuration, requests, answers and log lines. */
import type { OutgoingHttpHeaders } from "node:http2";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startHttpBackend } from "./rig/backends.ts";
import { connectHttp2, type Http2Client } from "./rig/http2-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, type ProxyOptions, startGate, startNginx } from "./rig/proxy-process.ts";
import { has, requires } from "./rig/requires.ts";

useRig();

let gate: Proxy;
let nginx: Proxy;

beforeAll(async () => {
  if (!has("nginx")) return;
  const backend = await startHttpBackend();
  const options: ProxyOptions = {
    files: { "html/page.html": "0123456789abcdef\n", "html/folder/index.html": "an index\n" },
    tolerates: [/"listen ... http2" directive is deprecated/, /client request body is buffered/],
    http: `
      log_format h '$request|$status|$body_bytes_sent|$server_protocol|$http2|$scheme|$host|$http_host|$request_uri|$uri|'
        '$http_cookie|$connection_requests|$http_x_own|$request_method|$is_args';
      access_log logs/h.log h;
      root {{prefix}}/html;
      server_tokens off;
      server {
        listen 127.0.0.1:{{port:front}} http2;
        server_name first.example;
        location / { }
        location /up/ { proxy_http_version 1.0; proxy_set_header Host $proxy_host; proxy_set_header Connection close; proxy_pass http://${backend.address}/; }
        location /small/ { client_max_body_size 10; proxy_pass http://${backend.address}/; }
        location /say { add_header X-Twice a; add_header X-Own $http_x_own; return 200 "said"; }
        location /nothing { return 204; }
        location /moved { return 301 /elsewhere; }
        location /secret { deny all; }
        location /teapot { return 418; }
        location /silent { return 444; }
        location /page-of-error { error_page 404 =404 /page.html; return 404; }
      }
      server {
        listen 127.0.0.1:{{port:front}} http2;
        server_name second.example;
        location / { return 200 "the second"; }
      }`,
  };
  gate = await startGate({ ...options, http: options.http?.replace("deny all;", "return 403;") ?? "" });
  nginx = await startNginx(options);
});

beforeEach((context) => requires(context, "nginx"));

interface Exchange {
  readonly answer: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly body?: string;
  readonly line: string;
}

/** Fields that tell of the program or the moment. */
const OWN = new Set(["server", "date", "last-modified", "etag"]);

/** A page of an error is as long as the name of the program that made it. */
function withoutOwnLength(line: string): string {
  return line.replace(/\|([345]\d\d)\|[1-9]\d*\|/, "|$1|some|");
}

async function exchange(proxy: Proxy, headers: OutgoingHttpHeaders, body: string): Promise<Exchange> {
  const client: Http2Client = await connectHttp2({ port: proxy.port(), host: "first.example" });
  const before = proxy.read("logs/h.log").length;
  const port = String(proxy.port());
  const answer = await client.request(headers, body).catch((error: unknown) => String(error));
  client.session.close();
  const [line] = await proxy.waitForFile("logs/h.log", new RegExp(`(?<=^[^]{${before}}).*\n`));
  const common = { line: withoutOwnLength(line.replaceAll(port, "PORT")) };
  if (typeof answer === "string") return { answer: "none", ...common };
  const own = answer.status < 300 ? OWN : new Set([...OWN, "content-length"]);
  const shown = Object.entries(answer.headers).filter(([name]) => !own.has(name));
  return {
    answer: "an answer",
    status: answer.status,
    headers: Object.fromEntries(shown.map(([name, value]) => [name, String(value).replaceAll(port, "PORT")])),
    // The page of an error names the program that made it.
    body: answer.body.replaceAll(port, "PORT").replaceAll("nginx", "wsgate"),
    ...common,
  };
}

const REQUESTS: readonly (readonly [what: string, headers: OutgoingHttpHeaders, body?: string])[] = [
  ["a file", { ":path": "/page.html" }],
  ["the head of a file", { ":path": "/page.html", ":method": "HEAD" }],
  ["a part of a file", { ":path": "/page.html", range: "bytes=2-5" }],
  ["a part beyond the file", { ":path": "/page.html", range: "bytes=200-" }],
  ["a file that is not there", { ":path": "/nope" }],
  ["the head of a file that is not there", { ":path": "/nope", ":method": "HEAD" }],
  [
    "a file that has not changed",
    { ":path": "/page.html", "if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT" },
  ],
  ["a folder without its slash", { ":path": "/folder" }],
  ["a folder", { ":path": "/folder/" }],
  ["a file by POST", { ":path": "/page.html", ":method": "POST" }, "x"],
  ["text", { ":path": "/say?a=1&b" }],
  ["text with a header of the request", { ":path": "/say", "x-own": "mine" }],
  ["nothing", { ":path": "/nothing" }],
  ["a redirect", { ":path": "/moved" }],
  ["what is forbidden", { ":path": "/secret" }],
  ["a status without a page", { ":path": "/teapot" }],
  ["no answer at all", { ":path": "/silent" }],
  ["an error's own page", { ":path": "/page-of-error" }],
  ["another server", { ":path": "/", ":authority": "second.example" }],
  ["a server by a name with a port, in capitals", { ":path": "/", ":authority": "SECOND.example:81" }],
  ["a server that is not there", { ":path": "/say", ":authority": "third.example" }],
  ["a path to be decoded and merged", { ":path": "/folder//%69ndex.html?x=%20" }],
  ["a path that climbs", { ":path": "/folder/../page.html" }],
  ["cookies in several fields", { ":path": "/say", cookie: ["a=1", "b=2; c=3"] }],
  ["an unusual name of a field", { ":path": "/up/", x_under: "1", "x.dot": "2" }],
  ["the upstream's answer", { ":path": "/up/x?y=1", "user-agent": "t", te: "trailers" }],
  [
    "the upstream's answer to a body",
    { ":path": "/up/post", ":method": "POST", "content-length": 4 },
    "body",
  ],
  ["the upstream's answer to a body of unknown length", { ":path": "/up/post", ":method": "PUT" }, "body"],
  [
    "a body that is too large",
    { ":path": "/small/", ":method": "POST", "content-length": 20 },
    "x".repeat(20),
  ],
  ["a body that turns out too large", { ":path": "/small/", ":method": "POST" }, "x".repeat(20)],
  ["a field as long as it may be", { ":path": "/say", "x-own": "v".repeat(8_000) }],
  ["TRACE", { ":path": "/", ":method": "TRACE" }],
];

describe("the same request gets the same answer and the same line in the log:", () => {
  test.each(REQUESTS.map(([what, headers, body]) => ({ what, headers, body })))(
    "$what",
    async ({ headers, body = "" }) => {
      const [theirs, ours] = await Promise.all([
        exchange(nginx, headers, body),
        exchange(gate, headers, body),
      ]);
      expect(ours).toEqual(theirs);
    },
  );
});
