import type { TunnelTimes } from "../../src/websocket/farewell.ts";

/** Times of a tunnel that end it `timeoutMs` after a sign of life, and not otherwise. */
export function tunnelTimes(timeoutMs: number): TunnelTimes {
  return {
    proxy_read_timeout: timeoutMs,
    proxy_send_timeout: timeoutMs,
    send_timeout: timeoutMs,
    websocket_idle_timeout: null,
    websocket_max_duration: null,
  };
}
