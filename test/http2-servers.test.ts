/** HTTP/2 by server and by address: who is offered it, what else of TLS holds for it, and what other programs make of it. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { connect as connectHttp, type IncomingHttpHeaders } from "node:http2";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { startRawBackend } from "./rig/backends.ts";
import { authorityCertificate, leafCertificate, leafFiles } from "./rig/certificates.ts";
import { within } from "./rig/deadline.ts";
import { connectHttp2, readHttp2Response } from "./rig/http2-client.ts";
import { request } from "./rig/http-client.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Proxy, type ProxyOptions, runGate, startGate, temporaryFolder } from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";

useRig();

async function startServers(http: string, options: Partial<ProxyOptions> = {}): Promise<Proxy> {
  const { certificate, key } = await leafFiles({ names: ["localhost", "*.test.example"] });
  return await startGate({
    ...options,
    http: `ssl_certificate ${certificate}; ssl_certificate_key ${key}; error_log stderr info; ${http}`,
  });
}

/** What ALPN chooses for a client that knows both. */
async function negotiated(port: number, servername: string): Promise<string | false | null> {
  const ca = await authorityCertificate();
  const socket = connectTls({ port, host: "127.0.0.1", servername, ca, ALPNProtocols: ["h2", "http/1.1"] });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  obtain("a TLS connection", async () => {
    socket.destroy();
    await within(closed, "a TLS connection to close");
  });
  await within(
    new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject)),
    "a TLS handshake",
  );
  return socket.alpnProtocol;
}

function run(program: string, ...args: readonly string[]): Promise<string> {
  const output = new Promise<string>((resolve) => {
    execFile(program, args, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`));
  });
  return within(output, `${program} to end`);
}

describe("ALPN offers h2", () => {
  test("where the server that SNI names says so, and not by default", async () => {
    const gate = await startServers(`
      server { listen 127.0.0.1:{{port:tls}} ssl; server_name old.test.example; return 200; }
      server { listen 127.0.0.1:{{port:tls}} ssl; server_name new.test.example; http2 on; return 200; }`);
    expect(await negotiated(gate.port(), "old.test.example")).toBe("http/1.1");
    expect(await negotiated(gate.port(), "new.test.example")).toBe("h2");
  });

  test("on all servers of an address of which one listen says http2, with nginx's warning", async () => {
    const gate = await startServers(
      `server { listen 127.0.0.1:{{port:tls}} ssl http2; server_name a.test.example; return 200; }
       server { listen 127.0.0.1:{{port:tls}} ssl; server_name b.test.example; return 200; }`,
      { tolerates: [/"listen ... http2" directive is deprecated/] },
    );
    expect(await negotiated(gate.port(), "b.test.example")).toBe("h2");
    await gate.stderr.waitFor(
      /the "listen ... http2" directive is deprecated, use the "http2" directive instead/,
    );
  });
});

test("directives that nginx has given up are named, with what has taken their place", async () => {
  const gate = await startServers(
    `http2_max_requests 10; http2_idle_timeout 3m; http2_push_preload on; http2_chunk_size 8k; http2_recv_buffer_size 256k;
     server { listen 127.0.0.1:{{port:tls}} ssl; http2 on; return 200; }`,
    { tolerates: [/is obsolete/] },
  );
  await gate.stderr.waitFor(
    /the "http2_max_requests" directive is obsolete, use the "keepalive_requests" directive instead/,
  );
  await gate.stderr.waitFor(
    /the "http2_idle_timeout" directive is obsolete, use the "keepalive_timeout" directive instead/,
  );
  await gate.stderr.waitFor(/the "http2_push_preload" directive is obsolete, ignored/);
  expect(await negotiated(gate.port(), "localhost")).toBe("h2");
});

test("http2_chunk_size has no effect, but what nginx refuses is refused", async () => {
  const text = "events {} http { server { listen 127.0.0.1:1; http2 on; http2_chunk_size 0; return 200; } }";
  const file = join(temporaryFolder(), "nginx.conf");
  writeFileSync(file, text);
  const { code, stderr } = await runGate(["-t", "-c", file]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("the http2 chunk size cannot be zero in")]);
});

describe("client certificates", () => {
  async function startVerifying(): Promise<Proxy> {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "ca.crt"), await authorityCertificate());
    return await startServers(`
      http2 on;
      server { listen 127.0.0.1:{{port:tls}} ssl; server_name open.test.example; return 200 "open"; }
      server { listen 127.0.0.1:{{port:tls}} ssl; server_name closed.test.example;
        ssl_verify_client on; ssl_client_certificate ${folder}/ca.crt; return 200 $ssl_client_verify; }`);
  }

  async function ask(gate: Proxy, servername: string, authority: string, withCertificate: boolean) {
    const session = connectHttp(`https://127.0.0.1:${gate.port()}`, {
      servername,
      ca: await authorityCertificate(),
      ...(withCertificate ? await leafCertificate({ isClient: true }) : {}),
    });
    const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));
    session.on("error", () => {});
    obtain("a session", async () => {
      session.destroy();
      await within(closed, "a session to close");
    });
    const { status, body } = await readHttp2Response(session.request({ ":authority": authority }));
    return `${status} ${body.split("\r\n")[0]}`;
  }

  test("are asked for, and one that is missing is answered 400", async () => {
    const gate = await startVerifying();
    expect(await ask(gate, "closed.test.example", "closed.test.example", true)).toBe("200 SUCCESS");
    expect(await ask(gate, "closed.test.example", "closed.test.example", false)).toMatch(/^400 /);
  });

  test("for a server that the handshake was not about are no proof: 421", async () => {
    const gate = await startVerifying();
    expect(await ask(gate, "open.test.example", "closed.test.example", true)).toMatch(/^421 /);
    expect(await ask(gate, "open.test.example", "open.test.example", false)).toBe("200 open");
  });
});

