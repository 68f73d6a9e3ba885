import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { Deadline } from "../base/timers.ts";
import { Request } from "../compile/request.ts";
import type { ConnectionCounts } from "../observe/connections.ts";
import { captureServerName, selectServer } from "../route/servers.ts";
import type { ClientConnection } from "./client-connection.ts";
import { tlsRefusal } from "./client-verification.ts";
import { readHttp2Head } from "./http2-head.ts";
import { Allowance, FLOODS, isOverhead, type Offence, offenceOf } from "./http2-limits.ts";
import { outsideNghttp2, QUEUE_CHECK_MS } from "./http2-reset.ts";
import { type Http2Terms, http2Terms, sessionOptions, WINDOW_BYTES_MAX } from "./http2-terms.ts";
import { Http2Stream, type StreamOwner } from "./http2-stream.ts";
import { type ConnectionLoss, resetError } from "./http2-transport.ts";
import type { RequestHandler } from "./request-handler.ts";
import { StreamConnection } from "./stream-connection.ts";

const { NGHTTP2_FLAG_END_STREAM } = constants;

const DOING = "processing HTTP/2 connection";

/** PING and SETTINGS frames, which are all answered: so many at once, and a second. */
const CONTROL_FRAMES_BURST = 1_000;
const CONTROL_FRAMES_PER_SECOND = 100;
/** Requests that their client resets before they are answered. nghttp2 itself ends a session after 1,000, without a word. */
const RESETS_BURST_MIN = 200;
const RESETS_PER_SECOND = 33;
/** How often it is checked whether what comes is worth its bytes. */
const WATCH_INTERVAL_MS = 5_000;

/**
 * What the connection waits for, and what ends the waiting:
 *
 *   opening   the first request                        a stream → busy; client_header_timeout → closing
 *   busy      its streams: each has its own timeouts   the last one's end → idle
 *   idle      another request                          a stream → busy; keepalive_timeout → closing
 *   closing   the streams under way, after GOAWAY      the last one's end, and the client's FIN → closed
 *   closed    nothing
 *
 * An offence of the client's and the loss of the socket lead to closed from everywhere.
 */
type Phase = "opening" | "busy" | "idle" | "closing" | "closed";

/**
 * The server side of one HTTP/2 connection. Node's HTTP/2 (nghttp2) reads and writes its frames on the socket's native
 * handle; what is here makes requests of its streams, and holds the client to limits that nghttp2 does not know.
 */
export class Http2Connection implements StreamOwner {
  readonly counts: ConnectionCounts;
  loss: ConnectionLoss | null = null;
  readonly #client: ClientConnection;
  readonly #handler: RequestHandler;
  readonly #socket: Socket;
  readonly #terms: Http2Terms;
  readonly #session: ServerHttp2Session;
  readonly #onClosed: () => void;
  readonly #streams = new Set<Http2Stream>();
  readonly #deadline = new Deadline();
  readonly #watch = new Deadline();
  readonly #controlFrames = new Allowance(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_SECOND);
  readonly #resets: Allowance;
  #closeSession: () => void = ignore;
  #phase: Phase = "opening";
  /** The last stream that is answered: what GOAWAY says. */
  #lastStreamId = Number.POSITIVE_INFINITY;
  /** Bytes of heads and bodies, both ways. */
  #payloadBytes = 0;

