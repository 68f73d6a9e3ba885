/** Upstreams that refuse, hang, reset, talk nonsense or stop half-way: what the client gets, and what the log says. */
import { describe, expect, test } from "vitest";
import { type Fault, startFaultyBackend, startHttpBackend, startRawBackend } from "./rig/backends.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";
import { within } from "./rig/deadline.ts";

useRig();

const FAULTS: readonly Fault[] = [
  "refuse",
  "reset",
  "reset-after-request",
  "close",
  "hang",
  "half-head",
  "half-body",
  "half-chunk",
];

/** Answers that are wrong in their head, and what the log says of them after "upstream sent". */
const WRONG_HEADS: readonly (readonly [what: string, head: string, log: string])[] = [
  ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "no valid HTTP/1.0 header"],
  ["too big a head", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(5_000)}\r\n\r\n`, "too big header"],
  ["a header without a colon", "HTTP/1.1 200 OK\r\nColonless\r\n\r\n", "a header line without a colon"],
  ["a folded header", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "a folded header line"],
  [
    "two lengths",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    'duplicate "Content-Length" header',
  ],
  [
    "a length that is none",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    'invalid "Content-Length" header',
  ],
  [
    "a length and chunks",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    '"Content-Length" and "Transfer-Encoding" headers at the same time',
  ],
  ["an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 'unknown "Transfer-Encoding"'],
  ["interim answers without end", "HTTP/1.1 102 Wait\r\n\r\n".repeat(40), "too many interim responses"],
];

/** The status of an answer, or how it ended; and the first line that the proxy logged about it, without its context. */
async function failureOf(proxy: Proxy): Promise<{ readonly answer: string; readonly log: string }> {
  const peer = await connectRaw({ port: proxy.port() });
  await peer.send("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const answer = await peer.toEnd();
  const [, log = ""] = await proxy.waitForLog(/\[(?:error|crit)\] .*?\*\d+ (.*?), client:/);
  const statusLine = /^HTTP\/1\.1 \d+/.exec(answer)?.[0] ?? "";
  // Which call meets a reset, and during what, is chance.
  const isReset = log.includes("failed (104: Connection reset by peer) while ");
  return { answer: `${statusLine} … ${answer.slice(-5)}`, log: isReset ? "reset" : log };
}

test.for(FAULTS)("an upstream that does this is answered for as by nginx: %s", async (fault, context) => {
  requires(context, "nginx");
  const backend = await startFaultyBackend(fault);
  const http = `proxy_read_timeout 300ms; proxy_http_version 1.1; proxy_set_header Connection "";
    server { listen {{port:front}}; location / { proxy_pass http://${backend.address}; } }`;
  const [gate, nginx] = await Promise.all([startGate({ http }), startNginx({ http })]);
  const [ours, theirs] = [await failureOf(gate), await failureOf(nginx)];
  expect(ours).toEqual(theirs);
});

