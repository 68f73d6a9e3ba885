/**
 * What upstreams do to a proxy, one misbehaviour after the other. Whatever it is: the client is told the truth, the log
 * names the upstream and what was being done, a healthy peer answers where that is still possible, and the connection
 * carries nothing else afterwards.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type RawBackend, startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { within } from "./rig/deadline.ts";
import { request } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { obtain, useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

const GOOD = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

/** Bytes, and how the connection goes on after them: `stay` leaves it open. */
interface Misbehaviour {
  readonly what: string;
  readonly bytes: string;
  readonly ending: "stay" | "end" | "reset";
  /** What the log says, up to its context. */
  readonly log: RegExp;
}

function reading(message: string): RegExp {
  return new RegExp(`${message} while reading response header from upstream, client: `);
}

const CLOSED = "upstream prematurely closed connection";
const RESET = String.raw`recv\(\) failed \(104: Connection reset by peer\)`;
const LENGTH_HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
const CHUNKED_HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Nothing of an answer has reached the client when these go wrong. */
const BEFORE_THE_ANSWER: readonly Misbehaviour[] = [
  { what: "ends without a byte", bytes: "", ending: "end", log: reading(CLOSED) },
  { what: "resets without a byte", bytes: "", ending: "reset", log: reading(RESET) },
  { what: "ends within the status line", bytes: "HTTP/1.1 20", ending: "end", log: reading(CLOSED) },
  { what: "resets within the status line", bytes: "HTTP/1.1 20", ending: "reset", log: reading(RESET) },
  {
    what: "ends within a header",
    bytes: "HTTP/1.1 200 OK\r\nContent-Le",
    ending: "end",
    log: reading(CLOSED),
  },
  {
    what: "resets within a header",
    bytes: "HTTP/1.1 200 OK\r\nContent-Le",
    ending: "reset",
    log: reading(RESET),
  },
  {
    what: "ends before the empty line",
    bytes: "HTTP/1.1 200 OK\r\nX: y\r\n",
    ending: "end",
    log: reading(CLOSED),
  },
  {
    what: "ends after 100 Continue",
    bytes: "HTTP/1.1 100 Continue\r\n\r\n",
    ending: "end",
    log: reading(CLOSED),
  },
  {
    what: "resets after 103",
    bytes: "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n",
    ending: "reset",
    log: reading(RESET),
  },
  {
    what: "sends interim answers without end",
    bytes: "HTTP/1.1 102 Processing\r\n\r\n".repeat(1000),
    ending: "stay",
    log: reading("upstream sent too many interim responses"),
  },
  ...[
    ["HTTP/0.9", "<html>hello</html>"],
    ["a TLS alert", "\x15\x03\x01\x00\x02\x02\x16"],
    ["an SMTP greeting", "220 mail.test ESMTP\r\n"],
    ["ICY", "ICY 200 OK\r\n\r\n"],
    ["HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n"],
    ["HTTP/1.1 without a status", "HTTP/1.1 \r\n\r\n"],
    ["two digits of status", "HTTP/1.1 20 OK\r\n\r\n"],
    ["letters for a status", "HTTP/1.1 2xx OK\r\n\r\n"],
    ["a status of 99", "HTTP/1.1 099 Low\r\n\r\n"],
    ["a control byte in the reason", "HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"],
  ].map(
    ([what = "", bytes = ""]): Misbehaviour => ({
      what: `speaks ${what}`,
      bytes,
      ending: "stay",
      log: reading("upstream sent no valid HTTP/1.0 header"),
    }),
  ),
  {
    what: "sends a NUL in a header",
    bytes: "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    ending: "stay",
    log: reading("upstream sent a control byte in a header value"),
  },
  {
    what: "sends a header line with an empty name",
    bytes: "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
    ending: "stay",
    log: reading("upstream sent a header line with an empty name"),
  },
  {
    what: "sends a name with a space",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
    ending: "stay",
    log: reading("upstream sent a header line with whitespace before its colon"),
  },
  {
    what: "sends a head without end",
    bytes: `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(100_000)}`,
    ending: "stay",
    log: reading("upstream sent too big header"),
  },
  {
    what: "sends one line without end",
    bytes: `HTTP/1.1 200 ${"x".repeat(500_000)}`,
    ending: "stay",
    log: reading("upstream sent too big header"),
  },
  {
    what: "sends lengths that differ",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    ending: "stay",
    log: reading('upstream sent duplicate "Content-Length" header'),
  },
  {
    what: "sends a length beyond 2^53",
    bytes: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabcd",
    ending: "stay",
    log: reading('upstream sent invalid "Content-Length" header'),
  },
  {
    what: "sends a bare CR in the status line",
    bytes: "HTTP/1.1 200 OK\rX: y\r\n\r\n",
    ending: "stay",
    log: reading("upstream sent a carriage return without a line feed"),
  },
];