describe("an upstream's answer loses on its way", () => {
  test("what belongs to HTTP/1.1, and keeps the rest: fields of one name, and trailers", async () => {
    const backend = await startRawBackend(
      "HTTP/1.1 599 Odd\r\nConnection: close, X-Hop\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n" +
        'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nVary: a\r\nVary: b\r\n__proto__: x\r\nEtag: "1"\r\nEtag: "2"\r\n\r\n' +
        "4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    const gate = await startServers(
      `server { listen 127.0.0.1:{{port:front}}; http2 on; location / { proxy_http_version 1.1; proxy_pass_trailers on; proxy_pass http://${backend.address}; } }`,
    );
    const client = await connectHttp2({ port: gate.port() });
    const { status, headers, body, trailers } = await client.request();
    expect({ status, body }).toEqual({ status: 599, body: "body" });
    expect(headers).toMatchObject({ "set-cookie": ["a=1", "b=2"], vary: "a, b", etag: '"1", "2"' });
    for (const name of ["connection", "keep-alive", "transfer-encoding"])
      expect(headers).not.toHaveProperty(name);
    expect(trailers).toMatchObject({ "x-sum": "1" });
  });

  test("a status that HTTP/2 does not have", async () => {
    const backend = await startRawBackend(
      "HTTP/1.1 799 Odd\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
    );
    const gate = await startServers(
      `server { listen 127.0.0.1:{{port:front}}; http2 on; location / { proxy_pass http://${backend.address}; } }`,
    );
    const client = await connectHttp2({ port: gate.port() });
    expect(await client.request()).toMatchObject({ status: 502, body: "no" });
  });

  test("nothing of an early hint", async () => {
    const backend = await startRawBackend(
      "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    );
    const gate = await startServers(
      `server { listen 127.0.0.1:{{port:front}}; http2 on; early_hints 1; location / { proxy_pass http://${backend.address}; } }`,
    );
    const client = await connectHttp2({ port: gate.port() });
    const stream = client.open({});
    const hints: IncomingHttpHeaders[] = [];
    stream.on("headers", (headers) => hints.push(headers));
    stream.end();
    expect((await readHttp2Response(stream)).body).toBe("ok");
    expect(hints).toMatchObject([{ ":status": 103, link: "</a.css>; rel=preload" }]);
  });

  test.each([
    ["of a length", "Content-Length: 100\r\n\r\nhalf"],
    ["of unknown length", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"],
  ])("its end, when the upstream dies in a body %s: the stream is reset, not ended", async (_what, half) => {
    const backend = await startRawBackend(async (_request, peer) => {
      await peer.send(`HTTP/1.1 200 OK\r\n${half}`);
      await peer.close();
    });
    const gate = await startServers(
      `server { listen 127.0.0.1:{{port:front}}; http2 on; location / { proxy_http_version 1.1; proxy_pass http://${backend.address}; } }`,
    );
    const client = await connectHttp2({ port: gate.port() });
    await expect(client.request()).rejects.toThrow(/reset with code 2 after 4 bytes/);
  });
});

test("stub_status counts streams as requests and as what is being written", async () => {
  const backend = await startRawBackend("");
  const gate = await startServers(`
    server { listen 127.0.0.1:{{port:front}}; http2 on;
      location / { proxy_pass http://${backend.address}; } location /status { stub_status; } }`);
  const client = await connectHttp2({ port: gate.port() });
  const waiting = [client.open({}), client.open({})];
  for (const stream of waiting) stream.end();
  await backend.connection(1);
  const { body } = await client.request({ ":path": "/status" });
  expect(body).toMatch(/Active connections: 1 .*\n 1 1 3 \nReading: 0 Writing: 3 Waiting: 0 /s);
  for (const stream of waiting) stream.close(8);
  const after = await request({ port: gate.port(), target: "/status" });
  expect(after.body).toMatch(/Writing: 1 Waiting: 1 /);
});

describe("programs of others get along with it:", () => {
  const HTTP =
    'server { listen 127.0.0.1:{{port:tls}} ssl; listen 127.0.0.1:{{port:plain}}; http2 on; return 200 "hello $http2"; }';

  test("curl, over TLS and with prior knowledge", async (context) => {
    requires(context, "curl");
    const gate = await startServers(HTTP);
    const format = " %{http_version} %{http_code}";
    expect(await run("curl", "-sk", "--http2", "-w", format, gate.url("https", "/", "tls"))).toBe(
      "hello h2 2 200",
    );
    const plain = gate.url("http", "/", "plain");
    expect(await run("curl", "-s", "--http2-prior-knowledge", "-w", format, plain)).toBe("hello h2c 2 200");
    // An offer of Upgrade: h2c is passed over.
    expect(await run("curl", "-s", "--http2", "-w", format, plain)).toBe("hello  1.1 200");
  });

  test("nghttp and h2load, more streams at once than are allowed", async (context) => {
    requires(context, "nghttp2");
    const gate = await startServers(HTTP);
    expect(await run("nghttp", "-n", "-v", gate.url("http", "/", "plain"))).toMatch(/:status: 200/);
    const load = await run("h2load", "-n", "900", "-c", "1", "-m", "128", gate.url("http", "/", "plain"));
    expect(load).toMatch(/900 done, 900 succeeded, 0 failed/);
  });
});
