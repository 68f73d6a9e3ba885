import type { ByteString } from "../base/bytes.ts";
import type { TlsInfo, Transport } from "../base/transport.ts";
import { HeaderList } from "../http/header-list.ts";
import type { RequestHead } from "../http/head-parser.ts";
import type { LogLevel } from "../observe/error-log.ts";
import type { Outcome } from "./outcome.ts";
import type { ListenerPlan, LocationPlan, ServerPlan } from "./plan.ts";

/** The connection a request came on. One object per connection; requests of the connection share it. */
export interface Connection {
  /** Serial number in this process, `$connection` and the `*N` of error log lines. */
  readonly serial: number;
  /** Address of the client, which realip and the PROXY protocol may have set; `unix:` for a Unix-domain socket. */
  remoteAddress: string;
  remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly listener: ListenerPlan;
  /** `http` or `https`, as `$scheme` gives it. */
  readonly scheme: "http" | "https";
  /** What the TLS handshake agreed on; null for a plain connection. */
  readonly tlsInfo: TlsInfo | null;
  /** What a PROXY protocol header said, null without one. */
  readonly proxyProtocol: ProxyProtocolInfo | null;
  /** Requests that this connection has carried, this one included. */
  requests: number;
  /** `performance.now()` at accept, milliseconds. */
  readonly openedAtMs: number;
}

export interface ProxyProtocolInfo {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

/** Takes a request body piece by piece; whoever reads a body implements it. */
export interface BodySink {
  /** Bytes `chunk[start, end)`, valid during the call only. */
  onBodyBytes(chunk: Buffer, start: number, end: number): void;
  /** The body is complete. `trailers` is null where there were none. */
  onBodyEnd(trailers: HeaderList | null): void;
  /** The body will not be completed: the client left, broke the framing, sent too much, or was too slow. */
  onBodyError(failure: BodyFailure): void;
}

export interface BodyFailure {
  /**
   * As nginx logs it. 400 (bad framing) and 413: the reader answers so. 400 (the client left) and 408: the connection is
   * gone and the request finished, there is nothing to answer.
   */
  readonly status: number;
  readonly message: string;
}

/** How long the body of an answer is. */
export type BodyLength = number | "unknown" | "none";

/**
 * A request's way to and from its client, whatever protocol it came by: an HTTP/1.1 connection, or a stream of an
 * HTTP/2 one. Implemented in listen/.
 */
export interface Downstream {
  /** Announced length of the request body in bytes, null when it is chunked (unknown until its end), 0 for none. */
  readonly requestBodyLength: number | null;
  /** Starts the flow of the request body into `sink`; sends 100 Continue where the client waits for it. Once only. */
  readBody(sink: BodySink): void;
  /** What has been read by then, 64 KiB at most, still comes. */
  pauseBody(): void;
  resumeBody(): void;

