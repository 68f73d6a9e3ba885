/** Requests on their way upstream and answers on their way back, where the real nginx is no oracle. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type RawAnswer, type RawBackend, startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { within } from "./rig/deadline.ts";
import { request } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

function startInFrontOf(backend: { readonly address: string }, settings = "", outside = ""): Promise<Proxy> {
  return startGate({
    http: `${outside}
      log_format tries "$upstream_addr|$upstream_status|$upstream_response_length|$upstream_bytes_sent|$upstream_bytes_received";
      server { listen 127.0.0.1:{{port:front}}; access_log logs/tries.log tries;
        location / { proxy_pass http://${backend.address}; ${settings} } }`,
  });
}

/** Requests one after the other, each on a connection of its own. */
async function statuses(gate: Proxy, count: number): Promise<readonly number[]> {
  const seen: number[] = [];
  for (let i = 0; i < count; i++) seen.push((await request({ port: gate.port() })).status);
  return seen;
}

describe("request bodies", () => {
  test.each([
    ["in memory", "", 5_000],
    ["in a temporary file", "", 300_000],
    ["streamed", "proxy_request_buffering off;", 300_000],
  ])("%s they reach the upstream whole", async (_how, settings, size) => {
    const backend = await startHttpBackend();
    const gate = await startInFrontOf(backend, settings);
    const body = "0123456789".repeat(size / 10);
    const response = await request({ port: gate.port(), method: "PUT", body });
    expect(response.status).toBe(200);
    expect(backend.requests[0]).toMatchObject({ method: "PUT", body });
    expect(backend.requests[0]?.headers["content-length"]).toBe(String(size));
  });

  test("one in a temporary file can be sent again to another peer", async () => {
    const broken = await startRawBackend((_request, peer) => peer.reset());
    const good = await startHttpBackend();
    const gate = await startGate({
      http: `upstream app { server ${broken.address}; server ${good.address} backup; }
        server { listen {{port:front}}; location / { proxy_pass http://app; client_body_buffer_size 1k; } }`,
    });
    const body = "x".repeat(100_000);
    expect((await request({ port: gate.port(), method: "PUT", body })).status).toBe(200);
    expect(good.requests[0]?.body).toBe(body);
    await gate.waitForLog(/\[warn\] .*a client request body is buffered to a temporary file/);
  });

  test("a streamed one is passed on while it comes, in chunks where its length is unknown", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startInFrontOf(backend, "proxy_request_buffering off;");
    const client = await connectRaw({ port: gate.port() });
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    const upstream = await backend.connection(0);
    while (!upstream.inbox.received.includes("abc\r\n"))
      await new Promise((resolve) => setImmediate(resolve));
    expect(upstream.inbox.received).toContain("Transfer-Encoding: chunked\r\n");
    await client.send("2\r\nde\r\n0\r\n\r\n");
    expect((await readResponse(client)).body).toBe("ok");
    expect(backend.requests[0]?.body).toBe("abcde");
  });

  test("a streamed one is not sent again, even where its method would allow that", async () => {
    const broken = await startRawBackend((_request, peer) => peer.end());
    const good = await startHttpBackend();
    const gate = await startGate({
      http: `upstream app { server ${broken.address}; server ${good.address} backup; }
        server { listen {{port:front}}; location / { proxy_pass http://app; proxy_request_buffering off; } }`,
    });
    expect((await request({ port: gate.port(), method: "PUT", body: "x" })).status).toBe(502);
    expect(good.requests).toEqual([]);
  });

  test("a client that waits for 100 Continue gets it, and the upstream does not hear of it", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startInFrontOf(backend);
    const client = await connectRaw({ port: gate.port() });
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    await client.exactly("HTTP/1.1 100 Continue\r\n\r\n");
    await client.send("body");
    expect((await readResponse(client)).status).toBe(200);
    expect(backend.requests[0]?.header("Expect")).toBeUndefined();
  });

  test("an upstream that answers before the body is there ends the request, and its connection is not kept", async () => {
    const backend = await startRawBackend([]);
    const gate = await startInFrontOf(backend, "proxy_request_buffering off;");
    const client = await connectRaw({ port: gate.port() });
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome");
    const upstream = await backend.connection(0);
    while (!upstream.inbox.received.includes("some")) await new Promise((resolve) => setImmediate(resolve));
    await upstream.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    expect((await readResponse(client)).status).toBe(413);
    await upstream.toEnd();
  });
});

