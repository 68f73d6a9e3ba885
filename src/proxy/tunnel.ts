import { assert } from "../base/assert.ts";
import { describeSystemError } from "../base/errno.ts";
import type { Transport } from "../base/transport.ts";
import type { Request, TunnelTotals } from "../compile/request.ts";
import { tunnelCounts } from "../observe/tunnel-counts.ts";
import type { DeflateAgreement } from "../websocket/deflate-parameters.ts";
import { DeflateTransport } from "../websocket/deflate-transport.ts";
import { describeCause, type TunnelTimes } from "../websocket/farewell.ts";
import type { PeerGroup } from "../upstream/peer-group.ts";
import { relay, type TunnelEndCause } from "../websocket/relay.ts";
import { TunnelWatch } from "../websocket/tunnel-watch.ts";
import { answerDeflate } from "./compression.ts";
import type { UpstreamConnection } from "./dial.ts";
import { logCut, ProxiedTunnel } from "./live-tunnel.ts";
import type { ProxyRules } from "./rules.ts";
import { frameObserver, logEnd, logOpen } from "./tunnel-log.ts";
import type { UpstreamReader } from "./upstream-reader.ts";

/** Where a tunnel leads. */
export interface TunnelEnds {
  readonly connection: UpstreamConnection;
  /** Whose peer it is. */
  readonly group: PeerGroup<UpstreamReader>;
}

/**
 * Answers 101 to the client and connects the two sides. What the client has sent since its head was held back until
 * now; what came from the upstream behind its 101 goes first the other way. `onEnd` is called once, when all is over.
 */
export function beginTunnel(
  request: Request,
  { connection, group }: TunnelEnds,
  rules: ProxyRules,
  upstreamBytes: Buffer,
  isWebSocket: boolean,
  onEnd: () => void,
): void {
  const startedAtMs = performance.now();
  tunnelCounts.opened++;
  request.activity = "proxying upgraded connection";
  const agreement = isWebSocket ? answerDeflate(request, rules) : null;
  const { transport, early } = request.upgrade();
  logOpen(request, rules);
  const watch = isWebSocket ? watchOver(request, rules, startedAtMs) : null;
  const offload = agreement === null ? null : compressWith(transport, early, agreement, rules, watch);
  const client = offload ?? transport;
  if (watch !== null) {
    watch.fromClient.sink = connection.transport;
    watch.fromUpstream.sink = client;
  }
  const tunnel = relay(client, connection.transport, {
    ...(offload === null ? { clientBytes: early } : { workingClient: offload }),
    upstreamBytes,
    ...(watch === null
      ? {}
      : { clientFilter: watch.filterFrom("client"), upstreamFilter: watch.filterFrom("upstream") }),
    readTimeoutMs: rules.proxy_read_timeout,
    clientSendTimeoutMs: request.location.core.send_timeout,
    upstreamSendTimeoutMs: rules.proxy_send_timeout,
    onEnding(cause) {
      watch?.stop();
      if (howItEnded(watch, cause).reason !== "close") logCause(request, rules, cause, watch !== null);
    },
    onEnd(end) {
      live.release();
      unregister();
      const totals: TunnelTotals = {
        ...howItEnded(watch, end),
        bytesFromClient: offload?.wireBytesIn ?? end.bytesFromClient,
        bytesFromUpstream: end.bytesFromUpstream,
        durationMs: performance.now() - startedAtMs,
        compressionRatio: offload?.ratio ?? null,
        frames: watch === null ? null : watch.totals(),
      };
      request.tunnel = totals;
      // As in nginx, $bytes_sent has the tunnel in it, and $request_length has not.
      const bytesToClient = offload?.wireBytesOut ?? end.bytesFromUpstream;
      request.response.bytesSent += bytesToClient;
      request.response.bodyBytesSent += bytesToClient;
      logEnd(request, rules, totals);
      tunnelCounts.end(totals.endedBy, totals.reason);
      onEnd();
      request.finish();
    },
  });
  watch?.start(tunnel);
  const live = new ProxiedTunnel(request, rules, { peer: connection.peer, group, tunnel, watch });
  const unregister = rules.tunnels.register.add(live);
}