test.each(WRONG_HEADS)("an upstream that sends %s is 502", async (_what, head, log) => {
  const backend = await startRawBackend(head);
  const gate = await startGate({
    http: `server { listen {{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const failure = await failureOf(gate);
  expect(failure.answer).toContain("HTTP/1.1 502 ");
  expect(failure.log).toBe(`upstream sent ${log} while reading response header from upstream`);
});

describe("another peer", () => {
  test.each(["refuse", "reset", "reset-after-request", "close", "half-head"] as const)(
    "answers in place of one that does this: %s",
    async (fault) => {
      const [broken, good] = [await startFaultyBackend(fault), await startHttpBackend()];
      const gate = await startGate({
        http: `upstream app { server ${broken.address}; server ${good.address}; }
          log_format tries "$upstream_addr|$upstream_status";
          server { listen {{port:front}}; access_log logs/tries.log tries; location / { proxy_pass http://app; } }`,
      });
      expect((await request({ port: gate.port() })).status).toBe(200);
      await gate.waitForFile(
        "logs/tries.log",
        new RegExp(`^${broken.address}, ${good.address}\\|502, 200$`, "m"),
      );
    },
  );

  test("answers after a timeout, and the slow one is asked no more for fail_timeout", async () => {
    const [slow, good] = [await startFaultyBackend("hang"), await startHttpBackend()];
    const gate = await startGate({
      http: `upstream app { server ${slow.address}; server ${good.address}; }
        log_format tries "$upstream_addr|$upstream_status";
        server { listen {{port:front}}; access_log logs/tries.log tries; proxy_read_timeout 200ms; location / { proxy_pass http://app; } }`,
    });
    for (let i = 0; i < 3; i++) expect((await request({ port: gate.port() })).status).toBe(200);
    await gate.waitForFile(
      "logs/tries.log",
      new RegExp(
        `^${slow.address}, ${good.address}\\|504, 200\n${good.address}\\|200\n${good.address}\\|200\n`,
      ),
    );
    await gate.waitForLog(/\[warn\] .*upstream server temporarily disabled while/);
  });

  test("is not given a POST that has been sent, unless non_idempotent allows it", async () => {
    const [broken, good] = [await startFaultyBackend("close"), await startHttpBackend()];
    const gate = await startGate({
      http: `upstream a { server ${broken.address} max_fails=0; server ${good.address} backup; }
        server { listen {{port:front}};
          location / { proxy_pass http://a; }
          location /again { proxy_pass http://a; proxy_next_upstream error non_idempotent; } }`,
    });
    const post = { port: gate.port(), method: "POST", body: "once" };
    expect((await request({ ...post, target: "/" })).status).toBe(502);
    expect(good.requests).toEqual([]);
    expect((await request({ ...post, target: "/again" })).status).toBe(200);
    expect(good.requests[0]?.body).toBe("once");
  });

  test("is given a POST that could not be sent", async () => {
    const [broken, good] = [await startFaultyBackend("refuse"), await startHttpBackend()];
    const gate = await startGate({
      http: `upstream a { server ${broken.address}; server ${good.address} backup; }
        server { listen {{port:front}}; location / { proxy_pass http://a; } }`,
    });
    expect((await request({ port: gate.port(), method: "POST", body: "x" })).status).toBe(200);
  });

  test("is given the request for a status that proxy_next_upstream names, and the last answer passes", async () => {
    const busy = await startRawBackend("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    const missing = await startRawBackend("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
    const gate = await startGate({
      http: `upstream a { server ${busy.address} max_fails=0; server ${missing.address} max_fails=0; }
        log_format tries "$upstream_status";
        server { listen {{port:front}}; access_log logs/tries.log tries;
          location /503 { proxy_pass http://a; proxy_next_upstream http_503; }
          location /both { proxy_pass http://a; proxy_next_upstream http_503 http_404; } }`,
    });
    const first = await request({ port: gate.port(), target: "/503" });
    expect([first.status, first.body]).toEqual([404, "none"]);
    const second = await request({ port: gate.port(), target: "/both" });
    expect([second.status, second.body]).toEqual([503, "busy"]);
    await gate.waitForFile("logs/tries.log", /^503, 404\n404, 503\n/);
  });

  test("is asked no more often than proxy_next_upstream_tries says, nor after off", async () => {
    const broken = await Promise.all([1, 2, 3].map(() => startFaultyBackend("refuse")));
    const servers = broken.map((each) => `server ${each.address} max_fails=0;`).join(" ");
    const gate = await startGate({
      http: `upstream a { ${servers} }
        log_format tries "$upstream_status";
        server { listen {{port:front}}; access_log logs/tries.log tries;
          location /two { proxy_pass http://a; proxy_next_upstream_tries 2; }
          location /all { proxy_pass http://a; }
          location /off { proxy_pass http://a; proxy_next_upstream off; } }`,
    });
    for (const target of ["/two", "/all", "/off"]) {
      expect((await request({ port: gate.port(), target })).status).toBe(502);
    }
    await gate.waitForFile("logs/tries.log", /^502, 502\n502, 502, 502\n502\n/);
  });

  test("is missing when all are down or resting: 502, and the log says so", async () => {
    const backend = await startFaultyBackend("refuse");
    const gate = await startGate({
      http: `upstream a { server ${backend.address}; server ${backend.address} down; server 127.0.0.2:9 down; }
        log_format tries "$upstream_addr|$upstream_status";
        server { listen {{port:front}}; access_log logs/tries.log tries; location / { proxy_pass http://a; } }`,
    });
    await request({ port: gate.port() });
    expect((await request({ port: gate.port() })).status).toBe(502);
    await gate.waitForLog(
      /\[error\] .*no live upstreams while connecting to upstream, .*upstream: "http:\/\/a\//,
    );
    await gate.waitForFile("logs/tries.log", new RegExp(`^${backend.address}\\|502\na\\|502\n`));
  });
});

/** An upstream that never answers; resolves with its end of the connection once a request has arrived. */
async function startSilentBackend() {
  let onRequest = (_peer: RawPeer): void => {};
  const asked = new Promise<RawPeer>((resolve) => {
    onRequest = resolve;
  });
  const backend = await startRawBackend((_request, peer) => onRequest(peer));
  return { address: backend.address, asked: () => within(asked, "a request to the backend") };
}

test("a client that goes away takes its upstream connection with it", async () => {
  const backend = await startSilentBackend();
  const gate = await startGate({
    http: `server { listen {{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
  });
  const client = await connectRaw({ port: gate.port() });
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const upstream = await backend.asked();
  client.reset();
  expect(await upstream.toEnd()).toBe("");
  await gate.waitForFile("logs/access.log", /"GET \/ HTTP\/1.1" 499 0/);
});

test("with proxy_ignore_client_abort the upstream is heard out all the same", async () => {
  const backend = await startSilentBackend();
  const gate = await startGate({
    http: `server { listen {{port:front}}; location / { proxy_pass http://${backend.address}; proxy_ignore_client_abort on; } location /other { return 204; } }`,
  });
  const client = await connectRaw({ port: gate.port() });
  await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const upstream = await backend.asked();
  client.reset();
  await gate.waitForFile("logs/access.log", /"GET \/ HTTP\/1.1" 499/);
  // A FIN for the upstream would have been sent before this request was read.
  await request({ port: gate.port(), target: "/other" });
  expect(upstream.inbox.ending).toBeUndefined();
});
