import { describeSystemError } from "../base/errno.ts";
import type { Request } from "../compile/request.ts";
import { relay, type TunnelEndCause } from "../websocket/relay.ts";
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
  onEnd: () => void,
): void {
  const startedAtMs = performance.now();
  request.activity = "proxying upgraded connection";
  const { transport, early } = request.upgrade();
  relay(transport, connection.transport, {
    clientBytes: early,
    upstreamBytes,
    readTimeoutMs: rules.proxy_read_timeout,
    clientSendTimeoutMs: request.location.core.send_timeout,
    upstreamSendTimeoutMs: rules.proxy_send_timeout,
    onEnding: (cause) => logCause(request, cause),
    onEnd(end) {
      // As in nginx, $bytes_sent has the tunnel in it, and $request_length has not.
      request.response.bytesSent += end.bytesFromUpstream;
      request.response.bodyBytesSent += end.bytesFromUpstream;
      request.tunnel = {
        endedBy: end.endedBy,
        reason: end.reason,
        bytesFromClient: end.bytesFromClient,
        bytesFromUpstream: end.bytesFromUpstream,
        durationMs: performance.now() - startedAtMs,
      };
      onEnd();
      request.finish();
    },
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
    default:
      break;
  }
}