  /** An interim response (103). Ignored towards HTTP/1.0 clients. */
  sendInterim(status: number, headers: HeaderList): void;
  /**
   * Sends the final head from `request.response`. Connection, Transfer-Encoding and Content-Length are the
   * connection's own business and are written by it, from `response.bodyLength`.
   */
  sendHead(request: Request): void;
  /** Body bytes. False: stop until `onWritable`. The memory may be reused after the call. Ignored for HEAD. */
  write(chunk: Buffer, start: number, end: number): boolean;
  /**
   * The answer is complete. `trailers` are sent only where framing and client allow. The request is finished when the
   * kernel has the answer; what is left of its body is read and dropped. Nothing has any effect afterwards.
   */
  end(trailers: HeaderList | null): void;
  /**
   * The answer cannot be completed: the client must be able to tell (no final chunk, connection closed or stream reset).
   * Finishes the request.
   */
  abort(): void;
  /**
   * Answers 101 from `request.response`, ends HTTP on this connection, and hands over the transport together with the
   * bytes that the client sent after its head (RFC 6455 leaves none before the 101, but clients exist). Only once the
   * request's body is complete: offers of an upgrade with a body are not to be heeded (CVE-2026-58055).
   * The caller sets the transport's listener at once, and calls {@link Request.finish} when the tunnel is over.
   */
  upgrade(request: Request): { readonly transport: Transport; readonly early: Buffer };
}

/** The answer as it is being made: steps fill it, head filters change it, {@link Downstream.sendHead} writes it. */
export interface Response {
  status: number;
  /** Reason phrase of an upstream that used its own; null: the standard one. */
  reason: ByteString | null;
  headers: HeaderList;
  bodyLength: BodyLength;
  headSent: boolean;
  /** True: the connection is closed after this answer, as nginx does after 400, 413, 414, 500 and 501. */
  closeAfter: boolean;
  /** Bytes of head and body handed to the connection, chunk framing included: `$bytes_sent`. */
  bytesSent: number;
  /** What of them came after the head, chunk framing included, as nginx counts: `$body_bytes_sent`. */
  bodyBytesSent: number;
  /** Trailers sent, for `$sent_trailer_`. */
  trailers: HeaderList | null;
}

/** One try at one upstream peer, for the `$upstream_` variables. Times in milliseconds, -1 where not reached. */
export interface UpstreamAttempt {
  /** As nginx prints it: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/app.sock`. */
  readonly address: string;
  /** The server as the configuration calls it; empty where no server could be asked. */
  readonly server: string;
  /** The first try in a location: internal redirects can lead a request through several that proxy. */
  readonly isFirst: boolean;
  readonly startedAtMs: number;
  connectMs: number;
  headerMs: number;
  responseMs: number;
  /** 0 until a status line came; 502 or 504 where the proxy had to make one up. */
  status: number;
  bytesReceived: number;
  bytesSent: number;
  bodyBytes: number;
}

/** How a tunnel ended, for the log, the metrics and the `$websocket_` variables. Filled by proxy/ when it is over. */
export interface TunnelTotals {
  readonly endedBy: "client" | "upstream" | "proxy";
  /** `close`, `eof`, `reset`, `read-timeout`, `send-timeout`, `shutdown`, … */
  readonly reason: string;
  /** On the wire: where the proxy compresses for the client, what it sent is counted compressed. */
  readonly bytesFromClient: number;
  readonly bytesFromUpstream: number;
  readonly durationMs: number;
  /** How many times longer messages were than on the client's wire; null where the proxy compressed none. */
  readonly compressionRatio: number | null;
  /** What frames told, null for a tunnel that is no WebSocket. */
  readonly frames: FrameTotals | null;
}

/** What is known of a WebSocket from its frames. */
export interface FrameTotals {
  readonly messagesFromClient: number;
  readonly messagesFromUpstream: number;
  /** Code and reason of the first Close frame, or of the one that the proxy sent; null without any. */
  readonly closeCode: number | null;
  readonly closeReason: ByteString;
  /** The last round trip of a ping to the client, in milliseconds. */
  readonly rttMs: number | null;
}

/** State of the whole run of one request through route/. Kept apart so that modules need not see it. */
export interface RouteState {
  /** Called by a step that returned `pending` and does not answer by itself. */
  resume(request: Request, outcome: Outcome): void;
  /** The answer has been delivered or given up; logs are written. Called exactly once. */
  finish(request: Request): void;
  /** True when `level` would be written for this request: ask before building an expensive message. */
  logs(request: Request, level: LogLevel): boolean;
  /** Writes an error log line that ends with the request's context. */
  log(request: Request, level: LogLevel, message: string): void;
}

let idCounter = 0;

/**
 * One request and its answer. It keeps the plan of its listener with which it began, across reloads.
 * All strings are byte strings.
 */
export class Request {
  readonly connection: Connection;
  /** The way to the client; limit_rate puts a slower one in its place. */
  downstream: Downstream;
  readonly head: RequestHead;
  readonly listener: ListenerPlan;
  private readonly route: RouteState;

  server: ServerPlan;
  location: LocationPlan;

  /** `$uri`: decoded, normalized, changed by rewrites and internal redirects. */
  path: ByteString;
  /** `$args`, without the question mark; empty where there is none. */
  args: ByteString;
  /** `$host`: from the request target or the Host header, lower-cased, without port; else the server's name. */
  host: ByteString;
  /** True while `path` is still what the client's own target says, so that a proxy may pass the target as sent. */
  pathIsOriginal = true;
  /** True while a rewrite program has changed the path and has not said `break` since. */
  pathChanged = false;
  /** True while the location was chosen for `path` as it is: false once `rewrite … break` has changed it. */
  pathMatchesLocation = true;
  /** True after an internal redirect, error_page, try_files or index: `internal` locations may be entered. */
  isInternal = false;
  /** The method in force: the client's, or GET after an error_page has led elsewhere. */
  method: ByteString;
  /** Counts internal redirects and rewrite cycles down; at 0 the answer is 500. */
  redirectsLeft = 10;
  /** True while an error_page is being served: unless recursive_error_pages is on, its own errors get the plain page. */
  isErrorPage = false;
  /** The status that the answer gets whatever its maker says: an error page keeps that of the error. 0 for none. */
  statusOverride = 0;
  /** Where route/ stands with this request: the phase, and the step within it. */
  phase = 0;
  step = 0;

