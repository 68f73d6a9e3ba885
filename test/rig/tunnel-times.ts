import type { WatchSettings } from "../../src/websocket/tunnel-watch.ts";
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

/** Nothing is limited and nobody pinged. */
export const NO_WATCH: WatchSettings = {
  websocket_ping_interval: null,
  websocket_idle_timeout: null,
  websocket_max_duration: null,
  websocket_max_message_size: null,
  websocket_max_frame_size: null,
  websocket_max_fragments: null,
  websocket_rate: [],
};
