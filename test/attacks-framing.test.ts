/** Requests about whose end two servers could disagree: what reaches the upstream is one request, or none. */
import { describe, expect, test } from "vitest";
import { startConnectionBackend, startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";

useRig();

const SMUGGLED = "GET /admin HTTP/1.1\r\nHost: victim\r\n\r\n";
const CHUNKED_SMUGGLED = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;
/** A body that is over at once for whoever reads chunks, and holds a request for whoever reads a length. */
const CL_TE = `0\r\n\r\n${SMUGGLED}`;

/** What follows `POST /front HTTP/1.1\r\nHost: a\r\n`; the connection is done for after each of them. */
const AMBIGUOUS: readonly (readonly [what: string, rest: string])[] = [
  ["CL and TE", `Content-Length: ${CL_TE.length}\r\nTransfer-Encoding: chunked\r\n\r\n${CL_TE}`],
  ["TE and CL", `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${CHUNKED_SMUGGLED}`],
  ["two lengths", `Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ["equal lengths twice", `Content-Length: 0\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
  ["a list of lengths", `Content-Length: 0, ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ["a signed length", `Content-Length: +${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ["a hexadecimal length", `Content-Length: 0x${SMUGGLED.length.toString(16)}\r\n\r\n${SMUGGLED}`],
  ["a negative length", `Content-Length: -1\r\n\r\n${SMUGGLED}`],
  ["no digits in a length", `Content-Length: \r\n\r\n${SMUGGLED}`],
  ["a length of 2^64", `Content-Length: 18446744073709551616\r\n\r\n${SMUGGLED}`],
  ["a length of 2^64 and a bit", `Content-Length: 18446744073709551620\r\n\r\n${SMUGGLED}`],
  ["a length of 2^53", `Content-Length: 9007199254740992\r\n\r\n${SMUGGLED}`],
  ["a length in other digits", `Content-Length: \xb2\r\n\r\n${SMUGGLED}`],
  ["whitespace before the colon of CL", `Content-Length : ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ["a tab before the colon of TE", `Transfer-Encoding\t: chunked\r\n\r\n${CL_TE}`],
  ["an unknown coding", `Transfer-Encoding: xchunked\r\n\r\n${CL_TE}`],
  ["chunked twice", `Transfer-Encoding: chunked, chunked\r\n\r\n${CL_TE}`],
  ["two TE", `Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${CL_TE}`],
  ["identity", `Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
  ["gzip before chunked", `Transfer-Encoding: gzip, chunked\r\n\r\n${CL_TE}`],
  ["chunked before identity", `Transfer-Encoding: chunked, identity\r\n\r\n${CL_TE}`],
  ["a vertical tab before chunked", `Transfer-Encoding: \x0bchunked\r\n\r\n${CL_TE}`],
  ["quotes around chunked", `Transfer-Encoding: "chunked"\r\n\r\n${CL_TE}`],
  ["a parameter of chunked", `Transfer-Encoding: chunked;a=b\r\n\r\n${CL_TE}`],
  ["a folded TE", `Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n${CL_TE}`],
  ["a folded line that hides TE", `X: y\r\n Transfer-Encoding: chunked\r\n\r\n${CL_TE}`],
  ["a bare CR that hides TE", `X: y\rTransfer-Encoding: chunked\r\n\r\n${CL_TE}`],
  ["a NUL in TE", `Transfer-Encoding: chunked\0\r\n\r\n${CL_TE}`],
  ["CVE-2023-25725: an empty name", `: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ["a line without a colon", `Content-Length\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`],
  ["a chunk size that is none", `Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n${SMUGGLED}`],
  ["a signed chunk size", `Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n${SMUGGLED}`],
  ["a prefixed chunk size", `Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${SMUGGLED}`],
  ["a chunk size of 2^64", `Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n${SMUGGLED}`],
  ["a chunk size of 2^53", `Transfer-Encoding: chunked\r\n\r\n20000000000000\r\n\r\n${SMUGGLED}`],
  ["an empty chunk size", `Transfer-Encoding: chunked\r\n\r\n\r\n\r\n${SMUGGLED}`],
  ["a space before the chunk size", `Transfer-Encoding: chunked\r\n\r\n 0\r\n\r\n${SMUGGLED}`],
  ["a chunk longer than its size", `Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${SMUGGLED}`],
  ["a bare LF after a chunk size", `Transfer-Encoding: chunked\r\n\r\n0\n\r\n${SMUGGLED}`],
  ["a bare LF in a chunk extension", `Transfer-Encoding: chunked\r\n\r\n0;a\nb\r\n\r\n${SMUGGLED}`],
  ["a bare CR in a chunk extension", `Transfer-Encoding: chunked\r\n\r\n0;a\rb\r\n\r\n${SMUGGLED}`],
  ["a bare LF after a chunk", `Transfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n${SMUGGLED}`],
  ["trailers with a bare LF", `Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n${SMUGGLED}`],
  ["a folded trailer", `Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n${SMUGGLED}`],
  [
    "an endless chunk extension",
    `Transfer-Encoding: chunked\r\n\r\n0;${"x".repeat(100_000)}\r\n\r\n${SMUGGLED}`,
  ],
  ["endless trailers", `Transfer-Encoding: chunked\r\n\r\n0\r\n${"X: y\r\n".repeat(20_000)}\r\n${SMUGGLED}`],
];

test("what two servers could read in two ways never reaches the upstream", async () => {
  const backend = await startHttpBackend();
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}};
      location / { proxy_pass http://${backend.address}; }
      location /streamed { proxy_pass http://${backend.address}/front; proxy_request_buffering off; }
      location /admin { return 403; } }`,
  });
  const wrong: unknown[] = [];
  for (const target of ["/front", "/streamed"]) {
    for (const [what, rest] of AMBIGUOUS) {
      const client = await connectRaw({ port: gate.port() });
      await client.send(`POST ${target} HTTP/1.1\r\nHost: a\r\n${rest}`);
      const received = await client.toEnd();
      const statuses = [...received.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
      if (statuses.length !== 1 || !/^(400|413|501)$/.test(statuses[0] ?? ""))
        wrong.push({ target, what, received });
      await client.close();
    }
  }
  expect(wrong).toEqual([]);
  expect(backend.requests.map((request) => request.url)).toEqual([]);
  expect(gate.read("logs/access.log")).not.toContain("/admin");
});

describe("a length", () => {
  // CVE-2021-40346: a name of 270 bytes overflowed its length field and became Content-Length: 0.
  test("does not hide in a name that is too long for a byte", async () => {
    const backend = await startRawBackend("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    const name = `Content-Length0${"a".repeat(255)}`;
    const headers = { [`${name}:`]: "", "Content-Length": String(SMUGGLED.length) };
    await client.send(requestBytes({ method: "POST", headers, body: SMUGGLED }));
    expect((await readResponse(client)).status).toBe(200);
    expect(backend.requests.map((request) => [request.target, request.body])).toEqual([["/", SMUGGLED]]);
  });

  test.each(["2147483648", "4294967296", "4294967301", "9007199254740991"])(
    "of %s is that many bytes, and not what is left of it in 32 bits",
    async (length) => {
      const backend = await startRawBackend("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      const gate = await startGate({
        http: `client_max_body_size 0; server { listen 127.0.0.1:{{port:front}}; proxy_request_buffering off; location / { proxy_pass http://${backend.address}; } }`,
      });
      const client = await connectRaw({ port: gate.port() });
      await client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\nhello${SMUGGLED}`);
      const upstream = await backend.connection(0);
      await upstream.until(`hello${SMUGGLED}`);
      expect(upstream.inbox.received).toContain(`Content-Length: ${length}\r\n`);
      client.reset();
      await upstream.toEnd();
    },
  );
});

describe("CVE-2026-29057: chunks with a method that usually has no body", () => {
  const requests = ["DELETE", "OPTIONS", "GET", "HEAD", "PUT", "PROPFIND"].flatMap((method) => [
    [method, "/front", CHUNKED_SMUGGLED] as const,
    [method, "/streamed", CHUNKED_SMUGGLED] as const,
  ]);
  test("are that request's body to the upstream too, framed in one way", async () => {
    const backend = await startRawBackend((request, peer) =>
      peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${request.method === "HEAD" ? 9 : 0}\r\n\r\n`),
    );
    const gate = await startGate({
      http: `upstream app { server ${backend.address}; keepalive 4; }
        proxy_http_version 1.1; proxy_set_header Connection "";
        server { listen 127.0.0.1:{{port:front}};
          location / { proxy_pass http://app; }
          location /streamed { proxy_pass http://app; proxy_request_buffering off; }
          location /admin { return 403; } }`,
    });
    for (const [method, target, body] of requests) {
      const client = await connectRaw({ port: gate.port() });
      await client.send(
        `${method} ${target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
      );
      expect((await readResponse(client, method)).status).toBe(200);
      const seen = backend.requests.at(-1);
      expect([seen?.method, seen?.target, seen?.body]).toEqual([method, target, SMUGGLED]);
      const framings = [seen?.header("content-length"), seen?.header("transfer-encoding")];
      expect(framings.filter((framing) => framing !== undefined)).toHaveLength(1);
      await client.close();
    }
    expect(backend.requests).toHaveLength(requests.length);
  });

  test("keep their framing to themselves: trailers cannot add a length", async () => {
    const backend = await startRawBackend("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; proxy_request_buffering off; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send(
      "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n" +
        "1\r\na\r\n0\r\nContent-Length: 999\r\nHost: evil\r\nX-Trailer: t\r\n\r\n",
    );
    expect((await readResponse(client)).status).toBe(200);
    expect(backend.requests[0]?.body).toBe("a");
    expect(backend.connections[0]?.inbox.received).not.toMatch(/999|evil/);
  });
});

describe("what an upstream is left with", () => {
  test("by a client that breaks its body off is a closed connection, not half a request for the next one", async () => {
    const backend = await startConnectionBackend(() => {});
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; proxy_request_buffering off; location / { proxy_pass http://${backend.address}; } }`,
    });
    for (const [bytes, end] of [
      ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", ""],
      ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf", ""],
      ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Z"],
    ] as const) {
      const index = backend.connections.length;
      const client = await connectRaw({ port: gate.port() });
      await client.send(bytes);
      const upstream = await backend.connection(index);
      await upstream.until("half");
      await client.send(end);
      client.end();
      expect(await upstream.toEnd()).not.toMatch(/0\r\n\r\n$/);
      await client.close();
    }
  });

  test("by an early answer to a long body is a closed connection", async () => {
    const backend = await startConnectionBackend(() => {});
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; proxy_request_buffering off; location / { proxy_pass http://${backend.address}; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send("POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbeginning");
    const upstream = await backend.connection(0);
    await upstream.until("beginning");
    await upstream.send("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    expect((await readResponse(client)).status).toBe(413);
    await upstream.toEnd();
    expect(upstream.inbox.received).not.toContain("/two");
  });

  test("by a body that grows past client_max_body_size is a closed connection too", async () => {
    const backend = await startConnectionBackend(() => {});
    const gate = await startGate({
      http: `client_max_body_size 10; server { listen 127.0.0.1:{{port:front}}; proxy_request_buffering off; location / { proxy_pass http://${backend.address}; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    const upstream = await backend.connection(0);
    await upstream.until("hello");
    await client.send("6\r\n world\r\n0\r\n\r\n");
    expect((await readResponse(client)).status).toBe(413);
    expect(await upstream.toEnd()).not.toMatch(/0\r\n\r\n$/);
  });
});