  /** Takes over a socket that nobody else reads from. `onClosed` is called once, when it is gone. */
  constructor(
    client: ClientConnection,
    handler: RequestHandler,
    counts: ConnectionCounts,
    socket: Socket,
    onClosed: () => void,
  ) {
    this.#client = client;
    this.#handler = handler;
    this.counts = counts;
    this.#socket = socket;
    this.#onClosed = onClosed;
    this.#terms = http2Terms(client);
    this.#resets = new Allowance(Math.max(RESETS_BURST_MIN, 2 * this.#terms.streamsMax), RESETS_PER_SECOND);
    // Before Node's own listeners, which end the streams.
    socket.on("error", (error) => this.#noteLoss(error));
    // The client has closed its half, and accepted sockets may stay half open: there is nobody left to answer.
    socket.on("end", () => {
      this.#noteLoss("FIN");
      this.#session.destroy();
    });
    this.#session = performServerHandshake(socket, sessionOptions(this.#terms));
  }

  /** Begins to read. `early` are bytes that were read before the connection was known to speak HTTP/2. */
  start(early: Buffer): void {
    const session = this.#session;
    session.on("error", ignore);
    session.on(
      "stream",
      (stream: ServerHttp2Stream, _headers: unknown, flags: number, fields: readonly string[]) =>
        this.#sessionOnStream(stream, flags, fields),
    );
    session.on("goaway", (code: number) => {
      // Node lets the streams go on after one without an error, and ends them after another.
      if (code !== constants.NGHTTP2_NO_ERROR) this.#noteLoss(resetError("connection", code));
    });
    session.on("ping", () => this.#sessionOnControlFrame("ping-flood"));
    session.on("remoteSettings", () => this.#sessionOnControlFrame("settings-flood"));
    session.on("close", () => this.#sessionOnClose());
    this.#takeChargeOfEnding();
    // A stream's own window bounds what it may leave unread; the connection's would only let one hold up the others.
    session.setLocalWindowSize(WINDOW_BYTES_MAX);
    if (early.length > 0) this.#socket.unshift(early);
    // The socket was paused when it was accepted, and nobody is going to resume it: Node's HTTP/2 reads its handle.
    this.#socket.read(0);
    this.#arm(this.#client.initialServer.core.client_header_timeout);
    this.#armWatch();
  }

  get isIdle(): boolean {
    return this.#phase === "idle" || this.#phase === "opening";
  }

  /** Takes no more requests (GOAWAY), and closes when those under way are answered and the tunnels have ended. */
  retire(): void {
    if (this.#phase === "closing" || this.#isOver) return;
    this.#phase = "closing";
    const { lastProcStreamID = 0 } = this.#session.state;
    this.#lastStreamId = lastProcStreamID;
    this.#session.goaway();
    if (this.#streams.size === 0) this.#close();
  }

  closeNow(): void {
    for (const stream of this.#streams) stream.closeNow();
    this.#session.destroy();
    outsideNghttp2(() => this.#socket.destroy());
  }

  // As the owner of its streams

  notePayload(bytes: number): void {
    this.#payloadBytes += bytes;
  }

  onStreamReset(): void {
    if (!this.#isOver && !this.#resets.take()) this.#end(FLOODS["rapid-reset"]);
  }

  onStreamClosed(stream: Http2Stream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) {
      this.counts.multiplexed--;
      return;
    }
    if (this.#phase === "closing") this.#close();
    else if (this.#phase === "busy") this.#becomeIdle();
  }

  #noteLoss(loss: ConnectionLoss): void {
    this.loss ??= loss;
  }

  // The session

  get #isOver(): boolean {
    return this.#phase === "closed" || this.#session.destroyed;
  }

  #sessionOnStream(stream: ServerHttp2Stream, flags: number, fields: readonly string[]): void {
    stream.on("error", ignore);
    // It was reset in the same read that brought it: nobody waits for an answer.
    if (stream.destroyed || stream.aborted) return this.onStreamReset();
    // What came after GOAWAY nghttp2 closes itself, as soon as it has sent that, and the client may ask for it elsewhere.
    if (this.#isOver || (stream.id ?? 0) > this.#lastStreamId) return;
    this.#deadline.disarm();
    if (this.#phase !== "closing") this.#phase = "busy";
    this.#client.requests++;
    this.counts.requests++;
    this.#serve(stream, (flags & NGHTTP2_FLAG_END_STREAM) !== 0, fields);
    if (!this.#maySendMore()) this.retire();
  }

  #serve(stream: ServerHttp2Stream, endsStream: boolean, fields: readonly string[]): void {
    const client = this.#client;
    const handler = this.#handler;
    const startedAtMs = performance.now();
    const { head, fault, isTunnel } = readHttp2Head(fields, endsStream, client.initialServer.core);
    this.notePayload(head.headBytes);
    const connection = new StreamConnection(client);
    const downstream = new Http2Stream(this, stream, isTunnel);
    this.#streams.add(downstream);
    if (this.#streams.size > 1) this.counts.multiplexed++;
    const host = head.host ?? "";
    const server = fault === null ? selectServer(connection.listener, host) : client.initialServer;
    const request = new Request(handler.routeState, connection, downstream, head, server, startedAtMs);
    downstream.begin(request);
    if (fault !== null) {
      request.activity = "reading client request headers";
      request.log("info", `client sent ${fault.message}`);
      request.activity = null;
      return handler.answerStatus(request, fault.status);
    }
    captureServerName(request, host);
    const refusal = tlsRefusal(request, client);
    if (refusal === 0) handler.handleRequest(request);
    else handler.answerStatus(request, refusal);
  }

  /** As ngx_http_v2 counts requests; and where a reload has changed what was agreed on with the client, it comes anew. */
  #maySendMore(): boolean {
    const { keepalive_requests, keepalive_time } = this.#client.initialServer.root.core;
    return (
      this.#client.requests < keepalive_requests &&
      performance.now() - this.#client.openedAtMs < keepalive_time &&
      this.#terms.isSame(this.#client)
    );
  }

  #sessionOnControlFrame(rule: "ping-flood" | "settings-flood"): void {
    if (!this.#isOver && !this.#controlFrames.take()) this.#end(FLOODS[rule]);
  }

  #sessionOnClose(): void {
    this.#phase = "closed";
    this.#deadline.disarm();
    this.#watch.disarm();
    this.#onClosed();
  }

  #becomeIdle(): void {
    const { timeout } = this.#client.initialServer.root.core.keepalive_timeout;
    if (timeout === 0) return this.retire();
    this.#phase = "idle";
    this.#arm(timeout);
  }

  // Ending

  /**
   * Node closes or destroys a session of its own accord, too, from within nghttp2's reading (see {@link outsideNghttp2}), and
   * tells a client that has broken the protocol that the error was internal. Its owner can put that right only in passing.
   */
  #takeChargeOfEnding(): void {
    const session = this.#session;
    const close = session.close.bind(session);
    const destroy = session.destroy.bind(session);
    session.close = () => this.retire();
    this.#closeSession = () => {
      // The client has been told.
      session.goaway = ignore;
      close();
    };
    session.destroy = (error, code) => {
      const offence = code === undefined && !this.#isOver ? offenceOf(error) : null;
      if (offence !== null) this.#blame(offence);
      this.#phase = "closed";
      outsideNghttp2(() => destroy(error, offence?.code ?? code));
    };
  }

  #end(offence: Offence): void {
    this.#blame(offence);
    this.#session.destroy(new Error(offence.message), offence.code);
  }

  /** A flood is an attack, and worth a line in every log; a broken client is its own affair. */
  #blame({ rule, message, code }: Offence): void {
    this.#noteLoss(new Error(`the client ${message}`));
    const level = code === constants.NGHTTP2_ENHANCE_YOUR_CALM ? "error" : "info";
    this.#client.log(level, `client ${message} (rule "${rule}")`, DOING);
  }

  /**
   * Says FIN behind all that is to be sent; a client that does not close is not waited for. Node resets the new streams of a
   * session that is closed from within nghttp2's reading, until GOAWAY is sent: before that it must not be.
   */
  #close(): void {
    const { lingering_timeout } = this.#client.initialServer.root.core;
    this.#deadline.arm(Math.max(1, lingering_timeout), () => this.#socket.destroy());
    const closeWhenSent = (): void => {
      if (this.#isOver) return;
      const { outboundQueueSize = 0 } = this.#session.state;
      if (outboundQueueSize > 0) this.#watch.arm(QUEUE_CHECK_MS, closeWhenSent);
      else this.#closeSession();
    };
    outsideNghttp2(closeWhenSent);
  }

  // Time

  #arm(timeoutMs: number): void {
    this.#deadline.arm(Math.max(1, timeoutMs), () => this.#deadlineOnExpiry());
  }

  #deadlineOnExpiry(): void {
    if (this.#phase === "opening") {
      this.#client.log("info", "client timed out (110: Connection timed out)", "waiting for request");
    }
    this.retire();
  }

  #armWatch(): void {
    this.#watch.arm(WATCH_INTERVAL_MS, () => {
      const bytes = this.#socket.bytesRead + this.#socket.bytesWritten;
      if (isOverhead(bytes, this.#payloadBytes)) this.#end(FLOODS["frame-flood"]);
      else this.#armWatch();
    });
  }
}

function ignore(): void {}
