import { assert } from "../base/assert.ts";
import { Deadline } from "../base/timers.ts";
import type { Transport, TransportListener } from "../base/transport.ts";
import type { CoreLocation, ServerPlan } from "../compile/plan.ts";
import { type BodySink, type Downstream, Request } from "../compile/request.ts";
import type { HeadError } from "../http/head-error.ts";
import type { RequestHead } from "../http/head-parser.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { ConnectionCounts } from "../observe/connections.ts";
import { captureServerName, selectServer } from "../route/servers.ts";
import type { ClientConnection } from "./client-connection.ts";
import { tlsRefusal } from "./client-verification.ts";
import { HeadReader } from "./head-reader.ts";
import { HeldInput, NO_BYTES } from "./held-input.ts";
import { RequestBody } from "./request-body.ts";
import type { RequestHandler } from "./request-handler.ts";
import { ResponseWriter } from "./response-writer.ts";
import { unreadableHead } from "./unreadable-head.ts";

/**
 * What the connection waits for, and what ends the waiting:
 *
 *   idle        a request's first byte                 a byte → head; keepalive_timeout, FIN → closed
 *   head        the rest of its head                   whole → answering; unreadable → answering (the error)
 *   answering   the answer, while the body comes in    end() → sending; abort() → lingering
 *   sending     the client to take what is pending     taken → idle, discarding or lingering
 *   discarding  the rest of a body nobody wanted       its end → idle; lingering_timeout → closed
 *   lingering   the client's FIN after ours            FIN, lingering_timeout → closed
 *   tunnel      nothing: the transport has a new owner
 *   closed      nothing
 */
type Phase = "idle" | "head" | "answering" | "sending" | "discarding" | "lingering" | "tunnel" | "closed";

const TIMED_OUT = "client timed out (110: Connection timed out)";
const CLOSED_PREMATURELY = "client prematurely closed connection";

/** The server side of one HTTP/1.1 connection: reads requests one at a time, and writes their answers. */
export class Http1Connection implements TransportListener, Downstream {
  readonly #client: ClientConnection;
  readonly #transport: Transport;
  readonly #handler: RequestHandler;
  readonly #counts: ConnectionCounts;
  readonly #input: HeldInput;
  readonly #writer: ResponseWriter;
  readonly #heads = new HeadReader();
  /** For what the client must send; its meaning is the phase's. */
  readonly #deadline = new Deadline();
  readonly #onDeadline = (): void => this.#deadlineOnExpiry();

  #phase: Phase = "idle";
  #startedAtMs = 0;
  #request: Request | null = null;
  #body: RequestBody | null = null;
  /** Settings of the location that answered last: how the connection goes on after it. */
  #core: CoreLocation;
  #keepAlive = false;
  /** The listener wants to be rid of the connection as soon as nothing is under way. */
  #isRetiring = false;
  #clientHasEnded = false;
  /** True while bytes are being worked through: whoever then ends a phase leaves the next one to that loop. */
  #isConsuming = false;
  #lingerUntilMs = 0;

  constructor(client: ClientConnection, handler: RequestHandler, counts: ConnectionCounts) {
    this.#client = client;
    this.#transport = client.transport;
    this.#handler = handler;
    this.#counts = counts;
    this.#input = new HeldInput(client.transport);
    this.#writer = new ResponseWriter(client.transport, () => this.#writerOnStuck());
    this.#core = client.initialServer.root.core;
  }

  /** Begins to read. `early` are bytes that were read before the connection was known to speak HTTP/1.1. */
  start(early: Buffer = NO_BYTES): void {
    this.#transport.listener = this;
    this.#arm(this.#client.initialServer.core.client_header_timeout);
    if (early.length > 0) this.onBytes(early, 0, early.length);
    this.#continue();
  }

  /** True while the connection waits for a request of which nothing has come yet. */
  get isIdle(): boolean {
    return this.#phase === "idle";
  }

