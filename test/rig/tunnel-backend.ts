/** The upstream side of tunnels: takes every handshake, and hands each tunnel over by the target it was opened with. */
import { createHash } from "node:crypto";
import { type BackendOptions, startConnectionBackend } from "./backends.ts";
import { within } from "./deadline.ts";
import { HANDSHAKE_ACCEPT } from "./http-client.ts";
import { type HttpRequest, readRequest } from "./http-message.ts";
import type { RawPeer } from "./raw-peer.ts";

export interface UpstreamTunnel {
  readonly wire: RawPeer;
  readonly handshake: HttpRequest;
  /** What stood behind the handshake before it was answered. */
  readonly early: string;
}

export interface TunnelBackend {
  readonly address: string;
  /** The tunnel that was opened with this target, as soon as there is one; each is given out once. */
  tunnel(target: string): Promise<UpstreamTunnel>;
}

export interface TunnelBackendOptions extends BackendOptions {
  /** Lines of the 101 beside those of the handshake itself. */
  readonly headers?: string | ((handshake: HttpRequest) => string);
  /** Bytes sent together with it. */
  readonly along?: string;
  /** FIN follows at once. */
  readonly endsAtOnce?: boolean;
}

export async function startTunnelBackend(options: TunnelBackendOptions = {}): Promise<TunnelBackend> {
  const arrived: UpstreamTunnel[] = [];
  const wake: (() => void)[] = [];
  const { address } = await startConnectionBackend(async (wire) => {
    const handshake = await readRequest(wire);
    const early = wire.inbox.unread;
    await wire.send(`${switching(handshake, linesOf(options.headers, handshake))}${options.along ?? ""}`);
    if (options.endsAtOnce === true) wire.end();
    arrived.push({ wire, handshake, early });
    for (const resolve of wake.splice(0)) resolve();
  }, options);
  const find = async (target: string): Promise<UpstreamTunnel> => {
    for (;;) {
      const index = arrived.findIndex(({ handshake }) => handshake.target === target);
      const [found] = index < 0 ? [] : arrived.splice(index, 1);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => wake.push(resolve));
    }
  };
  return { address, tunnel: (target) => within(find(target), `a tunnel for ${target}`) };
}

function linesOf(headers: TunnelBackendOptions["headers"], handshake: HttpRequest): string {
  return typeof headers === "function" ? headers(handshake) : (headers ?? "");
}

/** The answer that agrees. */
export function switching(handshake: HttpRequest, headers: string): string {
  const accept = acceptFor(handshake.header("sec-websocket-key"));
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${headers}\r\n`;
}

/** RFC 6455 section 4.2.2. */
function acceptFor(key: string | undefined): string {
  if (key === undefined) return HANDSHAKE_ACCEPT;
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
