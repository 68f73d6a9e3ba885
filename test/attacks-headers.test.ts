/** Headers of a client's that pretend to be the proxy's, or that are named so as to confuse whoever reads them. */
import { describe, expect, test } from "vitest";
import { startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { request, requestBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

test("CVE-2024-45410: Connection takes away nothing that the proxy sets, nor what frames the body", async () => {
  const backend = await startRawBackend(OK);
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address};
      proxy_set_header Host $host; proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; } }`,
  });
  const named =
    "Host, X-Forwarded-Host, X-Real-IP, X-Forwarded-For, X-Forwarded-Proto, Content-Length, Transfer-Encoding, X-Own";
  await request({
    port: gate.port(),
    method: "POST",
    headers: { Host: "front.test", Connection: `close, ${named}`, "X-Real-IP": "6.6.6.6", "X-Own": "gone" },
    body: "whole",
  });
  const [seen] = backend.requests;
  expect(seen?.headers).toEqual([
    ["Host", "front.test"],
    ["X-Forwarded-Host", "front.test"],
    ["X-Real-IP", "127.0.0.1"],
    ["X-Forwarded-For", "127.0.0.1"],
    ["X-Forwarded-Proto", "http"],
    ["Content-Length", "5"],
  ]);
  expect(seen?.body).toBe("whole");
});

describe("an alias of a header that the proxy sets (GHSA-5m6w-wvh7-57vm)", () => {
  const forged = {
    X_Forwarded_Proto: "https",
    "X_Forwarded-For": "6.6.6.6",
    "X-Forwarded_For": "6.6.6.6",
    X_REAL_IP: "6.6.6.6",
    Own_Name: "kept",
  };
  const sets =
    "proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Real-IP $remote_addr;";

  test("does not pass, as no name with an underscore does", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; ${sets} } }`,
    });
    await request({ port: gate.port(), headers: forged });
    expect(backend.requests[0]?.head).not.toMatch(/_|6\.6\.6\.6/);
  });

  test.each(["underscores_in_headers on;", "ignore_invalid_headers off;"])(
    "does not pass where other names with underscores do: %s",
    async (directive) => {
      const backend = await startRawBackend(OK);
      const gate = await startGate({
        http: `${directive} server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; ${sets} } }`,
      });
      await request({ port: gate.port(), headers: forged });
      const [seen] = backend.requests;
      expect(seen?.head).not.toContain("6.6.6.6");
      expect(seen?.header("x_forwarded_proto")).toBeUndefined();
      expect(seen?.header("own_name")).toBe("kept");
    },
  );

  test("does not frame a body: Transfer_Encoding and Content_Length are names like others", async () => {
    const backend = await startRawBackend(OK);
    const gate = await startGate({
      http: `underscores_in_headers on; server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
    });
    await request({
      port: gate.port(),
      method: "POST",
      headers: { Transfer_Encoding: "chunked", Content_Length: "0" },
      body: "body",
    });
    expect(backend.requests[0]?.body).toBe("body");
    expect(backend.requests[0]?.head).not.toMatch(/Transfer_Encoding|Content_Length/);
  });
});

test("$http_name finds a header with underscores where those are allowed, as nginx does", async (context) => {
  requires(context, "nginx");
  const http = `underscores_in_headers on; server { listen 127.0.0.1:{{port:front}};
    return 200 "$http_my_key|$http_mixed_up_name|$http_x__y"; }`;
  const headers = { My_Key: "1", "Mixed-Up_Name": "2", "X-_Y": "3" };
  const [gate, nginx] = await Promise.all([startGate({ http }), startNginx({ http })]);
  const theirs = await request({ port: nginx.port(), headers });
  expect(theirs.body).toBe("1|2|3");
  expect((await request({ port: gate.port(), headers })).body).toBe(theirs.body);
});

test("CVE-2026-55602: a server answers for its name and for nothing that resembles it", async () => {
  const gate = await startGate({
    http: `
      server { listen 127.0.0.1:{{port:front}} default_server; return 200 default; }
      server { listen 127.0.0.1:{{port:front}}; server_name app.test; return 200 secret; }
      server { listen 127.0.0.1:{{port:front}}; server_name *.wild.test; return 200 secret; }
      server { listen 127.0.0.1:{{port:front}}; server_name ~^re\\d\\.test$; return 200 secret; }`,
  });
  const bodyFor = async (host: string, target = "/"): Promise<string> =>
    (await request({ port: gate.port(), target, headers: { Host: host } })).body;
  for (const host of ["app.test", "APP.test", "app.test.", "app.test:99", "x.wild.test", "re1.test"]) {
    expect([host, await bodyFor(host)]).toEqual([host, "secret"]);
  }
  for (const host of [
    "app.test.evil.test",
    "evilapp.test",
    "app.testx",
    "app-test",
    "xapp.test",
    "wild.test",
    "evilwild.test",
    "x.wild.test.evil",
    "re1.testx",
    "xre1.test",
    "re1xtest",
    "%61pp.test",
  ]) {
    expect([host, await bodyFor(host)]).toEqual([host, "default"]);
  }
  // The target's authority counts, not Host (RFC 9112 section 3.2.2).
  expect(await bodyFor("app.test", "http://other.test/")).toBe("default");
  for (const host of [
    "app.test@evil.test",
    "evil.test/app.test",
    "app.test:99x",
    "app.test, evil.test",
    "app.test#",
  ]) {
    expect([host, (await request({ port: gate.port(), headers: { Host: host } })).status]).toEqual([
      host,
      400,
    ]);
  }
});

test("CVE-2026-21710: names that mean something to JavaScript are names like others", async () => {
  const backend = await startHttpBackend();
  const names = [
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "valueOf",
    "__defineGetter__",
  ];
  const variables = names
    .map((name) => `$http_${name}|$arg_${name}|$cookie_${name}|$sent_http_${name}`)
    .join("|");
  const gate = await startGate({
    http: `underscores_in_headers on;
      map $arg_key $mapped { default none; constructor found; __proto__ proto; ~^v(?<toString>.*)$ $toString; }
      server { listen 127.0.0.1:{{port:front}};
        location / { return 200 "${variables}|$mapped"; }
        location /pass { proxy_pass http://${backend.address}; } }`,
  });
  const cookies = names.map((name) => `${name}=c-${name}`).join("; ");
  const lines = names.map((name) => `${name}: h-${name}\r\n`).join("");
  const args = names.map((name) => `${name}=a-${name}`).join("&");
  const ask = async (target: string): Promise<string> => {
    const client = await connectRaw({ port: gate.port() });
    await client.send(
      `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${cookies}\r\n${lines}\r\n`,
    );
    return (await readResponse(client)).body;
  };
  const values = (withArgs: boolean): string =>
    names.map((name) => `h-${name}|${withArgs ? `a-${name}` : ""}|c-${name}|`).join("|");
  expect(await ask("/")).toBe(`${values(false)}|none`);
  expect(await ask(`/?${args}&key=constructor`)).toBe(`${values(true)}|found`);
  expect(await ask("/?key=__proto__")).toMatch(/\|proto$/);
  expect(await ask("/?key=valueOf")).toMatch(/\|alueOf$/);
  expect(await ask("/?key=toString")).toMatch(/\|none$/);
  await ask("/pass");
  for (const name of names) expect(backend.requests[0]?.rawHeaders).toContain(name);
});

describe("too many headers", () => {
  test("or too long ones are 400 with a page of their own, whichever limit they meet", async () => {
    const backend = await startHttpBackend();
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
    });
    for (const lines of [
      "X: y\r\n".repeat(1001),
      `X: ${"y".repeat(9000)}\r\n`,
      `${"y".repeat(9000)}: x\r\n`,
      `X: ${"y".repeat(7000)}\r\n`.repeat(6),
    ]) {
      const client = await connectRaw({ port: gate.port() });
      await client.send(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
      const response = await readResponse(client);
      expect(response.status).toBe(400);
      expect(response.body).toContain("400 Request Header Or Cookie Too Large");
      await client.toEnd();
      await client.close();
    }
    expect(backend.requests).toEqual([]);
  });

  test("of an upstream are 502, and the connection is not used again", async () => {
    const backend = await startRawBackend((request, peer) =>
      peer.send(
        request.target === "/fine"
          ? OK
          : `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(1001)}Content-Length: 0\r\n\r\n`,
      ),
    );
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 64k; } }`,
    });
    expect((await request({ port: gate.port() })).status).toBe(502);
    expect((await request({ port: gate.port(), target: "/fine" })).status).toBe(200);
    expect(backend.connections).toHaveLength(2);
    await gate.waitForLog(/upstream sent too big header while reading response header from upstream/);
  });
});

test("what is repeated, empty or odd in a request is passed as it is, or refused, and never joined to something new", async () => {
  const backend = await startRawBackend(OK);
  const gate = await startGate({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const client = await connectRaw({ port: gate.port() });
  const lines = [
    "X-A: 1",
    "X-A: 2",
    "Cookie: a=1",
    "Cookie: b=2",
    "X-Empty:",
    "X-Blank:   \t ",
    "X-Bytes: \xff\xfe;\"'",
  ];
  await client.send(requestBytes({}).replace("\r\n\r\n", `\r\n${lines.join("\r\n")}\r\n\r\n`));
  await readResponse(client);
  expect(backend.requests[0]?.headers.slice(1)).toEqual([
    ["X-A", "1"],
    ["X-A", "2"],
    ["Cookie", "a=1"],
    ["Cookie", "b=2"],
    ["X-Empty", ""],
    ["X-Blank", ""],
    ["X-Bytes", "\xff\xfe;\"'"],
  ]);
});
