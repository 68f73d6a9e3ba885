/** How long an idle tunnel lives, and who ends it: two tunnels side by side, one silent, one that pings. */
import { openTunnel, type Tunnel, type TunnelEnd } from "./tunnel.ts";
import type { Route } from "./wire.ts";

export interface Watched {
  /** Null where it outlived the time. */
  readonly end: TunnelEnd | null;
  readonly livedMs: number;
  /** Pings of the other side, which were answered as a browser answers them. */
  readonly serverPings: number;
  readonly pingsSent: number;
  readonly pongsReceived: number;
}

export interface SilenceStep {
  readonly holdMs: number;
  readonly pingEveryMs: number;
  readonly silent: Watched;
  readonly pinging: Watched;
  /** How long was watched, where whoever waited had had enough before the time was over. */
  readonly cutShortMs: number | null;
}

export interface SilenceOptions {
  readonly holdMs: number;
  readonly timeoutMs: number;
  /** Ends the wait. */
  readonly hurry: AbortSignal;
}

const GOODBYE_MS = 500;
const PING_EVERY_MS_MAX = 15_000;
/** Pings in the time that is watched, at least. */
const PINGS_MIN = 8;

export async function watchSilence(
  route: Route,
  requestText: () => string,
  { holdMs, timeoutMs, hurry }: SilenceOptions,
): Promise<SilenceStep | null> {
  const [silent, pinging] = await Promise.all([
    openTunnel(route, requestText(), timeoutMs),
    openTunnel(route, requestText(), timeoutMs),
  ]);
  if (silent.tunnel === null || pinging.tunnel === null) {
    await Promise.all([silent.tunnel?.close(0), pinging.tunnel?.close(0)]);
    return null;
  }
  const pingEveryMs = Math.min(PING_EVERY_MS_MAX, holdMs / PINGS_MIN);
  const [silentWatched, pingingWatched] = await Promise.all([
    watch(silent.tunnel, holdMs, Number.POSITIVE_INFINITY, hurry),
    watch(pinging.tunnel, holdMs, pingEveryMs, hurry),
  ]);
  const isCutShort = [silentWatched, pingingWatched].some(
    (each) => each.end === null && each.livedMs < holdMs,
  );
  return {
    holdMs,
    pingEveryMs,
    silent: silentWatched,
    pinging: pingingWatched,
    cutShortMs: hurry.aborted && isCutShort ? Math.max(silentWatched.livedMs, pingingWatched.livedMs) : null,
  };
}

async function watch(
  tunnel: Tunnel,
  holdMs: number,
  pingEveryMs: number,
  hurry: AbortSignal,
): Promise<Watched> {
  const isOver = (): boolean => tunnel.isOver || hurry.aborted;
  const wake = (): void => tunnel.wake();
  hurry.addEventListener("abort", wake);
  let pingsSent = 0;
  for (;;) {
    const livedMs = performance.now() - tunnel.openedAtMs;
    if (livedMs >= holdMs || isOver()) break;
    await tunnel.until(isOver, Math.min(pingEveryMs, holdMs - livedMs));
    if (!isOver() && performance.now() - tunnel.openedAtMs < holdMs) tunnel.ping(`hold ${pingsSent++}`);
  }
  hurry.removeEventListener("abort", wake);
  const watched = {
    end: tunnel.end,
    livedMs: tunnel.end?.ms ?? performance.now() - tunnel.openedAtMs,
    serverPings: tunnel.pingsMs.length,
    pingsSent,
    pongsReceived: tunnel.pongs.length,
  };
  await tunnel.close(GOODBYE_MS);
  return watched;
}