function upstream(message: string): RegExp {
  return new RegExp(`${message} while reading upstream, client: `);
}

/** The client has the head, and perhaps some of the body, when these go wrong. */
const WITHIN_THE_BODY: readonly Misbehaviour[] = [
  { what: "ends before a body with a length", bytes: LENGTH_HEAD, ending: "end", log: upstream(CLOSED) },
  { what: "resets before a body with a length", bytes: LENGTH_HEAD, ending: "reset", log: upstream(RESET) },
  {
    what: "ends within a body with a length",
    bytes: `${LENGTH_HEAD}half`,
    ending: "end",
    log: upstream(CLOSED),
  },
  {
    what: "resets within a body with a length",
    bytes: `${LENGTH_HEAD}half`,
    ending: "reset",
    log: upstream(RESET),
  },
  { what: "ends before the first chunk", bytes: CHUNKED_HEAD, ending: "end", log: upstream(CLOSED) },
  { what: "ends within a chunk size", bytes: `${CHUNKED_HEAD}1`, ending: "end", log: upstream(CLOSED) },
  { what: "ends within a chunk", bytes: `${CHUNKED_HEAD}64\r\nhalf`, ending: "end", log: upstream(CLOSED) },
  {
    what: "resets within a chunk",
    bytes: `${CHUNKED_HEAD}64\r\nhalf`,
    ending: "reset",
    log: upstream(RESET),
  },
  { what: "ends after a chunk", bytes: `${CHUNKED_HEAD}4\r\nhalf\r\n`, ending: "end", log: upstream(CLOSED) },
  {
    what: "ends within the last chunk",
    bytes: `${CHUNKED_HEAD}4\r\nhalf\r\n0\r\n`,
    ending: "end",
    log: upstream(CLOSED),
  },
  {
    what: "ends within the trailers",
    bytes: `${CHUNKED_HEAD}4\r\nhalf\r\n0\r\nX: y\r\n`,
    ending: "end",
    log: upstream(CLOSED),
  },
  {
    what: "resets a body that only its end would end",
    bytes: "HTTP/1.1 200 OK\r\n\r\nhalf",
    ending: "reset",
    log: upstream(RESET),
  },
  ...[
    ["a chunk size that is none", "x\r\nhalf\r\n"],
    ["a negative chunk size", "-1\r\nhalf\r\n"],
    ["a chunk size of 2^64", "10000000000000000\r\nhalf"],
    ["a chunk longer than its size", "1\r\nhalf\r\n0\r\n\r\n"],
    ["a bare LF after a chunk", "4\r\nhalf\n0\r\n\r\n"],
    ["an endless chunk extension", `4;${"x".repeat(100_000)}`],
    ["endless trailers", `0\r\n${"X: y\r\n".repeat(100_000)}`],
  ].map(
    ([what = "", body = ""]): Misbehaviour => ({
      what: `sends ${what}`,
      bytes: CHUNKED_HEAD + body,
      ending: "stay",
      log: upstream("upstream sent .*"),
    }),
  ),
];

async function misbehave(peer: RawPeer, { bytes, ending }: Misbehaviour): Promise<void> {
  if (bytes !== "") await peer.send(bytes);
  if (ending === "end") peer.end();
  if (ending === "reset") peer.reset();
}

interface Stage {
  readonly gate: Proxy;
  readonly bad: RawBackend;
}

/** `/` goes to an upstream that misbehaves unless asked for `/good`; `/retry` to it and then to a healthy one. */
async function stage(misbehaviour: Misbehaviour): Promise<Stage> {
  const bad = await startRawBackend((seen, peer) =>
    seen.target === "/good" ? peer.send(GOOD) : misbehave(peer, misbehaviour),
  );
  const healthy = await startHttpBackend((_seen, response) => response.end("healthy"));
  const gate = await startGate({
    http: `upstream both { server ${bad.address} max_fails=0; server ${healthy.address} backup; }
      proxy_next_upstream error timeout invalid_header;
      server { listen 127.0.0.1:{{port:front}};
        location / { proxy_pass http://${bad.address}; }
        location /unbuffered { proxy_pass http://${bad.address}; proxy_buffering off; }
        location /retry { proxy_pass http://both; } }`,
  });
  return { gate, bad };
}