  /** Closes the connection as soon as no request is under way: at once, or after the answer. */
  retire(): void {
    this.#isRetiring = true;
    if (this.#phase === "idle") this.#close();
  }

  /** For the listener, which learns of the end of tunnels, too: takes the connection out of the counts. */
  release(): void {
    this.#enter("closed");
  }

  // As the transport's listener

  onBytes(chunk: Buffer, start: number, end: number): void {
    if (this.#input.isEmpty) {
      this.#consume(chunk, start, end);
    } else {
      this.#input.add(chunk, start, end);
      if (this.#takesBytes()) this.#continue();
    }
    this.#updateReading();
  }

  onEnd(): void {
    this.#clientHasEnded = true;
    if (this.#phase === "head") this.#loseUnread(CLOSED_PREMATURELY, 400);
    else if (this.#phase === "answering") this.#answeringOnHalfClose();
    else if (this.#phase !== "sending") this.#close();
  }

  onDrain(): void {
    this.#writer.drained();
    if (this.#phase === "sending") this.#afterAnswer();
    else if (this.#phase === "answering") this.#request?.onWritable?.();
  }

  onClose(): void {
    if (this.#phase === "head") this.#loseUnread(CLOSED_PREMATURELY, 400);
    else this.#loseClient(499);
    this.#enter("closed");
  }

  // As the request's downstream

  get requestBodyLength(): number | null {
    const framing = this.#request?.head.framing;
    if (framing === undefined || framing.kind === "none") return 0;
    return framing.kind === "length" ? framing.length : null;
  }

  readBody(sink: BodySink): void {
    if (this.#phase !== "answering") return;
    if (this.#body === null) {
      sink.onBodyEnd(null);
      return;
    }
    if (this.#request?.head.expectContinue === true && this.#input.isEmpty && !this.#body.hasBegun) {
      this.#writer.writeContinue();
    }
    this.#body.read(sink);
    this.#armBodyDeadline();
    this.#continue();
    if (this.#clientHasEnded) this.#answeringOnHalfClose();
  }

  pauseBody(): void {
    this.#input.isPaused = true;
    this.#armBodyDeadline();
    this.#updateReading();
  }

  resumeBody(): void {
    this.#input.isPaused = false;
    this.#armBodyDeadline();
    this.#continue();
  }

  sendInterim(status: number, headers: HeaderList): void {
    const request = this.#request;
    if (this.#phase !== "answering" || request === null) return;
    if (request.head.versionMinor === 1 && !this.#writer.hasBegun) this.#writer.writeInterim(status, headers);
  }

  sendHead(request: Request): void {
    if (this.#phase !== "answering") return;
    this.#keepAlive = this.#writer.writeHead(request, this.#mayKeepAlive(request));
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    return this.#phase === "answering" && this.#writer.write(chunk, start, end);
  }

  end(trailers: HeaderList | null): void {
    if (this.#phase !== "answering") return;
    if (!this.#writer.end(trailers)) {
      this.abort();
      return;
    }
    this.#body?.discard();
    this.#deadline.disarm();
    this.#enter("sending");
    if (!this.#writer.mustDrain) this.#afterAnswer();
  }

  abort(): void {
    if (this.#phase !== "answering") return;
    const isBegun = this.#writer.hasBegun;
    this.#writer.flush();
    this.#finishRequest();
    if (!isBegun) this.#close();
    else if (this.#writer.endsWithConnection) this.#transport.reset();
    else this.#linger();
  }

  upgrade(request: Request): { readonly transport: Transport; readonly early: Buffer } {
    assert(this.#phase === "answering", "an upgrade is an answer");
    assert(this.#body === null || this.#body.phase === "complete", "an upgrade follows the whole request");
    this.#writer.writeUpgrade(request);
    this.#transport.pause();
    this.#request = null;
    this.#enter("tunnel");
    return { transport: this.#transport, early: this.#input.take() };
  }

  // Reading

  /** Gives bytes to whoever is due; what nobody can take yet is held. */
  #consume(chunk: Buffer, start: number, end: number): void {
    let at = start;
    this.#isConsuming = true;
    while (at < end && this.#takesBytes()) at += this.#take(chunk, at, end);
    this.#isConsuming = false;
    const isOver = this.#phase === "closed" || this.#body?.phase === "failed";
    if (at < end && !isOver) this.#input.add(chunk, at, end);
  }

  #takesBytes(): boolean {
    const phase = this.#phase;
    if (phase === "answering" || phase === "sending") {
      return this.#body !== null && this.#body.isFlowing && !this.#input.isPaused;
    }
    return phase !== "tunnel" && phase !== "closed";
  }

  /** Returns how many bytes were used. */
  #take(chunk: Buffer, start: number, end: number): number {
    if (this.#phase === "lingering") {
      this.#armLingering();
      return end - start;
    }
    if (this.#phase === "idle") this.#beginHead();
    return this.#phase === "head" ? this.#readHead(chunk, start, end) : this.#readBody(chunk, start, end);
  }

  /** Goes on with what was held, once somebody can take it. */
  #continue(): void {
    if (this.#isConsuming) return;
    if (!this.#input.isEmpty && this.#takesBytes()) {
      const held = this.#input.take();
      this.#consume(held, 0, held.length);
    }
    this.#updateReading();
  }

  #updateReading(): void {
    if (this.#phase !== "closed" && this.#phase !== "tunnel") this.#input.update();
  }

  #beginHead(): void {
    this.#enter("head");
    this.#startedAtMs = performance.now();
    const { core } = this.#client.initialServer;
    this.#heads.begin(core);
    // The first head of a connection has been awaited since its accept, and no longer in all.
    if (this.#client.requests > 0) this.#arm(core.client_header_timeout);
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    const used = this.#heads.read(chunk, start, end);
    const { head, error } = this.#heads;
    if (error !== null) this.#refuseHead(error, used);
    else if (head !== null) this.#beginRequest(head);
    return used;
  }

  #readBody(chunk: Buffer, start: number, end: number): number {
    const body = this.#body;
    assert(body !== null, "a body is read from a request that has one");
    const used = body.feed(chunk, start, end);
    if (this.#phase === "answering") this.#deadline.touch();
    else if (this.#phase === "discarding") this.#afterDiscarded(body);
    return used;
  }

  // Requests and their answers

  #beginRequest(head: RequestHead): void {
    const client = this.#client;
    const server = head.host === null ? client.initialServer : selectServer(client.listener, head.host);
    const request = this.#makeRequest(head, server);
    if (head.host !== null) captureServerName(request, head.host);
    if (head.framing.kind !== "none") this.#body = new RequestBody(request, head.framing);
    const refusal = tlsRefusal(request, client);
    if (refusal === 0) this.#handler.handleRequest(request);
    else this.#handler.answerStatus(request, refusal);
  }

  #refuseHead(error: HeadError, headBytes: number): void {
    const request = this.#makeRequest(unreadableHead(headBytes), this.#client.initialServer);
    request.activity = `reading client request ${error.status === 414 ? "line" : "headers"}`;
    request.log("info", `client sent ${error.message}`);
    request.activity = null;
    request.response.closeAfter = true;
    this.#handler.answerStatus(request, error.status === 431 ? 494 : error.status);
  }

  /** The client went away, or was too slow, in the middle of a head: for the access log there was a request. */
  #loseUnread(message: string, status: number): void {
    this.#client.log("info", message, "reading client request headers");
    this.#heads.drop();
    this.#makeRequest(unreadableHead(0), this.#client.initialServer).response.status = status;
    this.#finishRequest();
    this.#close();
  }

  #makeRequest(head: RequestHead, server: ServerPlan): Request {
    const { routeState } = this.#handler;
    this.#client.requests++;
    this.#counts.requests++;
    const request = new Request(routeState, this.#client, this, head, server, this.#startedAtMs);
    this.#request = request;
    this.#body = null;
    this.#writer.reset(server.root.core.send_timeout);
    this.#deadline.disarm();
    this.#enter("answering");
    return request;
  }

  #finishRequest(): void {
    const request = this.#request;
    if (request === null) return;
    this.#request = null;
    this.#core = request.location.core;
    request.finish();
  }

  /** The client can no longer be answered. `status` is for the access log, unless a head has been sent. */
  #loseClient(status: number): void {
    const request = this.#request;
    if (request === null) return;
    if (!request.response.headSent) request.response.status = status;
    this.#close();
    if (this.#body?.phase === "reading") this.#body.fail({ status, message: CLOSED_PREMATURELY });
    request.onClientGone?.();
    this.#finishRequest();
  }

  /**
   * FIN from a client that still waits for its answer. Like nginx we take it for gone if its body is incomplete, or if
   * whoever makes the answer wants to know (proxy_ignore_client_abort off); else it gets its answer.
   */
  #answeringOnHalfClose(): void {
    const request = this.#request;
    if (request === null || !this.#input.isEmpty) return;
    if (this.#body !== null && this.#body.phase !== "complete") {
      request.log("info", CLOSED_PREMATURELY);
      this.#loseClient(400);
    } else if (request.onClientGone !== null) {
      this.#loseClient(499);
    }
  }

  /** As ngx_http_update_location_config decides, and what else makes a further request on the connection impossible. */
  #mayKeepAlive({ head, response, location }: Request): boolean {
    const { core } = location;
    const body = this.#body;
    // Whether a client that was not told to continue will send its body nobody can know.
    const isAmbiguous =
      body !== null && (body.phase === "failed" || (head.expectContinue && body.phase === "unread"));
    return (
      head.keepAlive &&
      !response.closeAfter &&
      !this.#isRetiring &&
      !isAmbiguous &&
      core.keepalive_timeout.timeout > 0 &&
      this.#client.requests < core.keepalive_requests &&
      performance.now() - this.#client.openedAtMs < core.keepalive_time
    );
  }

  /** The kernel has taken the answer. */
  #afterAnswer(): void {
    this.#finishRequest();
    this.#input.isPaused = false;
    const body = this.#body;
    const isWhole = body === null || body.phase === "complete";
    if (!this.#keepAlive || this.#isRetiring) this.#closeAfterAnswer(isWhole);
    else if (isWhole) this.#becomeIdle();
    else {
      this.#enter("discarding");
      this.#beginLingering();
      this.#continueLater();
    }
  }

  #becomeIdle(): void {
    this.#body = null;
    this.#enter("idle");
    this.#arm(this.#core.keepalive_timeout.timeout);
    this.#continueLater();
    if (this.#clientHasEnded && this.#input.isEmpty && !this.#isConsuming) this.#close();
  }

  /** Goes on with held bytes in a turn of their own: whoever ended the answer may not be done yet. */
  #continueLater(): void {
    if (this.#isConsuming) return;
    if (this.#input.isEmpty) this.#updateReading();
    else process.nextTick(() => this.#continue());
  }

  #afterDiscarded(body: RequestBody): void {
    if (body.phase === "complete") this.#becomeIdle();
    else if (body.phase === "failed") this.#close();
    else this.#armLingering();
  }

  // Ending

  #closeAfterAnswer(isWhole: boolean): void {
    const { lingering_close } = this.#core;
    const comesMore = !isWhole || !this.#input.isEmpty;
    const lingers = lingering_close === "always" || (lingering_close === "on" && comesMore);
    // Only what lies in the kernel survives a close; TLS has its close_notify to say besides.
    const isPending = this.#transport.pendingBytes > 0 || this.#transport.tls !== null;
    if (lingers || isPending) this.#linger();
    else this.#close();
  }

  /** Sends FIN, and reads on until the client has sent its own, so that no RST destroys what it has not read yet. */
  #linger(): void {
    this.#enter("lingering");
    this.#beginLingering();
    this.#transport.end();
    this.#input.take();
    this.#input.isPaused = false;
    this.#updateReading();
  }

  #beginLingering(): void {
    this.#lingerUntilMs = performance.now() + this.#core.lingering_time;
    this.#armLingering();
  }

  #armLingering(): void {
    const leftMs = this.#lingerUntilMs - performance.now();
    if (leftMs <= 0) this.#close();
    else this.#arm(Math.min(leftMs, this.#core.lingering_timeout));
  }

  #close(): void {
    this.#enter("closed");
    this.#transport.destroy();
  }

  // Time

  #arm(timeoutMs: number): void {
    this.#deadline.arm(Math.max(1, timeoutMs), this.#onDeadline);
  }

  #armBodyDeadline(): void {
    if (this.#phase !== "answering") return;
    const isAwaited = this.#body?.phase === "reading" && !this.#input.isPaused;
    if (isAwaited) this.#arm(this.#request?.location.core.client_body_timeout ?? 0);
    else this.#deadline.disarm();
  }

  #deadlineOnExpiry(): void {
    switch (this.#phase) {
      case "idle":
        if (this.#client.requests === 0) this.#client.log("info", TIMED_OUT, "waiting for request");
        this.#closeTimedOut();
        return;
      case "head":
        this.#loseUnread(TIMED_OUT, 408);
        return;
      case "answering":
        this.#request?.log("info", TIMED_OUT);
        this.#loseClient(408);
        return;
      default:
        this.#close();
    }
  }

  /** The client takes nothing of its answer. */
  #writerOnStuck(): void {
    this.#request?.log("info", TIMED_OUT);
    this.#loseClient(408);
    this.#closeTimedOut();
  }

  #closeTimedOut(): void {
    if (this.#core.reset_timedout_connection) this.#transport.reset();
    this.#close();
  }

  #enter(phase: Phase): void {
    if (this.#phase === phase) return;
    this.#count(this.#phase, -1);
    this.#count(phase, 1);
    this.#phase = phase;
    if (phase !== "tunnel" && phase !== "closed") return;
    this.#deadline.disarm();
    this.#writer.close();
    this.#heads.drop();
  }

  #count(phase: Phase, change: 1 | -1): void {
    if (phase === "head") this.#counts.reading += change;
    else if (phase === "answering" || phase === "sending" || phase === "tunnel")
      this.#counts.writing += change;
  }
}