  /** Captures of the regular expression that matched last: `$1` … `$9`; index 0 is the whole match. */
  captures: readonly (string | undefined)[] | null = null;
  /** Values of variables that `set`, `map`, named captures and the like give; by {@link Slot} index. */
  readonly slots: (ByteString | undefined)[] = [];

  readonly response: Response = {
    status: 0,
    reason: null,
    headers: new HeaderList(),
    bodyLength: "none",
    headSent: false,
    closeAfter: false,
    bytesSent: 0,
    bodyBytesSent: 0,
    trailers: null,
  };

  /** `performance.now()` when the first byte of the head came, milliseconds. */
  readonly startedAtMs: number;
  /** Bytes of the request read so far, head and body with framing: `$request_length`. */
  bytesReceived: number;
  /** `$proxy_host` and `$proxy_port`; null until a proxy has taken the request. */
  proxied: { readonly host: ByteString; readonly port: ByteString } | null = null;
  /** Tries so far, in order; null until the first. */
  attempts: UpstreamAttempt[] | null = null;
  /** Set when a tunnel is over. */
  tunnel: TunnelTotals | null = null;
  /** What is being done, for error log lines: `connecting to upstream`, `reading response header from upstream`. */
  activity: string | null = null;
  /** URL of the peer that is being talked to, for error log lines. */
  upstreamUrl: string | null = null;
  /** Response head of the upstream that answers: `$upstream_http_`. */
  upstreamHeaders: HeaderList | null = null;
  upstreamTrailers: HeaderList | null = null;
  /** Called when the client goes away before the answer is complete. Whoever works for the request sets it. */
  onClientGone: (() => void) | null = null;
  /**
   * Whether a client that sends FIN while it waits for the answer has gone away. Unless whoever works for the request says
   * so, it may still be reading.
   */
  finMeansGone = false;
  /** Called when a {@link Downstream.write} that returned false may go on. */
  onWritable: (() => void) | null = null;
  isFinished = false;
  /** The client was not answered, or not to the end: it has gone away, or its connection was closed without a word. */
  isClientLost = false;
  private idHex: string | null = null;

  constructor(
    route: RouteState,
    connection: Connection,
    downstream: Downstream,
    head: RequestHead,
    server: ServerPlan,
    startedAtMs: number,
  ) {
    this.route = route;
    this.connection = connection;
    this.downstream = downstream;
    this.head = head;
    this.listener = connection.listener;
    this.server = server;
    this.location = server.root;
    this.path = "/";
    this.args = head.rawQuery ?? "";
    this.host = head.host ?? "";
    this.method = head.method;
    this.startedAtMs = startedAtMs;
    this.bytesReceived = head.headBytes;
  }

  /** `$request_id`: 32 hexadecimal digits, the same for every use within one request. */
  get id(): string {
    this.idHex ??= makeRequestId();
    return this.idHex;
  }

  resume(outcome: Outcome): void {
    this.route.resume(this, outcome);
  }

  /** Runs the location's head filters over the response and sends its head. */
  sendHead(): void {
    if (this.statusOverride !== 0) {
      this.response.status = this.statusOverride;
      this.response.reason = null;
    }
    this.#runHeadFilters();
    this.downstream.sendHead(this);
  }

  /** The same for a 101, after which the connection is the caller's: see {@link Downstream.upgrade}. */
  upgrade(): { readonly transport: Transport; readonly early: Buffer } {
    this.#runHeadFilters();
    return this.downstream.upgrade(this);
  }

  #runHeadFilters(): void {
    for (const filter of this.location.headFilters) filter(this);
    this.response.headSent = true;
  }

  finish(): void {
    if (this.isFinished) return;
    this.isFinished = true;
    this.route.finish(this);
  }

  logs(level: LogLevel): boolean {
    return this.route.logs(this, level);
  }

  log(level: LogLevel, message: string): void {
    this.route.log(this, level, message);
  }
}

function makeRequestId(): string {
  idCounter = (idCounter + 1) >>> 0;
  const bytes = new Uint8Array(16);
  crypto.getRandomValues(bytes);
  return Buffer.from(bytes.buffer).toString("hex");
}