async function expectNoReuse({ gate, bad }: Stage): Promise<void> {
  const before = bad.connections.length;
  expect((await request({ port: gate.port(), target: "/good" })).body).toBe("good");
  expect(bad.connections).toHaveLength(before + 1);
}

describe("an upstream that fails before its answer", () => {
  test.each(BEFORE_THE_ANSWER)(
    "is 502, named in the log, and replaced by a healthy one: it $what",
    async (misbehaviour) => {
      const both = await stage(misbehaviour);
      const { gate, bad } = both;
      expect((await request({ port: gate.port(), target: "/x" })).status).toBe(502);
      const [line] = await gate.waitForLog(new RegExp(`\\[error\\] .*${misbehaviour.log.source}.*`));
      expect(line).toContain(`request: "GET /x HTTP/1.1", upstream: "http://${bad.address}/x", host: "`);
      expect((await request({ port: gate.port(), target: "/retry" })).body).toBe("healthy");
      await expectNoReuse(both);
    },
  );
});

describe("an upstream that fails within its answer", () => {
  test.each(WITHIN_THE_BODY)(
    "is seen to have failed, whatever the client speaks: it $what",
    async (misbehaviour) => {
      const both = await stage(misbehaviour);
      const { gate, bad } = both;
      for (const [target, version] of [
        ["/x", "1.1"],
        ["/x", "1.0"],
        ["/unbuffered", "1.1"],
      ] as const) {
        const client = await connectRaw({ port: gate.port() });
        await client.send(`GET ${target} HTTP/${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`);
        const received = await client.toEnd();
        expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
        expect(isWhole(received, client.inbox.ending)).toBe(false);
        await client.close();
      }
      const [line] = await gate.waitForLog(new RegExp(`\\[error\\] .*${misbehaviour.log.source}.*`));
      expect(line).toContain(`upstream: "http://${bad.address}/x"`);
      await expectNoReuse(both);
    },
  );
});

/** Whether a client would take this for a complete answer (RFC 9112 section 8). */
function isWhole(received: string, ending: string | undefined): boolean {
  const [head = "", ...rest] = received.split("\r\n\r\n");
  const body = rest.join("\r\n\r\n");
  const length = /^Content-Length: (\d+)/im.exec(head)?.[1];
  if (length !== undefined) return body.length >= Number(length);
  if (/^Transfer-Encoding: chunked/im.test(head)) return received.endsWith("0\r\n\r\n");
  return ending === "end";
}

