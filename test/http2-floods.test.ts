/** What costs a client little and a server much, over HTTP/2; and frames that no client should send. */
import { beforeAll, describe, expect, test } from "vitest";
import { startHttpBackend } from "./rig/backends.ts";
import { connectHttp2 } from "./rig/http2-client.ts";
import {
  END_HEADERS,
  END_STREAM,
  type Frame,
  goawayCode,
  http2Frame,
  PREFACE,
  readFrames,
  requestBlock,
  uint32,
} from "./rig/http2-frames.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

const CANCEL = 8;
const ENHANCE_YOUR_CALM = 11;

let gate: Proxy;

beforeAll(async () => {
  const backend = await startHttpBackend();
  gate = await startGate({
    tolerates: [/\(rule "/],
    http: `
      http2 on;
      error_log stderr info;
      server {
        listen 127.0.0.1:{{port:front}};
        http2_max_concurrent_streams 10;
        large_client_header_buffers 2 2k;
        location / { proxy_http_version 1.0; proxy_pass http://${backend.address}; }
        location /here { return 200 "here"; }
      }`,
  });
});

async function speak(...frames: readonly Uint8Array[]): Promise<RawPeer> {
  const client = await connectRaw({ port: gate.port() });
  await client.send(Buffer.concat([Buffer.from(PREFACE, "latin1"), http2Frame("settings", 0, 0), ...frames]));
  return client;
}

async function framesToEnd(client: RawPeer): Promise<readonly Frame[]> {
  await client.toEnd();
  return readFrames(client.inbox.received);
}

function repeat(count: number, make: (i: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
}

function get(streamId: number): Buffer {
  return http2Frame("headers", END_STREAM | END_HEADERS, streamId, requestBlock({ ":path": "/here" }));
}

const POST = requestBlock({ ":method": "POST" });

const FLOODS: readonly { rule: string; frames: () => Buffer }[] = [
  {
    rule: "rapid-reset",
    frames: () =>
      repeat(2_000, (i) =>
        Buffer.concat([get(2 * i + 1), http2Frame("rstStream", 0, 2 * i + 1, uint32(CANCEL))]),
      ),
  },
  { rule: "ping-flood", frames: () => repeat(5_000, () => http2Frame("ping", 0, 0, "12345678")) },
  { rule: "settings-flood", frames: () => repeat(5_000, () => http2Frame("settings", 0, 0)) },
  {
    rule: "continuation-flood",
    frames: () =>
      Buffer.concat([
        http2Frame("headers", END_STREAM, 1, requestBlock()),
        repeat(1_000, () => http2Frame("continuation", 0, 1)),
      ]),
  },
  {
    rule: "invalid-frames",
    frames: () =>
      Buffer.concat([
        http2Frame("headers", END_HEADERS, 1, POST),
        repeat(3_000, () => http2Frame("data", 0, 1)),
      ]),
  },
];

describe("a flood ends with GOAWAY and one line that names the rule, and others are served on:", () => {
  test.each(FLOODS)("$rule", async ({ rule, frames }) => {
    const client = await speak();
    const from = gate.stderr.text.length;
    // In pieces, so that what is answered is taken.
    const flood = frames();
    for (let at = 0; at < flood.length && client.inbox.ending === undefined; at += 4_096) {
      await client.send(flood.subarray(at, at + 4_096));
    }
    const received = await framesToEnd(client);
    // Of several GOAWAY frames the last counts: nghttp2 may have said INTERNAL_ERROR of the same resets in the same read.
    expect(goawayCode(received.toReversed()) ?? ENHANCE_YOUR_CALM).toBe(ENHANCE_YOUR_CALM);
    const line = new RegExp(
      `client [^\\n]*\\(rule "(${rule}|unread-answers)"\\)[^\\n]*client: 127\\.0\\.0\\.1`,
    );
    await gate.stderr.waitFor(line, from);
    const other = await connectHttp2({ port: gate.port() });
    expect((await other.request({ ":path": "/here" })).body).toBe("here");
    expect(gate.stderr.text.slice(from).match(/\(rule "/g)).toHaveLength(1);
  });
});
