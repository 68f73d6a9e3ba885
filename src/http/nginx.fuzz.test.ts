import { expect, it } from "vitest";
import { startConnectionBackend, startHttpBackend } from "../../test/rig/backends.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { startNginx } from "../../test/rig/proxy-process.ts";
import { connectRaw } from "../../test/rig/raw-peer.ts";
import { requires } from "../../test/rig/requires.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./head-limits.ts";
import { RequestHeadParser } from "./head-parser.ts";
import {
  fuzzRuns,
  fuzzSeed,
  randomChunks,
  randomLongHead,
  randomPath,
  randomRequestHead,
  randomResponse,
  seededRandom,
} from "./random-messages.fuzz.ts";
import { readRequests, readResponse } from "./readings.fuzz.ts";
import { normalizePath } from "./uri.ts";

useRig();

/** Where the codec refuses what nginx 1.22 reads, or with another status, and why it should. */
const STRICTER_THAN_NGINX: Readonly<Record<string, string>> = {
  "invalid-target": "one space stands between the parts of a request line",
  "invalid-version":
    "one space stands between the parts of a request line, one digit on each side of the dot",
  "unsupported-version": "the version is named before the target is judged, as for the preface of HTTP/2",
  "fragment-in-target": "nginx passes a fragment on, although for it the path ends before",
  "http-0.9": "nginx answers without a head, which no client of today can read",
  "bare-cr": "nginx skips carriage returns before a request, and any number of them before a line feed",
  "header-without-colon": "nginx takes it for a field without a value",
  "invalid-header-value": "nginx passes on every control byte but NUL",
  "invalid-host": "nginx takes nearly any byte in a name, and anything for a port",
  "invalid-chunk-size": "nginx takes blanks after a size, and more than 16 digits",
  "invalid-chunk-end": "a line feed alone ends a line for nginx 1.22, no longer for later ones",
  "invalid-chunk-extension": "nginx takes control bytes in an extension",
  "chunk-too-large": "nginx sees first that it is over client_max_body_size",
  "invalid-trailers": "nginx skips trailers unread",
};

/** What came of a request: its status, and what the server saw of it. */
interface Outcome {
  readonly status: number;
  /** The rule of the codec that it broke. */
  readonly rule?: string;
  readonly seen: string;
}

/** Null if the two agree or differ as the table above says they may; otherwise what is wrong. */
function complaint(codec: Outcome, nginx: Outcome): string | null {
  if (codec.rule !== undefined && codec.rule in STRICTER_THAN_NGINX) return null;
  if (codec.status !== nginx.status || codec.seen !== nginx.seen) {
    return `codec: ${JSON.stringify(codec)}\nnginx: ${JSON.stringify(nginx)}`;
  }
  return null;
}

/**
 * Makes `runs` requests of the seeds that follow each other, and compares what the codec and nginx make of each. A request
 * for which `read` says null is left out. The first complaint, with its seed, or null.
 */
async function fuzz(
  runs: number,
  make: (seed: number) => string,
  read: (request: string) => Outcome | null,
  ask: (request: string) => Promise<Outcome>,
): Promise<string | null> {
  for (let seed = fuzzSeed(), end = seed + runs; seed < end; seed++) {
    const request = make(seed);
    const ours = read(request);
    if (ours === null) continue;
    const wrong = complaint(ours, await ask(request));
    if (wrong !== null) return `WSGATE_FUZZ_SEED=${seed}: ${wrong}\nin ${JSON.stringify(request)}`;
  }
  return null;
}

/** Sends a request to nginx on a connection of its own; the answer's body says what nginx saw. */
async function askNginx(port: number, request: string): Promise<Outcome> {
  const client = await connectRaw({ port });
  await client.send(request);
  client.end();
  const answers = (await client.toEnd()).replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, "");
  await client.close();
  const method = /^[\r\n]*HEAD /.test(request) ? "HEAD" : "GET";
  const [answer] = readResponse(method, Buffer.from(answers, "latin1")).messages;
  const status = Number(answer?.startLine.split(" ")[1] ?? 0);
  return { status, seen: status === 200 ? (answer?.body ?? "") : "" };
}

const SEPARATOR = "<<>>";

/** What the codec makes of a head; null for one that is not whole. */
function readHead(request: string, limits: HeadLimits = DEFAULT_HEAD_LIMITS): Outcome | null {
  const parser = new RequestHeadParser(limits);
  parser.execute(Buffer.from(request, "latin1"), 0, request.length);
  if (parser.error !== null) {
    const { status, rule } = parser.error;
    // nginx's own 494 goes out as 400.
    return { status: status === 494 ? 400 : status, rule, seen: "" };
  }
  if (parser.head === null) return null;
  const { method, rawPath, rawQuery, host } = parser.head;
  const path = normalizePath(rawPath, true);
  if (path === null) return { status: 400, seen: "" };
  const seen = method === "HEAD" ? "" : [path, rawQuery ?? "", host ?? "", ""].join(SEPARATOR);
  return { status: 200, seen };
}

/**
 * Where nginx reads less: TRACE and CONNECT are 405 there (and in route/), it knows no `OPTIONS *`, and in an absolute form
 * no host but of letters, digits, dots and hyphens. Nor does 1.22 know that a tab beside a value is none of it. Paths that
 * climb too high it refuses before anything else; they have a test of their own.
 */