/** After a Close frame the end of the connection is only its consequence. */
function howItEnded(
  watch: TunnelWatch | null,
  { endedBy, reason }: TunnelEndCause,
): Pick<TunnelTotals, "endedBy" | "reason"> {
  const close = watch?.close ?? null;
  return close === null || endedBy === "proxy" ? { endedBy, reason } : { endedBy: close.by, reason: "close" };
}

/** The client, made to look like one that does not compress. */
function compressWith(
  transport: Transport,
  early: Buffer,
  agreement: DeflateAgreement,
  { websocket_compression: settings }: ProxyRules,
  watch: TunnelWatch | null,
): DeflateTransport {
  assert(settings.kind === "offload", "compression is agreed on where it is offloaded");
  return new DeflateTransport(transport, {
    agreement,
    settings,
    early,
    onViolation: (violation, isLimit) => watch?.onOffence({ by: "client", violation, isLimit }),
    onHeard: (isMessage) => watch?.onHeard("client", isMessage),
  });
}

/** Follows the frames of a tunnel; null where an extension was agreed on that changes what frames look like. */
function watchOver(request: Request, rules: ProxyRules, startedAtMs: number): TunnelWatch | null {
  const extensions = (request.upstreamHeaders?.getAll("sec-websocket-extensions") ?? [])
    .flatMap((value) => value.split(","))
    .map((extension) => extension.split(";")[0]?.trim().toLowerCase() ?? "")
    .filter((name) => name !== "");
  const compresses = extensions.includes("permessage-deflate");
  if (extensions.some((name) => name !== "permessage-deflate")) return null;
  return new TunnelWatch(rules, {
    allowsRsv1: compresses,
    times: () => tunnelTimes(request, rules),
    observer: frameObserver(request, rules),
    onOffence: ({ by, violation }) =>
      request.log(
        by === "client" ? "info" : "error",
        `${by} sent a ${violation.message} (rule "${violation.rule}")`,
      ),
    onClosingTimeout: (delay, reason) => logCut(request, startedAtMs, delay, reason),
  });
}

function tunnelTimes(request: Request, rules: ProxyRules): TunnelTimes {
  return {
    proxy_read_timeout: rules.proxy_read_timeout,
    proxy_send_timeout: rules.proxy_send_timeout,
    send_timeout: request.location.core.send_timeout,
    websocket_idle_timeout: rules.websocket_idle_timeout,
    websocket_max_duration: rules.websocket_max_duration,
  };
}

/**
 * In nginx's words where it has any. An orderly end is told by the access log alone, and so is one that the configuration
 * asks for. A side that goes away without a Close frame is worth a line: an error where it is the upstream.
 */
function logCause(request: Request, rules: ProxyRules, cause: TunnelEndCause, isWebSocket: boolean): void {
  const { endedBy, reason, about, error } = cause;
  const level = (endedBy === "proxy" ? about : endedBy) === "client" ? "info" : "error";
  switch (reason) {
    case "read-timeout":
      request.log(level, "upstream timed out (110: Connection timed out)");
      break;
    case "reset":
    case "error":
      request.log(level, `${endedBy} ${describeLoss(error)}`);
      break;
    case "send-timeout":
    case "ping-timeout":
      request.log(level, describeCause(cause, tunnelTimes(request, rules)));
      break;
    case "eof":
      if (isWebSocket) request.log(level, describeCause(cause, tunnelTimes(request, rules)));
      break;
    default:
      break;
  }
}

/** The reset of an HTTP/2 stream has words of its own (listen/http2-transport.ts): no connection has failed. */
function describeLoss(error: Error | null): string {
  if (error !== null && "code" in error && error.code === "ERR_STREAM_RESET") return error.message;
  return `connection failed (${describeSystemError(error)})`;
}
