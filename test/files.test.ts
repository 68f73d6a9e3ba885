/** Files on their way to clients that take them slowly, or go away. */
import type { ConnectionOptions } from "node:tls";
import { describe, expect, test } from "vitest";
import { authorityCertificate, leafFiles } from "./rig/certificates.ts";
import { nextTurn } from "./rig/deadline.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

const SCHEMES = ["plain", "tls"] as const;
type Scheme = (typeof SCHEMES)[number];

/** More than the buffers of both kernels take, so that the gate has to wait for a client that does not read. */
const FILE = "0123456789abcdef".repeat(1 << 20);

/**
 * In steps of less than what may wait in the gate, to well above what a Unix socket holds: of some the gate has to keep the
 * end for a client that does not read.
 */
const SIZES: readonly number[] = Array.from({ length: 24 }, (_, i) => (i + 1) * 30_000);

async function startFileServer(): Promise<Proxy> {
  const { certificate, key } = await leafFiles({});
  return startGate({
    clockFactor: 20,
    http: `
      client_header_timeout 8s;
      send_timeout 20m;
      ssl_certificate ${certificate};
      ssl_certificate_key ${key};
      log_format told '$request|$status|$body_bytes_sent';
      access_log logs/told.log told;
      server { listen 127.0.0.1:{{port:plain}}; root html; }
      server { listen 127.0.0.1:{{port:tls}} ssl; root html; }
      server { listen unix:{{prefix}}/plain.sock; root html; }
      server { listen unix:{{prefix}}/tls.sock ssl; root html; }`,
    files: {
      "html/file": FILE,
      "html/small": "small",
      ...Object.fromEntries(SIZES.map((size) => [`html/${size}`, FILE.slice(0, size)])),
    },
  });
}

async function trusting(scheme: Scheme): Promise<{ readonly tls?: ConnectionOptions }> {
  return scheme === "tls" ? { tls: { ca: await authorityCertificate(), servername: "localhost" } } : {};
}

/** A client that has asked for the file, has seen its head, and takes no more of it. */
async function connectSlow(gate: Proxy, scheme: Scheme): Promise<RawPeer> {
  const client = await connectRaw({ port: gate.port(scheme), ...(await trusting(scheme)) });
  await client.send("GET /file HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until("\r\n\r\n");
  client.pause();
  // Node's TLS loses records of the read in hand that it has not decrypted yet when it sends its close_notify.
  await nextTurn();
  return client;
}

describe.each(SCHEMES)("over %s", (scheme) => {
  test("a client that half-closes while the file comes gets the whole of it", async () => {
    const gate = await startFileServer();
    const client = await connectSlow(gate, scheme);
    client.end();
    client.resume();
    const body = await client.toEnd();
    // A difference of 16 MiB is nothing to be shown.
    expect(body.length).toBe(FILE.length);
    expect(body === FILE).toBe(true);
    await gate.waitForFile("logs/told.log", new RegExp(`/file HTTP/1.1\\|200\\|${FILE.length}\n`));
  });

  test("what was asked for before a half-close is answered, and the connection ends behind it", async () => {
    const gate = await startFileServer();
    const client = await connectSlow(gate, scheme);
    await client.send("GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    client.end();
    client.resume();
    const rest = await client.toEnd();
    expect(rest.startsWith(`${FILE}HTTP/1.1 200 OK`)).toBe(true);
    expect(rest.endsWith("\r\n\r\nsmall")).toBe(true);
  });

  test("a client that goes away for good has its request ended", async () => {
    const gate = await startFileServer();
    const client = await connectSlow(gate, scheme);
    await client.close();
    const [, sentBytes] = await gate.waitForFile("logs/told.log", /\/file HTTP\/1.1\|200\|(\d+)\n/);
    expect(Number(sentBytes)).toBeLessThan(FILE.length);
  });

  test.each([
    ["is kept, with a half-close right behind the request", "HTTP/1.1", true],
    ["ends with the answer, with a half-close right behind the request", "HTTP/1.0", true],
    ["ends with the answer", "HTTP/1.0", false],
  ])(
    "a file comes whole, however much of it has to wait at its end: the connection %s",
    async (_how, version, halfCloses) => {
      const gate = await startFileServer();
      const path = `${gate.prefix}/${scheme}.sock`;
      const clients: RawPeer[] = [];
      for (const size of SIZES) {
        const client = await connectRaw({ path, ...(await trusting(scheme)) });
        client.pause();
        await client.send(`GET /${size} ${version}\r\nHost: a\r\n\r\n`);
        if (halfCloses) client.end();
        clients.push(client);
      }
      // Longer than lingering_timeout, by the gate's clock.
      const nap = await connectRaw({ path, ...(await trusting(scheme)) });
      await nap.toEnd();
      for (const [i, client] of clients.entries()) {
        client.resume();
        const answer = await client.toEnd();
        const [, length] = /Content-Length: (\d+)/.exec(answer) ?? [];
        expect([length, answer.length - answer.indexOf("\r\n\r\n") - 4]).toEqual([
          String(SIZES[i]),
          SIZES[i],
        ]);
      }
    },
  );
});
