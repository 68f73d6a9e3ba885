import { relay, type RelayOptions, type Tunnel, type TunnelEnd } from "../../src/websocket/relay.ts";
import { within } from "./deadline.ts";
import { openPair, type TransportPair, type TransportSecurity } from "./transports.ts";

/** A tunnel, and the peers at both of its ends. */
export interface TunnelRig {
  readonly client: TransportPair;
  readonly upstream: TransportPair;
  readonly tunnel: Tunnel;
  readonly untilEnd: () => Promise<TunnelEnd>;
  /** How often onEnd was called. */
  readonly calls: { count: number };
}

export async function openTunnel(
  security: TransportSecurity,
  options: Partial<RelayOptions> = {},
): Promise<TunnelRig> {
  const [client, upstream] = await Promise.all([
    openPair("accepted", security),
    openPair("dialled", security),
  ]);
  const calls = { count: 0 };
  let resolveEnd: (end: TunnelEnd) => void = () => {};
  const ended = new Promise<TunnelEnd>((resolve) => {
    resolveEnd = resolve;
  });
  const tunnel = relay(client.transport, upstream.transport, {
    readTimeoutMs: 20_000,
    clientSendTimeoutMs: 20_000,
    upstreamSendTimeoutMs: 20_000,
    ...options,
    onEnd(end) {
      calls.count++;
      resolveEnd(end);
    },
  });
  return { client, upstream, tunnel, untilEnd: () => within(ended, "the end of the tunnel"), calls };
}
