import type { ServerSessionOptions } from "node:http2";
import type { ClientConnection } from "./client-connection.ts";

/** RFC 9113 section 6.9.1. */
export const WINDOW_BYTES_MAX = 0x7fff_ffff;

/** Per session, for all that Node and nghttp2 hold: streams, heads, what waits to be sent. In MB. */
const SESSION_MEMORY_MB_MAX = 10;
/** Frames without meaning, and streams opened beyond what was agreed on, before the session ends. */
const INVALID_FRAMES_MAX = 1_000;
const REJECTED_STREAMS_MAX = 1_000;
/** What HPACK counts for each field besides its name and value (RFC 7541 section 4.1). */
const BYTES_PER_FIELD = 32;
/** Pseudo-headers, which are not in `max_headers`. */
const PSEUDO_HEADERS_MAX = 5;
const HEADER_LIST_BYTES_MAX = 0xffff_ffff;

/** What a connection was offered when it began. A reload may change it, which connections that are open cannot follow. */
export interface Http2Terms {
  readonly streamsMax: number;
  readonly windowBytes: number;
  /** RFC 8441: announced only where a WebSocket would be passed on, or browsers would try in vain. */
  readonly passesWebSockets: boolean;
  readonly headerListBytesMax: number;
  readonly headersMax: number;
  /** Whether the plan in force would offer the same. */
  isSame(client: ClientConnection): boolean;
}

export function http2Terms(client: ClientConnection): Http2Terms {
  const { listener } = client;
  const values = readTerms(client);
  const text = JSON.stringify(values);
  return {
    ...values,
    isSame: (now) =>
      now.listener === listener || (now.offersHttp2 && JSON.stringify(readTerms(now)) === text),
  };
}

function readTerms(client: ClientConnection): Omit<Http2Terms, "isSame"> {
  const { http2, core } = client.initialServer;
  const { count, size } = core.large_client_header_buffers;
  // Somewhat more than is allowed, so that what is too large gets an answer that says so.
  const headersMax = Math.min(2 * core.max_headers, 0x7fff_ffff) + PSEUDO_HEADERS_MAX;
  return {
    streamsMax: http2.http2_max_concurrent_streams,
    windowBytes: http2.http2_body_preread_size,
    passesWebSockets: client.listener.passesWebSockets,
    headersMax,
    headerListBytesMax: Math.min(2 * count * size + headersMax * BYTES_PER_FIELD, HEADER_LIST_BYTES_MAX),
  };
}

export function sessionOptions(terms: Http2Terms): ServerSessionOptions {
  return {
    maxSessionMemory: SESSION_MEMORY_MB_MAX,
    maxSessionInvalidFrames: INVALID_FRAMES_MAX,
    maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
    maxHeaderListPairs: terms.headersMax,
    settings: {
      enablePush: false,
      maxConcurrentStreams: Math.min(terms.streamsMax, 0xffff_ffff),
      initialWindowSize: terms.windowBytes,
      maxHeaderListSize: terms.headerListBytesMax,
      ...(terms.passesWebSockets ? { enableConnectProtocol: true } : {}),
    },
  };
}