describe("kept connections", () => {
  test.each([
    ["a length", OK],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    ["no body", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["an interim answer before it", `HTTP/1.1 100 Continue\r\n\r\n${OK}`],
  ])("an answer with %s leaves its connection for the next request", async (_what, answer) => {
    const backend = await startRawBackend(answer);
    const gate = await startInFrontOf(backend);
    await statuses(gate, 3);
    expect(backend.requests).toHaveLength(3);
    expect(backend.connections).toHaveLength(1);
  });

  test.each([
    ["says close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
    ["is HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ["is followed by bytes that nobody asked for", `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`],
  ])("one whose answer %s is not used again", async (_what, answer) => {
    const backend = await startRawBackend(answer);
    const gate = await startInFrontOf(backend);
    expect(await statuses(gate, 3)).toEqual([200, 200, 200]);
    expect(backend.connections).toHaveLength(3);
  });

  test("keepalive 0 keeps none", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startGate({
      http: `upstream app { server ${backend.address}; keepalive 0; }
        server { listen {{port:front}}; location / { proxy_pass http://app; } }`,
    });
    await statuses(gate, 2);
    expect(backend.connections).toHaveLength(2);
  });

  test("one that the upstream closes under a request costs that request nothing", async () => {
    const closing: RawAnswer = (_request, peer) => peer.end();
    const backend = await startRawBackend([OK, closing, OK]);
    const gate = await startInFrontOf(backend, "proxy_next_upstream off;");
    expect(await statuses(gate, 2)).toEqual([200, 200]);
    await gate.waitForFile(
      "logs/tries.log",
      new RegExp(`\n${backend.address}, ${backend.address}\\|502, 200\\|`),
    );
    expect(backend.connections).toHaveLength(2);
  });

  test("under a POST it is 502 in an upstream block, as in nginx, and avoided where there is none", async () => {
    const closing: RawAnswer = (_request, peer) => peer.end();
    const inBlock = await startRawBackend([OK, closing]);
    const alone = await startRawBackend(OK);
    const gate = await startGate({
      http: `upstream app { server ${inBlock.address}; }
        server { listen {{port:front}};
          location / { proxy_pass http://app; } location /alone { proxy_pass http://${alone.address}; } }`,
    });
    const post = { port: gate.port(), method: "POST", body: "x" };
    expect((await request({ port: gate.port() })).status).toBe(200);
    expect((await request(post)).status).toBe(502);
    expect((await request({ port: gate.port(), target: "/alone" })).status).toBe(200);
    expect((await request({ ...post, target: "/alone" })).status).toBe(200);
    expect(alone.connections).toHaveLength(2);
  });

  test("under a streamed body that is half-way it is 502, since nothing is left to send again", async () => {
    const backend = await startRawBackend([OK, (_request, peer) => peer.end(), OK]);
    const gate = await startGate({
      http: `upstream app { server ${backend.address}; }
        server { listen {{port:front}}; location / { proxy_pass http://app; proxy_request_buffering off; } }`,
    });
    expect((await request({ port: gate.port() })).status).toBe(200);
    expect((await request({ port: gate.port(), method: "PUT", body: "x" })).status).toBe(502);
    expect((await request({ port: gate.port() })).status).toBe(200);
  });

  test("one is shared by locations that connect in the same way, and by no others", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startGate({
      http: `server { listen {{port:front}};
        location /a { proxy_pass http://${backend.address}; }
        location /b { proxy_pass http://${backend.address}; }
        location /c { proxy_pass http://${backend.address}; proxy_bind 127.0.0.9; } }`,
    });
    for (const target of ["/a", "/b", "/c"]) await request({ port: gate.port(), target });
    expect(backend.connections.map((peer) => peer.socket.remoteAddress)).toEqual(["127.0.0.1", "127.0.0.9"]);
  });
});

describe("answers", () => {
  test("an answer without a length ends with its connection, and reaches the client in chunks", async () => {
    const backend = await startRawBackend(async (_request, peer) => {
      await peer.sendPieces(["HTTP/1.1 200 OK\r\n\r\n", "until ", "the end"]);
      peer.end();
    });
    const gate = await startInFrontOf(backend);
    const response = await request({ port: gate.port() });
    expect([response.header("Transfer-Encoding"), response.body]).toEqual(["chunked", "until the end"]);
  });

  test("cut anywhere, an answer is the same", async () => {
    const whole =
      "HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n";
    const backend = await startRawBackend(async (seen, peer) => {
      const cut = Number(seen.target.slice(1));
      await peer.sendPieces([whole.slice(0, cut), whole.slice(cut)]);
    });
    const gate = await startInFrontOf(backend, "proxy_pass_trailers on;");
    const client = await connectRaw({ port: gate.port() });
    for (let cut = 1; cut < whole.length; cut++) {
      await client.send(`GET /${cut} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const response = await readResponse(client);
      expect([response.header("X-A"), response.body, response.trailers]).toEqual([
        "1",
        "abcde",
        [["X-T", "1"]],
      ]);
    }
    expect(backend.connections).toHaveLength(1);
  });

  test("trailers go no further unless proxy_pass_trailers says so", async () => {
    const backend = await startRawBackend(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-T: 1\r\n\r\n",
    );
    const gate = await startInFrontOf(backend);
    expect((await request({ port: gate.port() })).trailers).toEqual([]);
  });

  test("a 103 goes to the client only where early_hints asks for it; other interim answers never do", async () => {
    const interim =
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nServer: x\r\n\r\n";
    const backend = await startRawBackend(interim + OK);
    const gate = await startGate({
      http: `server { listen {{port:front}};
        location / { proxy_pass http://${backend.address}; }
        location /hints { proxy_pass http://${backend.address}; early_hints $http_x_hints; } }`,
    });
    const port = gate.port();
    expect((await request({ port })).interim).toEqual([]);
    expect((await request({ port, target: "/hints", headers: { "X-Hints": "0" } })).interim).toEqual([]);
    const { interim: hints } = await request({ port, target: "/hints", headers: { "X-Hints": "1" } });
    expect(hints.map((hint) => hint.head)).toEqual(["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"]);
  });

  test("an answer that breaks off is not passed for a whole one", async () => {
    const backend = await startRawBackend(async (_request, peer) => {
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
      peer.end();
    });
    const gate = await startInFrontOf(backend);
    const client = await connectRaw({ port: gate.port() });
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(await client.toEnd()).toMatch(/5\r\nhello\r\n$/);
    await gate.waitForLog(/upstream prematurely closed connection while reading upstream, /);
  });

  test("a slow client makes the upstream wait once the buffers are full, and go on afterwards", async () => {
    const totalBytes = 32 * 1024 * 1024;
    const backend = await startRawBackend(async (_request, peer) => {
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${totalBytes}\r\n\r\n`);
      peer.socket.write(Buffer.alloc(totalBytes));
    });
    const gate = await startInFrontOf(backend);
    const client = await connectRaw({ port: gate.port() });
    client.socket.pause();
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const { socket } = await backend.connection(0);
    const taken = await standingValue(() => socket.bytesWritten - socket.writableLength);
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(totalBytes / 2);
    client.socket.removeAllListeners("data").resume();
    await within(once(socket, "drain"), "the upstream to get rid of the rest");
  });

  test("proxy_limit_rate lets the rest wait after the first second's bytes", async () => {
    const backend = await startRawBackend(
      `HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n${"x".repeat(300_000)}`,
    );
    const gate = await startInFrontOf(backend, "proxy_limit_rate 100k;");
    const startedAtMs = performance.now();
    expect((await request({ port: gate.port() })).body).toHaveLength(300_000);
    // Without one second's 100 KiB, and the 64 KiB at most that are read at once, it is more than a second's.
    expect(performance.now() - startedAtMs).toBeGreaterThan(1_000);
  });
});

describe("the variables about upstreams", () => {
  test("count what was sent and received", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startInFrontOf(backend);
    expect((await request({ port: gate.port() })).body).toBe("ok");
    const sent = (await backend.connection(0)).inbox.received.length;
    await gate.waitForFile(
      "logs/tries.log",
      new RegExp(`^${backend.address}\\|200\\|2\\|${sent}\\|${OK.length}\n`),
    );
  });

  test("give headers, cookies and the server's name", async () => {
    const backend = await startRawBackend(
      "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
    );
    const gate = await startInFrontOf(
      backend,
      'add_header X-Seen "$upstream_http_x_a|$upstream_cookie_c|$upstream_cookie_z|$upstream_last_server_name|$proxy_host|$proxy_port";',
    );
    const response = await request({ port: gate.port() });
    expect(response.header("X-Seen")).toBe(`1, 2|d||${backend.address}|${backend.address}|${backend.port}`);
  });

  test("separate the tries of one location by commas, and locations by a colon", async () => {
    const first = await startRawBackend(
      "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /second\r\nContent-Length: 0\r\n\r\n",
    );
    const second = await startRawBackend(OK);
    const gate = await startInFrontOf(first, "", "");
    await gate.write(
      "conf/nginx.conf",
      `events {} http { log_format tries "$upstream_addr|$upstream_status";
        server { listen 127.0.0.1:{{port:front}}; access_log logs/two.log tries;
          location / { proxy_pass http://${first.address}; } location /second { proxy_pass http://${second.address}; } } }`,
    );
    expect(await gate.reload()).toBe(true);
    await request({ port: gate.port() });
    await gate.waitForFile("logs/two.log", new RegExp(`^${first.address} : ${second.address}\\|200 : 200\n`));
  });
});

describe("where upstreams can be", () => {
  test("on a Unix socket, in proxy_pass with a URI and in an upstream block", async () => {
    const path = `${temporaryFolder()}/app.sock`;
    const backend = await startHttpBackend(undefined, { path });
    const gate = await startGate({
      http: `upstream app { server unix:${path}; }
        server { listen 127.0.0.1:{{port:front}};
          location / { proxy_pass http://app; } location /direct/ { proxy_pass http://unix:${path}:/u/; } }`,
    });
    await request({ port: gate.port(), target: "/x" });
    await request({ port: gate.port(), target: "/direct/y" });
    expect(backend.requests.map(({ url, headers }) => [url, headers["host"]])).toEqual([
      ["/x", "app"],
      ["/u/y", "localhost"],
    ]);
  });

  test("at every address of a name", async () => {
    const backend = await startHttpBackend();
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://localhost:${backend.port}; } }`,
    });
    expect((await request({ port: gate.port() })).status).toBe(200);
    expect(backend.requests[0]?.headers["host"]).toBe(`localhost:${backend.port}`);
  });

  test("where variables say: an upstream block, or an address", async () => {
    const backend = await startHttpBackend();
    const gate = await startGate({
      http: `upstream app { server ${backend.address}; }
        server { listen 127.0.0.1:{{port:front}};
          location / { proxy_pass http://$arg_to$arg_uri; } location /uri { proxy_pass http://$arg_to/fixed; } }`,
    });
    const port = gate.port();
    await request({ port, target: "/as%20is?to=app" });
    await request({ port, target: `/x?to=${backend.address}&uri=/other` });
    await request({ port, target: `/uri?to=${backend.address}` });
    expect(backend.requests.map(({ url }) => url)).toEqual(["/as%20is?to=app", "/other", "/fixed"]);
    expect((await request({ port, target: "/?to=nowhere.test" })).status).toBe(502);
    await gate.waitForLog(/no resolver defined to resolve nowhere.test/);
    expect((await request({ port, target: "/?to=" })).status).toBe(500);
    await gate.waitForLog(/no host in upstream/);
  });
});

describe("a reload", () => {
  test("keeps the connections and the failures of peers that stay", async () => {
    const [good, broken] = [await startRawBackend(OK), await startRawBackend((_request, peer) => peer.end())];
    const config = (setting: string): string => `events {} http {
      upstream app { server ${broken.address} fail_timeout=60s; server ${good.address}; }
      server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://app; ${setting} } } }`;
    const gate = await startGate({ config: config("") });
    expect(await statuses(gate, 2)).toEqual([200, 200]);
    const asked = requestsOf(broken, good);
    await gate.write("conf/nginx.conf", config("proxy_read_timeout 5s;"));
    expect(await gate.reload()).toBe(true);
    expect(await statuses(gate, 2)).toEqual([200, 200]);
    expect(asked).toEqual([1, 2]);
    expect(requestsOf(broken, good)).toEqual([1, 4]);
    expect(good.connections).toHaveLength(1);
  });
});

/** The value of something that grows, once it has stopped. */
async function standingValue(read: () => number): Promise<number> {
  for (let before = -1; ; ) {
    const now = read();
    if (now === before && now > 0) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

function requestsOf(...backends: RawBackend[]): readonly number[] {
  return backends.map((backend) => backend.requests.length);
}

// A header that a variable has put a line break into would be a second header, or a second request.
test("nothing in a variable can begin a line of the request's head", async () => {
  const backend = await startRawBackend(OK);
  const gate = await startInFrontOf(backend, 'proxy_set_header X-Path "$uri";');
  await request({ port: gate.port(), target: "/a%0d%0aX-Forged:%201%0d%0a%0d%0aGET%20/x" });
  expect(backend.requests).toHaveLength(1);
  expect(backend.requests[0]?.header("X-Forged")).toBeUndefined();
  expect(backend.requests[0]?.header("X-Path")).toBe("/a  X-Forged: 1    GET /x");
});

// CVE-2024-45410: a client must not be able to take away what the proxy sets.
test("the client's Connection takes away its own fields and none of the location's", async () => {
  const backend = await startHttpBackend();
  const gate = await startInFrontOf(
    backend,
    "proxy_set_header X-Real-IP $remote_addr; proxy_set_header Accept '';",
  );
  const headers = {
    Connection: "close, X-Real-IP, X-Mine, Host, Content-Length",
    "X-Real-IP": "forged",
    "X-Mine": "of this hop",
    "X-Passed": "yes",
    __proto__x: "dropped for its underscores",
    Accept: "*/*",
    TE: "trailers",
    "Keep-Alive": "timeout=5",
    "Proxy-Connection": "close",
  };
  await request({ port: gate.port(), method: "POST", headers, body: "b" });
  expect(backend.requests[0]?.headers).toEqual({
    host: backend.address,
    "x-real-ip": "127.0.0.1",
    "x-passed": "yes",
    "content-length": "1",
  });
});
