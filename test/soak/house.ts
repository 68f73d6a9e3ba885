/** A gate with a location for each way in which a tunnel can end, its upstreams, and a look into its process. */
import { readdirSync, readlinkSync } from "node:fs";
import type { End } from "../ends/rows.ts";
import { TUNNEL_ENDS } from "../ends/table.ts";
import { startRawBackend } from "../rig/backends.ts";
import { leafCertificate, leafFiles } from "../rig/certificates.ts";
import { nextTurn, within } from "../rig/deadline.ts";
import { parseExposition } from "../rig/exposition.ts";
import { request } from "../rig/http-client.ts";
import { preloading } from "../rig/processes.ts";
import { type Proxy, startGate } from "../rig/proxy-process.ts";
import { startTunnelBackend, type TunnelBackend } from "../rig/tunnel-backend.ts";

/** All but those that fill the kernel's buffers, which would measure nothing else. */
export const WAYS: readonly End[] = TUNNEL_ENDS.filter(({ end }) => end !== "send-timeout");

/** What a tunnel may be besides, by the first part of its path: its location has these settings, and ends are told as ever. */
export const DRESSES: Readonly<Record<string, string>> = {
  "/offload": "websocket_compression offload;",
  "/uncompressed": "websocket_compression off;",
  "/paced": "websocket_rate 100r/s burst=2 delay; websocket_rate 64k/s burst=4k delay;",
  "/secure": "",
};

/** Those that have no settings of their own, and hang on no frame that a dress may hold back or write anew. */
export const DRESSED_WAYS: readonly End[] = WAYS.filter(({ name }) =>
  /^(close-by-\w+(-then-eof)?|close-without-code-by-\w+|(eof|reset)-of-\w+)$/.test(name),
);

/** Ways in which an opening handshake fails, by the path of its location, and the status that the client gets. */
export const FAILURES: Readonly<Record<string, number>> = {
  "/refused": 403,
  "/wrong-accept": 502,
  "/cut": 502,
  "/nobody": 502,
  "/broken": 400,
};

export interface House {
  readonly gate: Proxy;
  readonly plain: TunnelBackend;
  readonly secure: TunnelBackend;
}

const ANSWERS: Readonly<Record<string, string>> = {
  "/refused": "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
  "/wrong-accept":
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n",
};

export async function openHouse(): Promise<House> {
  const plain = await startTunnelBackend();
  const secure = await startTunnelBackend({ tls: await leafCertificate() });
  const failing = await startRawBackend(async (seen, peer) => {
    await peer.send(ANSWERS[seen.target] ?? "HTTP/1.1 101");
    peer.end();
  });
  const { certificate, key } = await leafFiles();
  const dressed = Object.entries(DRESSES).flatMap(([dress, settings]) => {
    const upstream = dress === "/secure" ? `https://${secure.address}` : `http://${plain.address}`;
    return DRESSED_WAYS.map(
      ({ name }) => `location = ${dress}/${name} { proxy_pass ${upstream}; ${settings} }`,
    );
  });
  const locations = WAYS.map(({ name, settings = "", isUpstreamTls }) => {
    const upstream = isUpstreamTls === true ? `https://${secure.address}` : `http://${plain.address}`;
    return `location = /${name} { proxy_pass ${upstream}; ${settings} }`;
  });
  const gate = await startGate({
    http: `error_log {{prefix}}/logs/error.log info; websocket_log off; keepalive_timeout 1s;
      log_format ends "$request_id $request_uri $status $websocket_ended_by $websocket_end $websocket_close_code [$websocket_close_reason]";
      server {
        listen 127.0.0.1:{{port:plain}};
        listen 127.0.0.1:{{port:tls}} ssl;
        http2 on;
        ssl_certificate ${certificate};
        ssl_certificate_key ${key};
        access_log logs/ends.log ends;
        location / { proxy_pass http://${failing.address}; }
        location = /nobody { proxy_pass http://127.0.0.1:{{port:nobody}}; }
        location = /stay { proxy_pass http://${plain.address}; websocket_drain 1s; }
        location = /status { access_log off; websocket_status; }
        ${[...locations, ...dressed].join("\n")}
      }`,
    env: preloading("inspect-heap.mjs"),
    tolerates: [/ExperimentalWarning: v8\.queryObjects/],
  });
  return { gate, plain, secure };
}

/** What the gate's process holds once garbage is collected. */
export interface Left {
  /** Of the heap, compiled code left out. */
  readonly dataBytes: number;
  readonly bufferBytes: number;
  /** Armed deadlines, and objects that can still be reached. */
  readonly deadlines: number;
  readonly tunnels: number;
  readonly requests: number;
  readonly transports: number;
}

/** Looks into the gate's process, or into one of its workers. */
export async function lookInto(gate: Proxy, pid: number = gate.pid): Promise<Left> {
  const from = gate.stderr.text.length;
  process.kill(pid, "SIGPWR");
  const [, json = ""] = await gate.waitForLog(/^left: (.*)$/m, from);
  const left: Left = JSON.parse(json);
  return left;
}

/** Waits until the process has no more sockets than `count`. */
export async function untilSockets(gate: Proxy, count: number): Promise<void> {
  const reached = async (): Promise<void> => {
    while (countSockets(gate.pid) > count) await nextTurn();
  };
  await within(reached(), () => `${count} sockets of the gate; it has ${countSockets(gate.pid)}`);
}

export function countSockets(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).length;
}

/** What the gate has counted: `name label label` and the value. */
export async function readCounts(gate: Proxy): Promise<ReadonlyMap<string, number>> {
  const { body } = await request({ port: gate.port("plain"), target: "/status" });
  const samples = parseExposition(body).flatMap(({ name, samples }) =>
    samples.map(({ labels, value }) => [[name, ...Object.values(labels)].join(" "), value] as const),
  );
  return new Map(samples);
}
