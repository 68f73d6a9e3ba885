/** The ways by which a WebSocket can come to a gate, behind one interface: a suite of tunnels runs over all of them. */
import { authorityCertificate, leafFiles } from "./certificates.ts";
import type { Http2Options } from "./http2-client.ts";
import { Http2Tunnels } from "./http2-tunnel.ts";
import { handshakeBytes } from "./http-client.ts";
import { readResponse } from "./http-message.ts";
import type { Proxy } from "./proxy-process.ts";
import { connectRaw, type RawPeer } from "./raw-peer.ts";
import type { BytePeer } from "./websocket-peer.ts";

/** `h2` and `h2c` are RFC 8441, over TLS and with prior knowledge. */
export type FrontName = "ws" | "wss" | "h2" | "h2c";

/** The answer to an opening handshake. */
export interface Opening {
  readonly status: number;
  readonly isOpen: boolean;
  header(name: string): string | undefined;
  /** Of an answer that opens no tunnel. */
  readonly body: string;
  /** The tunnel, once it is open. */
  readonly wire: BytePeer;
}

export interface OpeningOptions {
  /** Headers beside those of the handshake itself; undefined leaves one of these out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** Sent with the handshake, before it is answered. */
  readonly early?: string;
  /** The name of the port, where it is not `front`. */
  readonly port?: string;
}

export interface Front {
  readonly name: FrontName;
  /** What opens a tunnel: 101, or HTTP/2's 200. */
  readonly openStatus: 101 | 200;
  /** The server's lines that let clients in, `listen` with a port of that name (`front`) among them. */
  listen(port?: string): Promise<string>;
  open(gate: Proxy, target: string, options?: OpeningOptions): Promise<Opening>;
}

export const FRONTS: readonly Front[] = [
  {
    name: "ws",
    openStatus: 101,
    listen: (port = "front") => Promise.resolve(`listen 127.0.0.1:{{port:${port}}};`),
    async open(gate, target, options) {
      return openOver(await connectRaw({ port: portOf(gate, options) }), target, options);
    },
  },
  {
    name: "wss",
    openStatus: 101,
    listen: listenWithTls,
    async open(gate, target, options) {
      const tls = { ca: await authorityCertificate(), ALPNProtocols: ["http/1.1"] };
      return openOver(await connectRaw({ port: portOf(gate, options), tls }), target, options);
    },
  },
  {
    name: "h2",
    openStatus: 200,
    listen: async (port) => `${await listenWithTls(port)} http2 on;`,
    async open(gate, target, options) {
      const ca = await authorityCertificate();
      return tunnelsTo(gate, { port: portOf(gate, options), ca }).open(target, options);
    },
  },
  {
    name: "h2c",
    openStatus: 200,
    listen: (port = "front") => Promise.resolve(`listen 127.0.0.1:{{port:${port}}}; http2 on;`),
    open: (gate, target, options) => tunnelsTo(gate, { port: portOf(gate, options) }).open(target, options),
  },
];

async function listenWithTls(port: string = "front"): Promise<string> {
  const { certificate, key } = await leafFiles();
  return `listen 127.0.0.1:{{port:${port}}} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key};`;
}

function portOf(gate: Proxy, options: OpeningOptions = {}): number {
  return gate.port(options.port ?? "front");
}

const tunnels = new WeakMap<Proxy, Map<number, Http2Tunnels>>();

function tunnelsTo(gate: Proxy, options: Http2Options): Http2Tunnels {
  const ofGate = tunnels.get(gate) ?? new Map<number, Http2Tunnels>();
  tunnels.set(gate, ofGate);
  const known = ofGate.get(options.port) ?? new Http2Tunnels(options);
  ofGate.set(options.port, known);
  return known;
}

/** Sends the handshake on a connection of HTTP/1.1. */
export async function openOver(
  wire: RawPeer,
  target: string,
  { headers = {}, early = "" }: OpeningOptions = {},
): Promise<Opening> {
  await wire.send(handshakeBytes(target, headers) + early);
  const response = await readResponse(wire);
  return {
    status: response.status,
    isOpen: response.status === 101,
    header: (name) => response.header(name),
    body: response.body,
    wire,
  };
}
