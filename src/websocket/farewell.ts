import { describeSystemError } from "../base/errno.ts";
import { formatDurationMs } from "../base/units.ts";
import { BAD_GATEWAY, GOING_AWAY } from "./close-codes.ts";
import type { TunnelEndCause, TunnelSide } from "./relay.ts";

/** What a Close frame of ours says. */
export interface Farewell {
  readonly code: number;
  readonly reason: string;
}

/** The times that can end a tunnel, in milliseconds; null: never. */
export interface TunnelTimes {
  readonly proxy_read_timeout: number;
  readonly proxy_send_timeout: number;
  readonly send_timeout: number;
  readonly websocket_idle_timeout: number | null;
  readonly websocket_max_duration: number | null;
}

/**
 * What a side that lives is told when a tunnel ends without a closing handshake; null for one that knows, as it has
 * ended the tunnel itself. The reason is what a browser's CloseEvent shows, so it says what has happened, to whom, and
 * by which directive. A client whose upstream is at fault gets 1014, a gateway's 502; whoever else gets 1001.
 */
export function farewellTo(side: TunnelSide, cause: TunnelEndCause, times: TunnelTimes): Farewell | null {
  if (cause.endedBy === side) return null;
  const atFault = cause.endedBy === "proxy" ? cause.about : cause.endedBy;
  const code = side === "client" && atFault === "upstream" ? BAD_GATEWAY : GOING_AWAY;
  return { code, reason: side === cause.about ? ownFault(cause, times) : describeCause(cause, times) };
}

/** Why a tunnel has ended, in words for either side and for the log. */
export function describeCause(cause: TunnelEndCause, times: TunnelTimes): string {
  const { endedBy, reason, about, error } = cause;
  switch (reason) {
    case "eof":
      return `${endedBy} closed its connection without a Close frame`;
    case "reset":
      return `${endedBy} reset its connection`;
    case "error":
      return `${endedBy} connection failed (${describeSystemError(error)})`;
    case "read-timeout":
      return `no byte from either side for ${setting(times, "proxy_read_timeout")}`;
    case "send-timeout":
      return `${about} took nothing for ${setting(times, about === "client" ? "send_timeout" : "proxy_send_timeout")}`;
    case "ping-timeout":
      return `${about} answered no ping for ${setting(times, "proxy_read_timeout")}`;
    case "idle-timeout":
      return `no message for ${setting(times, "websocket_idle_timeout")}`;
    case "max-duration":
      return `open for ${setting(times, "websocket_max_duration")}`;
    case "drain":
      return "the proxy asks its clients to connect anew";
    case "shutdown":
      return "the proxy is going down";
    default:
      return "the proxy ends this tunnel";
  }
}

/** The same in words for the side whose silence it was. */
function ownFault(cause: TunnelEndCause, times: TunnelTimes): string {
  if (cause.reason === "ping-timeout") {
    return `no answer to pings for ${setting(times, "proxy_read_timeout")}`;
  }
  return describeCause(cause, times);
}

function setting(times: TunnelTimes, name: keyof TunnelTimes): string {
  return `${formatDurationMs(times[name] ?? 0)} (${name})`;
}
