import { describeSystemError } from "../base/errno.ts";
import type { Request } from "../compile/request.ts";
import { relay, type TunnelEndCause } from "../websocket/relay.ts";
import { TunnelWatch } from "../websocket/tunnel-watch.ts";
import type { UpstreamConnection } from "./dial.ts";
import type { ProxyRules } from "./rules.ts";

/**
 * Answers 101 to the client and connects the two sides. What the client has sent since its head was held back until
 * now; what came from the upstream behind its 101 goes first the other way. `onEnd` is called once, when all is over.
 */
export function beginTunnel(
  request: Request,
  connection: UpstreamConnection,
  rules: ProxyRules,
  upstreamBytes: Buffer,
  isWebSocket: boolean,
  onEnd: () => void,
): void {
  const startedAtMs = performance.now();
  request.activity = "proxying upgraded connection";
  const { transport, early } = request.upgrade();
  const watch = isWebSocket ? watchOver(request, rules) : null;
  if (watch !== null) {
    watch.fromClient.sink = connection.transport;
    watch.fromUpstream.sink = transport;
  }
  const tunnel = relay(transport, connection.transport, {
    clientBytes: early,
    upstreamBytes,
    ...(watch === null ? {} : { clientFilter: watch.fromClient, upstreamFilter: watch.fromUpstream }),
    readTimeoutMs: rules.proxy_read_timeout,
    clientSendTimeoutMs: request.location.core.send_timeout,
    upstreamSendTimeoutMs: rules.proxy_send_timeout,
    onEnding(cause) {
      watch?.stop();
      logCause(request, cause);
    },
    onEnd(end) {
      // As in nginx, $bytes_sent has the tunnel in it, and $request_length has not.
      request.response.bytesSent += end.bytesFromUpstream;
      request.response.bodyBytesSent += end.bytesFromUpstream;
      // After a Close frame the end of the connection is only its consequence.
      const close = watch?.close ?? null;
      const isClosed = close !== null && end.endedBy !== "proxy";
      request.tunnel = {
        endedBy: isClosed ? close.by : end.endedBy,
        reason: isClosed ? "close" : end.reason,
        bytesFromClient: end.bytesFromClient,
        bytesFromUpstream: end.bytesFromUpstream,
        durationMs: performance.now() - startedAtMs,
        frames: watch === null ? null : watch.totals(),
      };
      onEnd();
      request.finish();
    },
  });
  watch?.start(tunnel);
}

/** Follows the frames of a tunnel; null where an extension was agreed on that changes what frames look like. */
function watchOver(request: Request, rules: ProxyRules): TunnelWatch | null {
  const extensions = (request.upstreamHeaders?.getAll("sec-websocket-extensions") ?? [])
    .flatMap((value) => value.split(","))
    .map((extension) => extension.split(";")[0]?.trim().toLowerCase() ?? "")
    .filter((name) => name !== "");
  const compresses = extensions.includes("permessage-deflate");
  if (extensions.some((name) => name !== "permessage-deflate")) return null;
  return new TunnelWatch(rules, {
    allowsRsv1: compresses,
    deadMs: rules.proxy_read_timeout,
    onOffence: ({ by, violation }) =>
      request.log(
        by === "client" ? "info" : "error",
        `${by} sent a ${violation.message} (rule "${violation.rule}")`,
      ),
  });
}

/** In nginx's words where it has any. An orderly end is told by the access log alone. */
function logCause(request: Request, { endedBy, reason, error }: TunnelEndCause): void {
  switch (reason) {
    case "read-timeout":
      request.log("error", "upstream timed out (110: Connection timed out)");
      break;
    case "send-timeout":
      request.log("info", "a peer took nothing of what was pending for it (110: Connection timed out)");
      break;
    case "reset":
    case "error":
      request.log(
        endedBy === "client" ? "info" : "error",
        `${endedBy} connection failed (${describeSystemError(error)})`,
      );
      break;
    case "ping-timeout":
      request.log("info", "a peer has answered no ping for proxy_read_timeout");
      break;
    default:
      break;
  }
}
