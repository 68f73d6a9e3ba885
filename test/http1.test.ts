/**
 * Conversations over raw connections, with wsgate and with the real nginx: what is answered, how the connection ends, and
 * what the logs say must be the same, or else be one of the differences named here.
 */
import { describe, expect, test } from "vitest";
import { startHttpBackend } from "./rig/backends.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

/** What the client does: sends bytes, FIN or RST; waits for 100 Continue, one answer, or the end. */
type Step = { readonly send: string } | "FIN" | "RST" | "continue" | "answer" | "end";

interface Conversation {
  readonly subject: string;
  readonly steps: readonly Step[];
  /** The server whose timeouts are short. */
  readonly isHasty?: boolean;
  /** Where wsgate differs on purpose, and why. */
  readonly differs?: { readonly answers?: string; readonly log?: string; readonly errors?: string };
}

function send(...lines: readonly string[]): Step {
  return { send: lines.join("\r\n") };
}

const GET = send("GET /r HTTP/1.1", "Host: a", "", "");
const TWO_LINES_TELL_MORE =
  "nginx names the value that is wrong; wsgate only the rule, since values can be secrets";

const CONVERSATIONS: readonly Conversation[] = [
  { subject: "one request after the other", steps: [GET, "answer", GET, "answer", "FIN", "end"] },
  { subject: "pipelined requests", steps: [GET, GET, GET, "answer", "answer", "answer", "FIN", "end"] },
  {
    subject: "HEAD",
    steps: [send("HEAD / HTTP/1.1", "Host: a", "", ""), "answer", GET, "answer", "FIN", "end"],
  },
  { subject: "HTTP/1.0", steps: [send("GET /r HTTP/1.0", "", ""), "answer", "end"] },
  {
    subject: "HTTP/1.0 that keeps its connection",
    steps: [send("GET /r HTTP/1.0", "Connection: keep-alive", "", ""), "answer", "FIN", "end"],
  },
  {
    subject: "Connection: close",
    steps: [send("GET /r HTTP/1.1", "Host: a", "Connection: close", "", ""), "answer", "end"],
  },
  {
    subject: "a half-close right behind a request for a file",
    steps: [send("GET / HTTP/1.0", "", ""), "FIN", "answer", "end"],
  },
  {
    subject: "a half-close while the upstream is asked",
    steps: [send("GET /never HTTP/1.1", "Host: a", "", ""), "FIN", "end"],
  },
  {
    subject: "a half-close behind two pipelined requests while the upstream is asked",
    steps: [
      send("GET /never HTTP/1.1", "Host: a", "", "GET /never HTTP/1.1", "Host: a", "", ""),
      "FIN",
      "end",
    ],
  },
  {
    subject: "an answer of unknown length",
    steps: [send("GET /stream HTTP/1.1", "Host: a", "", ""), "answer", "FIN", "end"],
  },
  {
    subject: "an answer of unknown length to HTTP/1.0",
    steps: [send("GET /stream HTTP/1.0", "", ""), "answer", "end"],
  },
  {
    subject: "a body with a length",
    steps: [send("POST /echo HTTP/1.1", "Host: a", "Content-Length: 3", "", "abc"), "answer", "FIN", "end"],
  },
  {
    subject: "a body in chunks",
    steps: [
      send("POST /echo HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "3", "abc", "0", "", ""),
      "answer",
      "FIN",
      "end",
    ],
  },
  {
    subject: "Expect: 100-continue",
    steps: [
      send("POST /echo HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 3", "", ""),
      "continue",
      { send: "abc" },
      "answer",
      "FIN",
      "end",
    ],
    differs: { log: "nginx counts the 100 Continue as part of the body" },
  },
  {
    subject: "a body that is not wanted, and a request behind it",
    steps: [
      send("POST /r HTTP/1.1", "Host: a", "Content-Length: 3", "", "abcGET /r HTTP/1.1", "Host: a", "", ""),
      "answer",
      "answer",
      "FIN",
      "end",
    ],
  },
  {
    subject: "a body that is not wanted and never comes",
    isHasty: true,
    steps: [send("POST /r HTTP/1.1", "Host: a", "Content-Length: 3", "", ""), "answer", "end"],
  },
  {
    subject: "a body that breaks off",
    steps: [send("POST /echo HTTP/1.1", "Host: a", "Content-Length: 30", "", "abc"), "FIN", "end"],
    differs: {
      errors: "wsgate says of a client that leaves what it says of every one that is being proxied",
    },
  },
  {
    subject: "a body that is too slow",
    isHasty: true,
    steps: [send("POST /echo HTTP/1.1", "Host: a", "Content-Length: 30", "", "abc"), "end"],
    differs: { errors: "nginx does not say that its client was too slow" },
  },
  {
    subject: "a body in bad chunks",
    steps: [
      send("POST /echo HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "", "zz", ""),
      "answer",
      "end",
    ],
    differs: { errors: "wsgate says what is wrong with it" },
  },
  {
    subject: "a body announced too large",
    steps: [send("POST /echo HTTP/1.1", "Host: a", "Content-Length: 3000", "", "abc"), "answer", "end"],
  },
  {
    subject: "a body that grows too large",
    steps: [
      send(
        "POST /echo HTTP/1.1",
        "Host: a",
        "Transfer-Encoding: chunked",
        "",
        "40",
        "x".repeat(64),
        "0",
        "",
        "",
      ),
      "answer",
      "end",
    ],
  },
  { subject: "a head that breaks off", steps: [send("GET / HTTP/1.1", "Host"), "FIN", "end"] },
  { subject: "a request line that breaks off", steps: [send("GET / HT"), "FIN", "end"] },
  { subject: "a head that is too slow", isHasty: true, steps: [send("GET / HTTP/1.1", "Host"), "end"] },
  { subject: "a connection that says nothing", isHasty: true, steps: ["end"] },
  { subject: "a method in lower case", steps: [send("get / HTTP/1.1", "Host: a", "", ""), "answer", "end"] },
  {
    subject: "a control byte in the target",
    steps: [send("GET /\x01 HTTP/1.1", "Host: a", "", ""), "answer", "end"],
    differs: { errors: "wsgate says what is wrong with it" },
  },
  { subject: "another version", steps: [send("GET / HTTP/2.0", "Host: a", "", ""), "answer", "end"] },
  { subject: "no Host", steps: [send("GET / HTTP/1.1", "", ""), "answer", "end"] },
  {
    subject: "two Hosts",
    steps: [send("GET / HTTP/1.1", "Host: a", "Host: b", "", ""), "answer", "end"],
    differs: { errors: TWO_LINES_TELL_MORE },
  },
  {
    subject: "a NUL in a header name",
    steps: [send("GET / HTTP/1.1", "Host: a", "X\0y: 1", "", ""), "answer", "end"],
    differs: { errors: TWO_LINES_TELL_MORE },
  },
  {
    subject: "a request line that is too long",
    steps: [send(`GET /${"a".repeat(9000)} HTTP/1.1`, "Host: a", "", ""), "answer", "end"],
    differs: {
      log: "nginx shows what its buffer held of it",
      errors: "nginx shows what its buffer held of it",
    },
  },
  {
    subject: "a header that is too long",
    steps: [send("GET / HTTP/1.1", "Host: a", `X: ${"a".repeat(9000)}`, "", ""), "answer", "end"],
    differs: { errors: TWO_LINES_TELL_MORE },
  },
  {
    subject: "a body framed twice",
    steps: [
      send("POST / HTTP/1.1", "Host: a", "Content-Length: 3", "Transfer-Encoding: chunked", "", ""),
      "answer",
      "end",
    ],
  },
  {
    subject: "an unknown transfer coding",
    steps: [send("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: gzip", "", ""), "answer", "end"],
    differs: { errors: TWO_LINES_TELL_MORE },
  },
];

const HTTP = `
  log_format told '$request|$status|$body_bytes_sent';
  access_log logs/told.log told;
  error_log logs/info.log info;
  lingering_timeout 300ms;
  server { listen {{port:hasty}}; client_header_timeout 300ms; client_body_timeout 300ms; include {{prefix}}/conf/locations; }
  server { listen {{port:front}}; include {{prefix}}/conf/locations; }`;

const LOCATIONS = `
    location / { root {{prefix}}/html; }
    location = /r { return 200 "ok\\n"; }
    location = /echo { client_max_body_size 40; proxy_pass http://{{backend}}; }
    location = /never { proxy_pass http://{{backend}}; }
    location = /stream { proxy_pass http://{{backend}}; proxy_http_version 1.1; }`;

/** What a client sees of one conversation. */
async function converse(proxy: Proxy, { steps, isHasty }: Conversation): Promise<readonly string[]> {
  const peer = await connectRaw({ port: proxy.port(isHasty === true ? "hasty" : "front") });
  const seen: string[] = [];
  const requests = steps.flatMap((step) =>
    typeof step === "object" ? (step.send.match(/[A-Za-z]+ \/.* HTTP/g) ?? []) : [],
  );
  for (const step of steps) {
    if (typeof step === "object") await peer.send(step.send);
    else if (step === "FIN") peer.end();
    else if (step === "RST") peer.reset();
    else if (step === "continue") await peer.until("100 Continue\r\n\r\n");
    else if (step === "end") seen.push(`end ${JSON.stringify(await peer.toEnd())}`);
    else seen.push(await nextAnswer(peer, requests.shift()?.startsWith("HEAD") === true));
  }
  await peer.close();
  return seen;
}

async function nextAnswer(peer: RawPeer, isHead: boolean): Promise<string> {
  const response = await readResponse(peer, isHead ? "HEAD" : "GET").catch(() => null);
  if (response === null) return "no answer";
  const { status, interim, body } = response;
  const neutral = body.replace(/(nginx|wsgate)\/[\d.]+/, "PRODUCT");
  const fields = ["connection", "keep-alive", "content-length", "transfer-encoding"].map(
    (name) => `${name}: ${response.header(name)}`,
  );
  return JSON.stringify([interim.map(({ startLine }) => startLine), status, fields, neutral]);
}

/** The lines of a log without what differs by nature. */
function linesOf(proxy: Proxy, file: string): readonly string[] {
  return proxy
    .read(file)
    .replaceAll(String(proxy.port("front")), "PORT")
    .replaceAll(String(proxy.port("hasty")), "PORT")
    .split("\n")
    .filter((line) => line !== "" && !/\[(?:notice|warn)\]/.test(line))
    .map((line) =>
      line
        .replace(/^\S+ \S+ (\[\w+\]) \S+ \*\d+ /, "$1 ")
        // How nginx came to know of it.
        .replace("epoll_wait() reported that ", "")
        .replace(/a{99,}/g, "a…")
        // How far the two have got by then is chance.
        .replace(/ while (?:connecting to|sending request to|reading response header from) upstream/, ""),
    );
}

describe("conversations beside the real nginx", () => {
  test("are the same in what is answered, how they end, and what the logs say of them", {
    timeout: 60_000,
  }, async (context) => {
    requires(context, "nginx");
    const backend = await startHttpBackend(({ url, body }, response) => {
      if (url === "/never") return;
      if (url === "/stream") response.write("some ");
      else response.setHeader("content-length", body.length);
      response.end(body);
    });
    const options = {
      http: HTTP,
      values: { backend: backend.address },
      files: { "html/index.html": "file", "conf/locations": LOCATIONS },
    };
    const [gate, nginx] = [await startGate(options), await startNginx(options)];
    const differences: unknown[] = [];
    for (const conversation of CONVERSATIONS) {
      const { subject, differs } = conversation;
      const before = new Map([gate, nginx].map((proxy) => [proxy, logsOf(proxy)]));
      const [ours, theirs] = [
        await told(gate, conversation, before),
        await told(nginx, conversation, before),
      ];
      for (const part of ["answers", "log", "errors"] as const) {
        const isSame = JSON.stringify(ours[part]) === JSON.stringify(theirs[part]);
        const isMeantToBe = differs?.[part] === undefined;
        if (isSame !== isMeantToBe)
          differences.push({ subject, part, ours: ours[part], theirs: theirs[part] });
      }
    }
    expect(differences).toEqual([]);
  });
});

interface Logs {
  readonly log: readonly string[];
  readonly errors: readonly string[];
}

function logsOf(proxy: Proxy): Logs {
  return { log: linesOf(proxy, "logs/told.log"), errors: linesOf(proxy, "logs/info.log") };
}

/** A conversation and what the logs have to say of it, complete once a request that ends it all is in them. */
async function told(
  proxy: Proxy,
  conversation: Conversation,
  before: ReadonlyMap<Proxy, Logs>,
): Promise<Logs & { readonly answers: readonly string[] }> {
  const answers = await converse(proxy, conversation);
  const mark = `/mark-${Math.random()}`;
  const peer = await connectRaw({ port: proxy.port("front") });
  await peer.send(`GET ${mark} HTTP/1.0\r\n\r\n`);
  await peer.toEnd();
  await peer.close();
  await proxy.waitForFile("logs/told.log", new RegExp(mark));
  await proxy.waitForFile("logs/info.log", new RegExp(mark));
  const { log, errors } = logsOf(proxy);
  const known = before.get(proxy);
  const isNew = (line: string): boolean => !line.includes("/mark-");
  return {
    answers,
    log: log.slice(known?.log.length ?? 0).filter(isNew),
    errors: errors.slice(known?.errors.length ?? 0).filter(isNew),
  };
}
