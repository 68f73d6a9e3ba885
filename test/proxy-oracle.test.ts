/**
 * The same configuration and the same bytes for wsgate and for the real nginx in front of the same upstream: what reaches
 * the upstream, and what comes back to the client, must be the same.
 */
import { describe, expect, test } from "vitest";
import { type RawBackend, startRawBackend } from "./rig/backends.ts";
import { type HttpMessage, readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

interface Case {
  readonly subject: string;
  /** Locations of the server; the upstream is {{upstream}}. */
  readonly locations: string;
  /** Answers by the path of the target as the upstream sees it; the others get a plain 200. */
  readonly answers?: Readonly<Record<string, string>>;
  /** Request targets for GET, or whole requests. */
  readonly requests: readonly string[];
}

/** What the defaults have become since the oracle's version. */
const MODERN = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $proxy_host;';
const PLAIN = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain";

function get(target: string, ...headers: string[]): string {
  return `GET ${target} HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n${headers.map((line) => `${line}\r\n`).join("")}\r\n`;
}

function answer(status: string, headers: readonly string[], body = ""): string {
  return `HTTP/1.1 ${status}\r\n${headers.map((line) => `${line}\r\n`).join("")}Content-Length: ${body.length}\r\n\r\n${body}`;
}

const CASES: readonly Case[] = [
  {
    subject: "targets",
    locations: `
      location / { proxy_pass http://{{upstream}}; }
      location /uri/ { proxy_pass http://{{upstream}}/other/; }
      location /bare { proxy_pass http://{{upstream}}/x; }
      location /cut/ { proxy_pass http://{{upstream}}/; }
      location ~ ^/re/ { proxy_pass http://{{upstream}}; }
      location /var/ { set $where /v; proxy_pass http://{{upstream}}$where; }
      location /vararg/ { proxy_pass http://{{upstream}}/y?a=$arg_a; }
      location /rw/ { rewrite ^/rw/(.*)$ /changed/$1?q=1; }
      location /rwbreak/ { rewrite ^/rwbreak/(.*)$ /b/$1 break; proxy_pass http://{{upstream}}; }
      location /rwuri/ { rewrite ^/rwuri/(.*)$ /b/$1 break; proxy_pass http://{{upstream}}/lost/; }
      location /named/ { try_files /nothing @up; }
      location @up { proxy_pass http://{{upstream}}; }
      location /if/ { if ($arg_x) { set $y 1; } proxy_pass http://{{upstream}}; }
      location /ifpass/ { if ($arg_x) { proxy_pass http://{{upstream}}; } return 204; }
      location /ifuri/ { proxy_pass http://{{upstream}}/u/; if ($arg_x) { set $y 1; } }
    `,
    requests: [
      "/",
      "/a%20b/../c?d=%20&e",
      "//a///b/",
      "/a%2Fb%3fc",
      "/a?",
      "/uri/",
      "/uri/a%20b%2Fc?x=1",
      "/uri/a/../b//c",
      "/uri/%3F%23%25",
      "/uri",
      "/bare",
      "/bareest/z?q",
      "/cut/a",
      "/re/x%20y?z",
      "/var/x?y",
      "/vararg/?a=b%20c",
      "/rw/z%20z?p=2",
      "/rwbreak/z?p",
      "/rwuri/z",
      "/named/q%20q?r",
      "/if/a%20?x=1",
      "/ifpass/a?x=1",
      "/ifpass/a",
      "/ifuri/a?x=1",
      get("http://absolute.test/p%20q?r", "X-A: 1"),
      get("http://absolute.test"),
      get('/a"b<c>'),
    ],
  },
  {
    subject: "request headers",
    locations: `
      location / { proxy_pass http://{{upstream}}; ${MODERN} }
      location /set { proxy_pass http://{{upstream}}; ${MODERN}
        proxy_set_header X-One 1; proxy_set_header x-two "$http_x_in $remote_addr"; proxy_set_header X-Empty "";
        proxy_set_header User-Agent ""; proxy_set_header Accept-Encoding ""; proxy_set_header X-One again; }
      location /host { proxy_pass http://{{upstream}}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; }
      location /hosthttp { proxy_pass http://{{upstream}}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host:8; }
      location /xff { proxy_pass http://{{upstream}}; ${MODERN} proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Port $proxy_port; proxy_set_header X-Uri $uri; }
      location /none { proxy_pass http://{{upstream}}; ${MODERN} proxy_pass_request_headers off; }
      location /method { proxy_pass http://{{upstream}}; ${MODERN} proxy_method PROPFIND; }
      location /literal { proxy_pass http://{{upstream}}; proxy_http_version 1.1; proxy_set_header Host $proxy_host; proxy_set_header Upgrade websocket; proxy_set_header Connection "keep-alive"; }
      location /map { proxy_pass http://{{upstream}}; proxy_http_version 1.1; proxy_set_header Host $proxy_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }
    `,
    requests: [
      get("/", "X-B: b", "x-a: a", "Accept: */*", "X-B: c", "Cookie: a=1", "Cookie: b=2"),
      get("/", "TE: trailers", "Keep-Alive: 5", "Expect-X: y", "Proxy-Authorization: x"),
      get("/set", "X-In: in", "X-One: forged", "User-Agent: curl", "Accept-Encoding: gzip"),
      get("/host"),
      get("/hosthttp"),
      get("/xff", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 5.6.7.8"),
      get("/xff%20y"),
      get("/none", "X-A: 1", "Cookie: a"),
      get("/method"),
      get("/literal"),
      get("/map"),
      "GET /old HTTP/1.0\r\n\r\n",
      "GET /old HTTP/1.0\r\nHost: old.test\r\nConnection: keep-alive\r\n\r\n",
    ],
  },
  {
    subject: "request bodies",
    locations: `
      location / { proxy_pass http://{{upstream}}; ${MODERN} }
      location /stream { proxy_pass http://{{upstream}}; ${MODERN} proxy_request_buffering off; }
      location /set { proxy_pass http://{{upstream}}; ${MODERN} proxy_set_body "a=$arg_a"; }
      location /nobody { proxy_pass http://{{upstream}}; ${MODERN} proxy_pass_request_body off; proxy_set_header Content-Length ""; }
    `,
    // nginx sends a length with a streamed body that has come as a whole by chance: "/stream" has no chunks here.
    requests: ["/", "/stream", "/set?a=b", "/nobody"].flatMap((target) => [
      `POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello`,
      `POST ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      `DELETE ${target.replace("stream", "")} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n`,
      `OPTIONS ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    ]),
  },
  {
    subject: "answers",
    locations: `
      location / { proxy_pass http://{{upstream}}; ${MODERN} }
      location /hide { proxy_pass http://{{upstream}}; ${MODERN} proxy_hide_header X-Secret; proxy_hide_header content-type; }
      location /pass { proxy_pass http://{{upstream}}; ${MODERN} proxy_pass_header Server; proxy_pass_header X-Accel-Expires; proxy_pass_header date; }
      location /unbuffered { proxy_pass http://{{upstream}}; ${MODERN} proxy_buffering off; }
    `,
    answers: Object.fromEntries(
      ["/", "/hide", "/pass", "/unbuffered"].flatMap((prefix) => {
        const at = (name: string): string => (prefix === "/" ? `/${name}` : `${prefix}/${name}`);
        return [
          [
            at("headers"),
            answer(
              "200 Fine",
              [
                "Server: up",
                "Date: Sat, 21 Nov 2026 00:00:00 GMT",
                "X-Secret: s",
                "x-lower: l",
                "Content-Type: text/x",
                "X-Accel-Expires: 5",
                "X-Pad: p",
                "Keep-Alive: timeout=1",
                "Set-Cookie: a=1; Path=/",
                "Set-Cookie: b=2",
                'ETag: "e"',
                "Last-Modified: Sat, 21 Nov 2026 00:00:00 GMT",
                "Vary: a",
                "Link: <x>",
              ],
              "body",
            ),
          ],
          [at("chunked"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
          [at("nocontent"), "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"],
          [at("notmodified"), 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'],
          [at("odd"), "HTTP/1.1 299 Odd Status\r\nContent-Length: 0\r\n\r\n"],
          [at("noreason"), "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"],
          [at("error"), answer("500 Oops", ["Content-Type: text/plain"], "broken")],
          [at("early"), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"],
        ];
      }),
    ),
    requests: ["/pass/headers"].concat(
      ["", "/hide", "/unbuffered"]
        .flatMap((prefix) =>
          ["headers", "chunked", "nocontent", "notmodified", "odd", "noreason", "error"].map(
            (name) => `${prefix}/${name}`,
          ),
        )
        .flatMap((target) => [
          get(target),
          get(target).replace("GET", "HEAD"),
          `GET ${target} HTTP/1.0\r\n\r\n`,
        ]),
    ),
  },
  {
    subject: "redirects",
    locations: `
      location / { proxy_pass http://{{upstream}}; ${MODERN} }
      location /one/ { proxy_pass http://{{upstream}}/two/; ${MODERN} }
      location /off/ { proxy_pass http://{{upstream}}/two/; ${MODERN} proxy_redirect off; }
      location /own/ { proxy_pass http://{{upstream}}/two/; ${MODERN} proxy_redirect http://other.test/ /other/; proxy_redirect ~^http://re\\.test/(.*)$ /re/$1/$arg_q; proxy_redirect ~*^(?<whole>HTTPS?://i\\.test) $whole/x; proxy_redirect default; }
      location /relative/ { proxy_pass http://{{upstream}}/two/; ${MODERN} absolute_redirect off; }
      location /var/ { set $s ""; proxy_pass http://{{upstream}}$s; ${MODERN} proxy_redirect http://$proxy_host/ /v/; }
    `,
    answers: Object.fromEntries(
      [
        "http://UPSTREAM/x",
        "http://UPSTREAM/two/x?y",
        "http://UPSTREAM",
        "/plain",
        "relative",
        "http://other.test/a",
        "http://re.test/b",
        "http://I.TEST/c",
        "//scheme.test/",
      ].flatMap((location, index) =>
        ["/two", "/var", ""].map((prefix) => [
          `${prefix}/${index}`,
          answer("302 Found", [`Location: ${location}`, `Refresh: 3; url=${location}`]),
        ]),
      ),
    ),
    requests: ["", "/one", "/off", "/own", "/relative", "/var"].flatMap((prefix) =>
      Array.from({ length: 9 }, (_, index) => `${prefix}/${index}${prefix === "/own" ? "?q=1" : ""}`),
    ),
  },
  {
    subject: "cookies",
    locations: `
      location / { proxy_pass http://{{upstream}}; }
      location /domain/ { proxy_pass http://{{upstream}}; proxy_cookie_domain old.test new.test; proxy_cookie_domain .dot.test .newdot.test; proxy_cookie_domain ~^(.*)\\.re\\.test$ $1.$host; }
      location /path/ { proxy_pass http://{{upstream}}; proxy_cookie_path /a/ /b/; proxy_cookie_path ~^/r/(.*) /R/$1; proxy_cookie_path ~*^/i(.*) /j$1; }
      location /flags/ { proxy_pass http://{{upstream}}; proxy_cookie_flags one secure httponly samesite=strict; proxy_cookie_flags ~^t nosecure nohttponly nosamesite; proxy_cookie_flags $arg_name samesite=lax; }
      location /off/ { proxy_pass http://{{upstream}}; proxy_cookie_path off; proxy_cookie_flags off; proxy_cookie_domain off; }
    `,
    answers: Object.fromEntries(
      ["", "/domain", "/path", "/flags", "/off"].map((prefix) => [
        `${prefix}/`,
        answer("200 OK", [
          "Set-Cookie: one=1; Domain=old.test; Path=/a/x",
          "Set-Cookie: two=2;domain=.OLD.test ;  path=/r/y; Secure; HttpOnly; SameSite=None",
          "Set-Cookie: TWO=2; domain=dot.test; path=/I/y; secure",
          "Set-Cookie: three=a=b; Domain=x.re.test; Max-Age=1",
          "Set-Cookie: ONE; path",
          "Set-Cookie: ONE=1; path",
          "Set-Cookie: named=n; samesite=strict;",
        ]),
      ]),
    ),
    requests: ["/", "/domain/", "/path/", "/flags/", "/flags/?name=named", "/off/"],
  },
  {
    subject: "what an answer can make the proxy do",
    locations: `
      location / { proxy_pass http://{{upstream}}; ${MODERN} }
      location /intercept { proxy_pass http://{{upstream}}; ${MODERN} proxy_intercept_errors on; error_page 404 500 401 /page; error_page 403 =200 @named; }
      location /pass { proxy_pass http://{{upstream}}; ${MODERN} error_page 404 /page; }
      location = /page { internal; return 200 "page $upstream_status\\n"; }
      location @named { return 200 "named\\n"; }
      location /inside { internal; return 200 "inside $args\\n"; }
      location /ignore { proxy_pass http://{{upstream}}; ${MODERN} proxy_ignore_headers X-Accel-Redirect; }
    `,
    answers: {
      "/intercept/404": answer("404 Not Found", ["X-Up: 1"], "theirs"),
      "/intercept/401": answer("401 Unauthorized", ['WWW-Authenticate: Basic realm="x"'], "theirs"),
      "/intercept/403": answer("403 Forbidden", [], "theirs"),
      "/intercept/502": answer("502 Bad", [], "theirs"),
      "/pass/404": answer("404 Not Found", [], "theirs"),
      "/accel": answer(
        "200 OK",
        ["X-Accel-Redirect: /inside?a=b", "X-Other: x", "Set-Cookie: c=1"],
        "theirs",
      ),
      "/accelnamed": answer("200 OK", ["X-Accel-Redirect: @named"], "theirs"),
      "/ignore/accel": answer("200 OK", ["X-Accel-Redirect: /inside"], "theirs"),
    },
    requests: [
      "/intercept/404",
      "/intercept/401",
      "/intercept/403",
      "/intercept/502",
      "/pass/404",
      "/accel",
      "/accelnamed",
      "/ignore/accel",
    ],
  },
];

/** What the upstream and the client saw, line by line, with what differs by nature made the same. */
async function exchange(proxy: Proxy, backend: RawBackend, request: string): Promise<readonly string[]> {
  const whole = request.startsWith("/") ? get(request) : request;
  const requestsBefore = backend.requests.length;
  const peer = await connectRaw({ port: proxy.port() });
  await peer.send(whole);
  const response = await readResponse(peer, whole.split(" ")[0]);
  await peer.close();
  const neutral = (text: string): string =>
    text
      .replaceAll(proxy.prefix, "PREFIX")
      .replaceAll(`:${proxy.port()}`, ":PORT")
      .replaceAll(backend.address, "UPSTREAM")
      .replaceAll(String(backend.port), "UPSTREAM-PORT")
      .replace(/(nginx|wsgate)\/\d+\.\d+\.\d+/g, "PRODUCT")
      .replace(/<center>(nginx|wsgate)<\/center>/g, "<center>PRODUCT</center>");
  const line = ([name, value]: HttpMessage["headers"][number]): string => neutral(`${name}: ${value}`);
  const upstream = backend.requests
    .slice(requestsBefore)
    .flatMap((seen) => [neutral(seen.startLine), ...seen.headers.map(line), `body ${seen.body}`]);
  const headers = response.headers
    .map(line)
    .map((each) =>
      each.replace(/^Date: .*/, "Date: DATE").replace(/^Content-Length: (?!0).*/, "Content-Length: N"),
    );
  return [
    ...upstream.map((each) => `to the upstream: ${each}`),
    `to the client: ${response.status} ${response.reason}`,
    ...headers.sort().map((each) => `to the client: ${each}`),
    `to the client: body ${neutral(response.body)}`,
  ];
}

describe("beside the real nginx, in front of an upstream", () => {
  for (const { subject, locations, answers = {}, requests } of CASES) {
    test(subject, async (context) => {
      requires(context, "nginx");
      const backend = await startRawBackend(async (request, peer) => {
        const path = request.target.replace(/\?.*/, "");
        await peer.send((answers[path] ?? PLAIN).replaceAll("UPSTREAM", backend.address));
      });
      const http = `
        ${MODERN}
        map $http_upgrade $connection_upgrade { default upgrade; '' close; }
        server { listen {{port:front}}; server_name front.test; ${locations} }`;
      const values = { upstream: backend.address };
      const [gate, nginx] = await Promise.all([startGate({ http, values }), startNginx({ http, values })]);
      const differences: unknown[] = [];
      for (const request of requests) {
        const ours = await exchange(gate, backend, request);
        const theirs = await exchange(nginx, backend, request);
        if (ours.join("\n") === theirs.join("\n")) continue;
        differences.push({
          request,
          ours: ours.filter((each) => !theirs.includes(each)),
          theirs: theirs.filter((each) => !ours.includes(each)),
        });
      }
      expect(differences).toEqual([]);
    });
  }
});