const BEYOND_NGINX =
  /^[\r\n]*(?:TRACE |CONNECT |OPTIONS \* |\S+ \S*%|[A-Z_-]+ [a-z][a-z0-9+.-]*:\/\/[^/? ]*[^a-z0-9.:/? \]-])|\t/i;

it("reads heads as nginx does, but for the differences written down", {
  timeout: 600_000,
}, async (context) => {
  requires(context, "nginx");
  const answer = `return 200 "$uri${SEPARATOR}$args${SEPARATOR}$host${SEPARATOR}";`;
  const nginx = await startNginx({ http: `server { listen 127.0.0.1:{{port:front}}; ${answer} }` });
  const wrong = await fuzz(
    fuzzRuns(600),
    (seed) => randomRequestHead(seededRandom(seed)),
    (request) => (BEYOND_NGINX.test(request) ? null : readHead(request)),
    (request) => askNginx(nginx.port(), request),
  );
  expect(wrong).toBeNull();
});

it("finds the same heads too large as nginx does", { timeout: 600_000 }, async (context) => {
  requires(context, "nginx");
  const sizes = "client_header_buffer_size 256; large_client_header_buffers 2 512;";
  const nginx = await startNginx({
    http: `${sizes} server { listen 127.0.0.1:{{port:front}}; return 200 ok; }`,
  });
  const limits: HeadLimits = {
    ...DEFAULT_HEAD_LIMITS,
    clientHeaderBufferBytes: 256,
    largeBufferBytes: 512,
    largeBufferCount: 2,
  };
  const wrong = await fuzz(
    fuzzRuns(400),
    (seed) => randomLongHead(seededRandom(seed)),
    (request) => {
      const head = readHead(request, limits);
      return head?.status === 200 ? { status: 200, seen: "ok" } : head;
    },
    (request) => askNginx(nginx.port(), request),
  );
  expect(wrong).toBeNull();
});

it.for([true, false])(
  "normalizes paths as nginx does, merge_slashes %s",
  { timeout: 600_000 },
  async (mergeSlashes, context) => {
    requires(context, "nginx");
    const merge = mergeSlashes ? "on" : "off";
    const nginx = await startNginx({
      http: `server { listen 127.0.0.1:{{port:front}}; merge_slashes ${merge}; return 200 "$uri"; }`,
    });
    const wrong = await fuzz(
      fuzzRuns(400),
      (seed) => randomPath(seededRandom(seed)),
      (path) => {
        const normal = normalizePath(path, mergeSlashes);
        return { status: normal === null ? 400 : 200, seen: normal ?? "" };
      },
      (path) => askNginx(nginx.port(), `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`),
    );
    expect(wrong).toBeNull();
  },
);

it("decodes chunks as nginx does, but for the differences written down", {
  timeout: 600_000,
}, async (context) => {
  requires(context, "nginx");
  const backend = await startHttpBackend((seen, response) => response.end(seen.body));
  const pass = "location / { proxy_pass http://{{backend}}; proxy_ignore_client_abort on; }";
  const nginx = await startNginx({
    http: `server { listen 127.0.0.1:{{port:front}}; ${pass} }`,
    values: { backend: backend.address },
  });
  const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
  const wrong = await fuzz(
    fuzzRuns(250),
    (seed) => head + randomChunks(seededRandom(seed)),
    (request) => {
      const { messages, refused } = readRequests(Buffer.from(request, "latin1"));
      if (refused !== null) return { status: 400, rule: refused, seen: "" };
      return messages[0]?.complete === true ? { status: 200, seen: messages[0].body } : null;
    },
    (request) => askNginx(nginx.port(), request),
  );
  expect(wrong).toBeNull();
});

it("passes no response on that nginx would not, and reads the same status", {
  timeout: 600_000,
}, async (context) => {
  requires(context, "nginx");
  let response = "";
  const backend = await startConnectionBackend(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send(response);
    peer.end();
  });
  const pass = "proxy_pass http://{{backend}}; proxy_http_version 1.1; proxy_intercept_errors off;";
  const nginx = await startNginx({
    http: `server { listen 127.0.0.1:{{port:front}}; location / { ${pass} } }`,
    values: { backend: backend.address },
    tolerates: [/upstream/],
  });
  const wrong = await fuzz(
    fuzzRuns(300),
    (seed) => randomResponse(seededRandom(seed)),
    (text) => {
      const [message] = readResponse("GET", Buffer.from(text, "latin1")).messages;
      if (message?.complete !== true) return null;
      return { status: Number(message.startLine.split(" ")[1]), seen: "" };
    },
    async (text) => {
      response = text;
      const client = await connectRaw({ port: nginx.port() });
      await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      const answer = await client.toEnd();
      await client.close();
      return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0), seen: "" };
    },
  );
  expect(wrong).toBeNull();
});

it("notices a codec that does not lower-case the host", async (context) => {
  requires(context, "nginx");
  const nginx = await startNginx({ http: `server { listen 127.0.0.1:{{port:front}}; return 200 "$host"; }` });
  const wrong = await fuzz(
    1,
    () => "GET / HTTP/1.1\r\nHost: Example.com\r\n\r\n",
    () => ({ status: 200, seen: "Example.com" }),
    (request) => askNginx(nginx.port(), request),
  );
  expect(wrong).toMatch(/"seen":"example\.com"/);
});
