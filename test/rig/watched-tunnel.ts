import type { ClosingDelay } from "../../src/websocket/closing.ts";
import type { TunnelEnd } from "../../src/websocket/relay.ts";
import { TunnelWatch } from "../../src/websocket/tunnel-watch.ts";
import { NO_WATCH, tunnelTimes } from "./tunnel-times.ts";
import { openTunnel, type TunnelRig } from "./tunnels.ts";

const LONG_MS = 20_000;

/** A tunnel whose frames are followed, with no limits and no pings. */
export interface WatchedTunnel {
  readonly rig: TunnelRig;
  readonly watch: TunnelWatch;
  /** What closing handshakes were waiting for when their time was over. */
  readonly delays: readonly ClosingDelay[];
  readonly ended: Promise<TunnelEnd>;
  /** Asks the client to end, with 1012; by default there is time enough. */
  close(timeoutMs?: number): void;
}

export async function openWatched(): Promise<WatchedTunnel> {
  const delays: ClosingDelay[] = [];
  const watch = new TunnelWatch(NO_WATCH, {
    allowsRsv1: false,
    times: () => tunnelTimes(LONG_MS),
    onOffence: () => {},
    onClosingTimeout: (delay) => delays.push(delay),
  });
  const rig = await openTunnel("plain", {
    clientFilter: watch.fromClient,
    upstreamFilter: watch.fromUpstream,
    onEnding: () => watch.stop(),
  });
  watch.fromClient.sink = rig.upstream.transport;
  watch.fromUpstream.sink = rig.client.transport;
  watch.start(rig.tunnel);
  const ended = rig.untilEnd().then((end) => {
    watch.release();
    return end;
  });
  return {
    rig,
    watch,
    delays,
    ended,
    close: (timeoutMs = LONG_MS) => watch.closeInOrder("drain", 1012, timeoutMs),
  };
}
