/** HTTP/2 towards clients, through the whole proxy: ordinary requests. */
import { beforeAll, describe, expect, test } from "vitest";
import { type HttpBackend, startHttpBackend } from "./rig/backends.ts";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { connectHttp2, type Http2Client } from "./rig/http2-client.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

let backend: HttpBackend;
let gate: Proxy;

beforeAll(async () => {
  backend = await startHttpBackend();
  const { certificate, key } = await leafFiles();
  gate = await startGate({
    files: { "html/page.html": "a page\n" },
    http: `
      log_format h '$request|$status|$body_bytes_sent|$server_protocol|$http2|$connection_requests';
      access_log logs/access.log h;
      ssl_certificate ${certificate};
      ssl_certificate_key ${key};
      http2 on;
      proxy_http_version 1.0;
      server {
        listen 127.0.0.1:{{port:plain}};
        listen 127.0.0.1:{{port:tls}} ssl;
        listen 127.0.0.1:{{port:proxied}} proxy_protocol;
        location / { proxy_pass http://${backend.address}; }
        location /page { root {{prefix}}/html; try_files /page.html =404; }
        location /small { client_max_body_size 10; proxy_pass http://${backend.address}; }
        location /stream { proxy_http_version 1.1; proxy_set_header Connection close; proxy_request_buffering off; proxy_pass http://${backend.address}; }
      }`,
  });
});

async function connect(front: "plain" | "tls"): Promise<Http2Client> {
  const ca = await authorityCertificate();
  return await connectHttp2({ port: gate.port(front), ...(front === "tls" ? { ca } : {}) });
}

describe.each(["plain", "tls"] as const)("over a %s connection", (front) => {
  test("a request is proxied as one of HTTP/1.1, its authority as Host and its cookies as one", async () => {
    const client = await connect(front);
    const { status, body } = await client.request({
      ":path": "/x?y=1",
      cookie: ["a=1", "b=2"],
      "x-own": "v",
    });
    expect(status).toBe(200);
    const seen = JSON.parse(body);
    expect(seen.method).toBe("GET");
    expect(seen.url).toBe("/x?y=1");
    expect(seen.headers).toMatchObject({ cookie: "a=1; b=2", "x-own": "v" });
    const line = `GET /x\\?y=1 HTTP/2.0\\|200\\|${body.length}\\|HTTP/2.0\\|${front === "tls" ? "h2" : "h2c"}\\|1`;
    await gate.waitForFile("logs/access.log", new RegExp(line));
  });

  test("many requests at once are answered each with its own body", async () => {
    const client = await connect(front);
    const bodies = Array.from({ length: 100 }, (_, i) => String(i).repeat(i * 50));
    const answers = await Promise.all(
      bodies.map((body, i) => client.request({ ":method": "POST", ":path": `/many/${i}` }, body)),
    );
    for (const [i, { status, body }] of answers.entries()) {
      expect(status).toBe(200);
      expect(JSON.parse(body)).toMatchObject({ url: `/many/${i}`, body: bodies[i] });
    }
  });

  test.each(["/x", "/stream"])("a body of unknown length goes up whole to %s", async (path) => {
    const client = await connect(front);
    const body = "body ".repeat(50_000);
    const { status, body: answer } = await client.request({ ":method": "PUT", ":path": path }, body);
    expect(status).toBe(200);
    expect(JSON.parse(answer).body.length).toBe(body.length);
  });

  test("HTTP/1.1 is spoken on the same address", async () => {
    const ca = await authorityCertificate();
    const response = await request({
      port: gate.port(front),
      target: "/page",
      ...(front === "tls" ? { tls: { ca } } : {}),
    });
    expect(response).toMatchObject({ status: 200, body: "a page\n" });
  });
});

test("a body that is larger than allowed is answered 413, announced or not", async () => {
  const client = await connect("tls");
  const announced = await client.request(
    { ":method": "POST", ":path": "/small", "content-length": 11 },
    "12345678901",
  );
  expect(announced.status).toBe(413);
  const { status } = await client.request({ ":method": "POST", ":path": "/small" }, "12345678901");
  expect(status).toBe(413);
});

test("HEAD has the length and no body", async () => {
  const client = await connect("tls");
  const { status, headers, body } = await client.request({ ":method": "HEAD", ":path": "/page" });
  expect({ status, length: headers["content-length"], body }).toEqual({ status: 200, length: "7", body: "" });
});

test("behind the PROXY protocol the preface may come in pieces", async () => {
  const client = await connectRaw({ port: gate.port("proxied") });
  const preface =
    "PROXY TCP4 192.0.2.9 192.0.2.1 1000 80\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  await client.sendPieces(preface);
  // SETTINGS, and what acknowledges ours.
  expect(await client.until("\0\0\0\x04\x01\0\0\0\0")).toMatch(/^\0\0.\x04\0\0\0\0\0/s);
});
