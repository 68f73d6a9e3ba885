/** The same configuration and the same bytes for wsgate and for the real nginx: what comes back must be the same. */
import { describe, expect, test } from "vitest";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

interface Case {
  readonly subject: string;
  /** The inside of http { … }; servers listen on {{port:front}}. */
  readonly http: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Request targets for GET, or whole requests. */
  readonly requests: readonly string[];
}

const MAP = `
  map $http_x_kind $kind { default none; '' empty; websocket ws; ~^v(?<major>\\d+)\\.(\\d+)$ "major $major minor $2"; ~*^IMG img; }
  map $host $site { hostnames; default other; *.example.test sub; example.test main; www.* web; .both.test both; }
`;

const CASES: readonly Case[] = [
  {
    subject: "locations are chosen in nginx's order",
    http: `server { listen {{port:front}};
      location / { return 200 "root $uri\\n"; }
      location = / { return 200 "exact\\n"; }
      location /a { return 200 "a\\n"; }
      location /a/b { return 200 "ab\\n"; }
      location ^~ /a/fixed/ { return 200 "fixed\\n"; }
      location ~ \\.php$ { return 200 "php\\n"; }
      location ~* \\.(gif|JPG)$ { return 200 "image $1\\n"; }
      location /nest/ { return 200 "nest\\n"; location /nest/in/ { return 200 "in\\n"; } location ~ \\.x$ { return 200 "nested regex\\n"; } }
      location ~ ^/user/(?<id>\\d+)/(.+)$ { return 200 "user $id rest $2\\n"; }
    }`,
    requests: [
      "/",
      "/x",
      "/a",
      "/ab",
      "/a/b",
      "/a/bc",
      "/a/fixed/x.php",
      "/a/x.php",
      "/x.JPG",
      "/x.gIf",
      "/nest/",
      "/nest/in/y",
      "/nest/in/y.php",
      "/nest/q.x",
      "/nest/in/q.x",
      "/user/12/a/b",
      "/user/x/a",
      "//a//b",
      "/./a/../a/b",
      "/a%2Fb",
      "/%61",
      "/a?x=1",
    ],
  },
  {
    subject: "servers are chosen by name",
    http: `server_names_hash_bucket_size 128;
      server { listen {{port:front}}; server_name exact.test ""; return 200 "exact\\n"; }
      server { listen {{port:front}}; server_name *.wild.test; return 200 "leading\\n"; }
      server { listen {{port:front}}; server_name mail.*; return 200 "trailing\\n"; }
      server { listen {{port:front}}; server_name .dot.test; return 200 "dot\\n"; }
      server { listen {{port:front}}; server_name ~^(?<who>\\w+)\\.re\\.test$; return 200 "regex $who\\n"; }
      server { listen {{port:front}} default_server; server_name _; return 200 "default $host $server_name\\n"; }`,
    requests: [
      "exact.test",
      "EXACT.test",
      "exact.test.",
      "exact.test:8080",
      "a.wild.test",
      "a.b.wild.test",
      "wild.test",
      "mail.example.org",
      "mail.wild.test",
      "dot.test",
      "x.dot.test",
      "joe.re.test",
      "nobody.test",
      "127.0.0.1",
      "[::1]",
      "[::1]:80",
    ].map((host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
  },
  {
    subject: "maps give the same values",
    http: `${MAP} server { listen {{port:front}}; return 200 "$kind|$site\\n"; }`,
    requests: [
      ...["", "websocket", "WebSocket", "v1.2", "v10.20.30", "img.png", "xv1.2"].map(
        (kind) => `GET / HTTP/1.1\r\nHost: example.test\r\nX-Kind: ${kind}\r\nConnection: close\r\n\r\n`,
      ),
      ...["a.example.test", "www.anything.org", "both.test", "x.both.test", "example.testing"].map(
        (host) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      ),
    ],
  },
  {
    subject: "rewrites, conditions and returns",
    http: `server { listen {{port:front}};
      rewrite ^/old/(.*)$ /new/$1;
      rewrite ^/perm/(.*)$ /new/$1 permanent;
      rewrite ^/temp/(.*)$ /new/$1 redirect;
      rewrite ^/abs$ http://other.test/x redirect;
      location /new/ { return 200 "new $uri $args\\n"; }
      location /last/ { rewrite ^/last/(.*)$ /new/$1?from=last&x=$1 last; return 500; }
      location /break/ { rewrite ^/break/(.*)$ /inner/$1 break; return 200 "not reached $uri\\n"; }
      location /drop/ { rewrite ^/drop/(.*)$ /new/$1? last; }
      location /loop { rewrite ^/loop /loop; }
      location /if/ {
        set $a "unset";
        if ($arg_a = 1) { set $a one; }
        if ($arg_a != "") { set $b "$a!"; }
        if ($arg_a ~ ^x(\\d+)$) { set $a "number $1"; }
        if ($arg_a ~* ^Y) { return 201 "ypsilon\\n"; }
        if ($request_method = POST) { return 405; }
        if ($http_user_agent !~ curl) { set $c nocurl; }
        return 200 "$a|$b|$c\\n";
      }
      location /codes/200 { return 200; }
      location /codes/204 { return 204; }
      location /codes/301 { return 301 /elsewhere?x=1; }
      location /codes/302 { return 302 https://other.test$request_uri; }
      location /codes/308 { return 308 /x; }
      location /codes/403 { return 403; }
      location /codes/404 { return 404 "text\\n"; }
      location /codes/410 { return 410; }
      location /codes/503 { return 503; }
      location /url { return http://other.test/$host; }
    }`,
    requests: [
      "/old/a",
      "/old/a?q=1",
      "/perm/a%20b?q=1",
      "/temp/ü",
      "/abs?q=1",
      "/last/a?q=1",
      "/last/a%26b?q=1",
      "/drop/a?q=1",
      "/loop",
      "/if/",
      "/if/?a=1",
      "/if/?a=x12",
      "/if/?a=Yes",
      "/codes/200",
      "/codes/204",
      "/codes/301",
      "/codes/302?y=1",
      "/codes/308",
      "/codes/403",
      "/codes/404",
      "/codes/410",
      "/codes/503",
      "/url",
      "POST /if/ HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
  },
  {
    subject: "files, index, try_files and error pages",
    http: `types { text/html html; text/css css; } default_type application/octet-stream;
    server { listen {{port:front}}; error_page 404 /404.html; error_page 403 = @named; error_page 410 =200 /page.html;
      location /try/ { try_files $uri $uri/ /page.html; }
      location /trycode/ { try_files $uri =418; }
      location /trynamed/ { try_files $uri @named; }
      location /alias/ { alias {{prefix}}/html/sub/; }
      location ~ ^/re/(.*)$ { alias {{prefix}}/html/$1; }
      location /gone { return 410; }
      location = /404.html { internal; }
      location /priv/ { internal; }
      location @named { return 200 "named $uri\\n"; }
      location /redirectpage { error_page 404 http://other.test/; }
      location /charset/ { charset utf-8; alias {{prefix}}/html/; }
    }`,
    files: {
      "html/page.html": "page\n",
      "html/404.html": "sorry\n",
      "html/index.html": "index\n",
      "html/sub/a.css": "a{}\n",
      "html/sub/index.html": "sub index\n",
      "html/empty/x": "x",
      "html/try/f": "f\n",
    },
    requests: [
      "/",
      "/page.html",
      "/nothing",
      "/sub",
      "/sub/",
      "/sub?x=1",
      "/sub/a.css",
      "/empty/",
      "/try/f",
      "/try/none",
      "/trycode/x",
      "/trynamed/x",
      "/alias/a.css",
      "/alias/",
      "/alias/none",
      "/re/page.html",
      "/gone",
      "/404.html",
      "/priv/x",
      "/redirectpage/x",
      "/charset/page.html",
      "/charset/sub/a.css",
      "HEAD /page.html HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n",
      "POST /page.html HTTP/1.1\r\nHost: example.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      "GET /page.html HTTP/1.1\r\nHost: example.test\r\nRange: bytes=1-2\r\nConnection: close\r\n\r\n",
      "GET /page.html HTTP/1.1\r\nHost: example.test\r\nRange: bytes=9-\r\nConnection: close\r\n\r\n",
      "GET /page.html HTTP/1.1\r\nHost: example.test\r\nRange: bytes=-2\r\nConnection: close\r\n\r\n",
      "GET /page.html HTTP/1.1\r\nHost: example.test\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n",
      'GET /page.html HTTP/1.1\r\nHost: example.test\r\nIf-Match: "x"\r\nConnection: close\r\n\r\n',
    ],
  },
  {
    subject: "headers added to answers",
    http: `add_header X-Outer outer; server { listen {{port:front}};
      location /inherit { return 200 "x"; }
      location /own { add_header X-Own "$uri"; add_header X-Empty ""; return 200 "x"; }
      location /error { add_header X-Sometimes a; add_header X-Always b always; return 404 "x"; }
      location /expires/epoch { expires epoch; return 200 "x"; }
      location /expires/max { expires max; return 200 "x"; }
      location /expires/off { expires off; return 200 "x"; }
      location /expires/neg { expires -1; return 200 "x"; }
      location /tokens { server_tokens off; return 404; }
    }`,
    requests: [
      "/inherit",
      "/own",
      "/error",
      "/expires/epoch",
      "/expires/max",
      "/expires/off",
      "/expires/neg",
      "/tokens",
    ],
  },
  {
    subject: "requests that are refused",
    http: `large_client_header_buffers 2 1k; client_max_body_size 10; server { listen {{port:front}}; return 200 "ok\\n"; location /body { } }`,
    requests: [
      "GET / HTTP/1.1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
      `GET /${"x".repeat(1100)} HTTP/1.1\r\nHost: a\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(1100)}\r\n\r\n`,
      "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n",
      "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
      "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET http://b.test/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      "GET / HTTP/1.0\r\n\r\n",
      "\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
      "GET /a b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
  },
];

/** What is compared: everything but what differs by nature. */
interface Comparable {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

async function answerOf(proxy: Proxy, request: string): Promise<Comparable> {
  const whole = request.startsWith("/")
    ? `GET ${request} HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n`
    : request;
  const peer = await connectRaw({ port: proxy.port() });
  await peer.send(Buffer.from(whole, "utf8").toString("latin1"));
  const response = await readResponse(peer, whole.trimStart().split(" ")[0]);
  await peer.close();
  const neutral = (text: string): string =>
    text
      .replaceAll(proxy.prefix, "PREFIX")
      .replaceAll(`:${proxy.port()}`, ":PORT")
      .replace(/(nginx|wsgate)\/\d+\.\d+\.\d+/g, "PRODUCT")
      .replace(/<center>(nginx|wsgate)<\/center>/g, "<center>PRODUCT</center>");
  const headers = response.headers
    .map(([name, value]) => `${name.toLowerCase()}: ${neutral(value)}`)
    .map((line) =>
      line
        .replace(/^(date|last-modified): .*/, "$1: DATE")
        .replace(/^etag: "[\da-f]+-/, 'etag: "TIME-')
        .replace(/^server: (nginx|wsgate)$/, "server: PRODUCT"),
    )
    .map((line) => line.replace(/^content-length: .*/, "content-length: N"));
  return { status: response.status, headers: headers.sort(), body: neutral(response.body) };
}

describe("beside the real nginx", () => {
  for (const { subject, http, files, requests } of CASES) {
    test(subject, async (context) => {
      requires(context, "nginx");
      const [gate, nginx] = await Promise.all([
        startGate({ http, ...(files === undefined ? {} : { files }) }),
        startNginx({ http, ...(files === undefined ? {} : { files }) }),
      ]);
      const differences: unknown[] = [];
      for (const request of requests) {
        const [ours, theirs] = [await answerOf(gate, request), await answerOf(nginx, request)];
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) differences.push({ request, ours, theirs });
      }
      expect(differences).toEqual([]);
    });
  }
});

test("addresses that share a port with a wildcard are told apart by the local address, as nginx does", async (context) => {
  requires(context, "nginx");
  const http = `
    server { listen {{port:front}}; server_name x; return 200 "wildcard\\n"; }
    server { listen 127.0.0.2:{{port:front}}; return 200 "specific\\n"; }`;
  for (const proxy of [await startGate({ http }), await startNginx({ http })]) {
    const bodies: string[] = [];
    for (const host of ["127.0.0.1", "127.0.0.2", "127.0.0.3"]) {
      const peer = await connectRaw({ host, port: proxy.port() });
      await peer.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      bodies.push((await readResponse(peer)).body);
      await peer.close();
    }
    expect(bodies).toEqual(["wildcard\n", "specific\n", "wildcard\n"]);
  }
});