describe("an answer that brings more than it announces", () => {
  const STRAY = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
  const answers: readonly (readonly [what: string, method: string, answer: string, body: string])[] = [
    ["a second answer behind a length", "GET", GOOD + STRAY, "good"],
    ["a byte behind a length", "GET", `${GOOD}x`, "good"],
    ["a second answer behind chunks", "GET", `${CHUNKED_HEAD}4\r\ngood\r\n0\r\n\r\n${STRAY}`, "good"],
    [
      "a body with 204",
      "GET",
      `HTTP/1.1 204 No Content\r\nContent-Length: ${STRAY.length}\r\n\r\n${STRAY}`,
      "",
    ],
    [
      "a body with 304",
      "GET",
      `HTTP/1.1 304 Not Modified\r\nContent-Length: ${STRAY.length}\r\n\r\n${STRAY}`,
      "",
    ],
    ["a body with HEAD", "HEAD", `HTTP/1.1 200 OK\r\nContent-Length: ${STRAY.length}\r\n\r\n${STRAY}`, ""],
    ["chunks with HEAD", "HEAD", `${CHUNKED_HEAD}4\r\ngood\r\n0\r\n\r\n`, ""],
  ];
  test.each(answers)("is cut, and poisons no other: %s", async (_what, method, answer, body) => {
    const bad = await startRawBackend((seen, peer) => peer.send(seen.target === "/good" ? GOOD : answer));
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${bad.address}; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect((await readResponse(client, method)).body).toBe(body);
    await client.send("GET /good HTTP/1.1\r\nHost: a\r\n\r\n");
    expect((await readResponse(client)).body).toBe("good");
    expect(client.inbox.unread).toBe("");
    expect(bad.connections).toHaveLength(2);
  });

  test("comes in a segment of its own, and its connection is not used again either", async () => {
    const bad = await startRawBackend(GOOD);
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${bad.address}; } }`,
    });
    expect((await request({ port: gate.port(), target: "/late" })).body).toBe("good");
    const idle = await bad.connection(0);
    await idle.send(STRAY);
    // The gate closes what has spoken unasked; only then is it certain to have seen it.
    await idle.toEnd();
    expect((await request({ port: gate.port() })).body).toBe("good");
    expect(bad.connections).toHaveLength(2);
  });
});

describe("an upstream that is slow", () => {
  test("but sends a byte now and then is heard out, its head as well as its body", async () => {
    const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n";
    const bad = await startRawBackend(async (_seen, peer) => {
      for (const byte of answer) {
        await peer.send(byte);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; proxy_read_timeout 250ms; location / { proxy_pass http://${bad.address}; } }`,
    });
    expect((await request({ port: gate.port() })).body).toBe("good");
  });

  test.each([
    ["within its head", "HTTP/1.1 200 O", 504, "reading response header from upstream"],
    ["before its head", "", 504, "reading response header from upstream"],
    ["within its body", `${LENGTH_HEAD}half`, 200, "reading upstream"],
  ])("and falls silent %s is given up after proxy_read_timeout", async (_where, bytes, status, doing) => {
    const bad = await startRawBackend((_seen, peer) => peer.send(bytes));
    const gate = await startGate({
      http: `server { listen 127.0.0.1:{{port:front}}; proxy_read_timeout 200ms; location / { proxy_pass http://${bad.address}; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const received = await client.toEnd();
    expect(received).toContain(`HTTP/1.1 ${status} `);
    expect(status === 200 && isWhole(received, client.inbox.ending)).toBe(false);
    await gate.waitForLog(
      new RegExp(
        `upstream timed out \\(110: Connection timed out\\) while ${doing}, .*upstream: "http://${bad.address}/"`,
      ),
    );
    await (await bad.connection(0)).toEnd();
  });

  test("and takes nothing of a body is given up after proxy_send_timeout", async () => {
    const bad = await startRawBackend(() => {});
    const gate = await startGate({
      http: `client_max_body_size 0; server { listen 127.0.0.1:{{port:front}}; proxy_send_timeout 300ms; proxy_request_buffering off; location / { proxy_pass http://${bad.address}; } }`,
    });
    const client = await connectRaw({ port: gate.port() });
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
    const stuck = await bad.connection(0);
    stuck.socket.pause();
    const piece = Buffer.alloc(1 << 20);
    const answered = client.until("\r\n\r\n");
    while (client.inbox.received === "") await Promise.race([client.send(piece), answered]);
    await answered;
    expect(client.inbox.received).toMatch(/^HTTP\/1\.1 504 /);
    await gate.waitForLog(
      /upstream timed out \(110: Connection timed out\) while sending request to upstream/,
    );
  });

  test("to accept is given up after proxy_connect_timeout, and a healthy one answers instead", async () => {
    const port = await startDeafListener();
    const healthy = await startHttpBackend((_seen, response) => response.end("healthy"));
    const gate = await startGate({
      http: `upstream both { server 127.0.0.1:${port} max_fails=0; server ${healthy.address} backup; }
        proxy_connect_timeout 300ms;
        server { listen 127.0.0.1:{{port:front}};
          location / { proxy_pass http://127.0.0.1:${port}; }
          location /retry { proxy_pass http://both; } }`,
    });
    expect((await request({ port: gate.port() })).status).toBe(504);
    await gate.waitForLog(
      new RegExp(
        `upstream timed out \\(110: Connection timed out\\) while connecting to upstream, .*upstream: "http://127\\.0\\.0\\.1:${port}/"`,
      ),
    );
    expect((await request({ port: gate.port(), target: "/retry" })).body).toBe("healthy");
  });
});

/** A port that is listened on by a process that never accepts, its backlog full: connections to it neither succeed nor fail. */
async function startDeafListener(): Promise<number> {
  const script = `
    const server = require("node:net").createServer();
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      require("node:fs").writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  obtain("a deaf listener", async () => {
    const gone = once(child, "close");
    child.kill("SIGKILL");
    await gone;
  });
  const [chunk] = await within(once(child.stdout, "data"), "the deaf listener's port");
  const port = Number(String(chunk));
  // The kernel completes as many connections as fit into the backlog, and one more.
  for (let i = 0; i < 2; i++) await connectRaw({ port });
  return port;
}
