import { assert } from "../base/assert.ts";
import { describeSystemError } from "../base/errno.ts";
import { Deadline } from "../base/timers.ts";
import type { SocketTransport, Transport, TransportListener } from "../base/transport.ts";
import type { CoreLocation } from "../compile/plan.ts";
import type { BodySink, Downstream, Request } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";
import type { ConnectionCounts } from "../observe/connections.ts";
import type { ClientConnection } from "./client-connection.ts";
import { InputPump, type InputTaker, NO_BYTES } from "./input-pump.ts";
import { allowsKeepAlive } from "./keep-alive.ts";
import { RequestBody } from "./request-body.ts";
import { RequestReader } from "./request-reader.ts";
import { RequestDownstream } from "./request-downstream.ts";
import type { RequestHandler } from "./request-handler.ts";
import { ResponseWriter } from "./response-writer.ts";

/**
 * What the connection waits for, and what ends the waiting:
 *
 *   idle        a request's first byte                 a byte → head; keepalive_timeout, FIN → closed
 *   head        the rest of its head                   whole or unreadable → answering
 *   answering   the answer, while the body comes in    end() → sending; abort() → lingering
 *   sending     the client to take what is pending     taken → idle, discarding or lingering
 *   discarding  the rest of a body nobody wanted       its end → idle; lingering_timeout → closed
 *   lingering   the client's FIN after ours            FIN, lingering_timeout → closed
 *   closed      nothing; after an upgrade the transport has a new owner
 *
 * An error and a client that goes away lead to closed from everywhere.
 */
type Phase = "idle" | "head" | "answering" | "sending" | "discarding" | "lingering" | "closed";

const TIMED_OUT = "client timed out (110: Connection timed out)";
const LEFT_EARLY = "client prematurely closed connection";

/** The server side of one HTTP/1.1 connection: reads requests one at a time, and writes their answers. */
export class Http1Connection implements TransportListener, Downstream, InputTaker {
  readonly #client: ClientConnection;
  readonly #transport: SocketTransport;
  readonly #handler: RequestHandler;
  readonly #counts: ConnectionCounts;
  readonly #onUpgrade: () => void;
  readonly #input: InputPump;
  readonly #requests: RequestReader;
  readonly #writer: ResponseWriter;
  /** For what the client must send; its meaning is the phase's. */
  readonly #deadline = new Deadline();
  readonly #onDeadline = (): void => this.#deadlineOnExpiry();

  #phase: Phase = "idle";
  #request: Request | null = null;
  #body: RequestBody | null = null;
  /** What the request in hand knows this connection by. */
  #downstream: RequestDownstream | null = null;
  /** Settings of the location that answered last: how the connection goes on after it. */
  #core: CoreLocation;
  #keepAlive = false;
  /** The listener wants to be rid of the connection as soon as nothing is under way. */
  #isRetiring = false;
  #lingerUntilMs = 0;

  /** `onUpgrade`: the transport is a tunnel's now, and this connection is not needed any more. */
  constructor(
    client: ClientConnection,
    handler: RequestHandler,
    counts: ConnectionCounts,
    onUpgrade: () => void,
  ) {
    this.#client = client;
    this.#onUpgrade = onUpgrade;
    this.#transport = client.transport;
    this.#handler = handler;
    this.#counts = counts;
    this.#input = new InputPump(client.transport, this);
    this.#requests = new RequestReader(client, handler);
    this.#writer = new ResponseWriter(client.transport, () => this.#writerOnStuck());
    this.#core = client.initialServer.root.core;
  }

  /** Begins to read. `early` are bytes that were read before the connection was known to speak HTTP/1.1. */
  start(early: Buffer = NO_BYTES): void {
    this.#transport.listener = this;
    this.#arm(this.#client.initialServer.core.client_header_timeout);
    this.#input.push(early, 0, early.length);
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

  /** Closes the connection at once, whatever is under way. */
  closeNow(): void {
    this.#transport.destroy();
  }

  // As the transport's listener

  onBytes(chunk: Buffer, start: number, end: number): void {
    this.#input.push(chunk, start, end);
  }

  onEnd(): void {
    const waits = this.#phase === "answering" && this.#body?.phase !== "reading";
    if (waits && this.#request?.finMeansGone === true) this.#loseClient(499, null);
    else this.#input.end();
  }

  onDrain(): void {
    this.#writer.drained();
    if (this.#phase === "sending") this.#afterAnswer();
    else if (this.#phase === "answering") this.#request?.onWritable?.();
  }

  onWriteError(error: Error): void {
    this.#loseClient(499, `send() failed (${describeSystemError(error)})`);
    this.#close();
  }

  onClose(error: Error | null): void {
    const message = error === null ? LEFT_EARLY : `recv() failed (${describeSystemError(error)})`;
    if (this.#phase === "head") this.#loseUnread(message, 400);
    else if (this.#body !== null && this.#body.phase !== "complete") this.#loseClient(400, message);
    else this.#loseClient(499, null);
    this.#enter("closed");
  }

  // As the request's downstream, by way of a RequestDownstream: only while its request is answered

  get requestBodyLength(): number | null {
    const framing = this.#request?.head.framing;
    if (framing === undefined || framing.kind === "none") return 0;
    return framing.kind === "length" ? framing.length : null;
  }

  readBody(sink: BodySink): void {
    if (this.#body === null) {
      sink.onBodyEnd(null);
      return;
    }
    if (this.#request?.head.expectContinue === true && this.#input.isEmpty && !this.#body.hasBegun) {
      this.#writer.writeContinue();
    }
    this.#body.read(sink);
    this.#armBodyDeadline();
    this.#input.goOn();
  }

  pauseBody(): void {
    this.#input.pause();
    this.#armBodyDeadline();
  }

  resumeBody(): void {
    this.#input.unpause();
    this.#armBodyDeadline();
    this.#input.goOn();
  }

  sendInterim(status: number, headers: HeaderList): void {
    const isUnderstood = this.#request?.head.versionMinor === 1;
    if (isUnderstood && !this.#writer.hasBegun) this.#writer.writeInterim(status, headers);
  }

  sendHead(request: Request): void {
    const wishesToKeep = !this.#isRetiring && allowsKeepAlive(request, this.#body);
    this.#keepAlive = this.#writer.writeHead(request, wishesToKeep);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    return this.#writer.write(chunk, start, end);
  }

  end(trailers: HeaderList | null): void {
    if (!this.#writer.end(trailers)) {
      this.abort();
      return;
    }
    this.#releaseRequest();
    this.#body?.discard();
    this.#deadline.disarm();
    this.#enter("sending");
    if (!this.#writer.mustDrain) this.#afterAnswer();
  }

  abort(): void {
    const isBegun = this.#writer.hasBegun;
    this.#writer.flush();
    this.#finishRequest();
    if (!isBegun) this.#close();
    else if (this.#writer.endsWithConnection) this.#reset();
    else this.#linger();
  }

  upgrade(request: Request): { readonly transport: Transport; readonly early: Buffer } {
    assert(this.#body === null || this.#body.phase === "complete", "an upgrade follows the whole request");
    this.#writer.writeUpgrade(request);
    this.#transport.pause();
    this.#releaseRequest();
    this.#request = null;
    this.#enter("closed");
    this.#onUpgrade();
    return { transport: this.#transport, early: this.#input.takeHeld() };
  }

  // As the taker of input

  get takesBytes(): boolean {
    const phase = this.#phase;
    if (phase === "answering" || phase === "sending") {
      return this.#body !== null && this.#body.isFlowing && !this.#input.isPaused;
    }
    return !this.isOver;
  }

  get isOver(): boolean {
    return this.#phase === "closed";
  }

  take(chunk: Buffer, start: number, end: number): number {
    if (this.#phase === "lingering") {
      this.#armLingering();
      return end - start;
    }
    if (this.#phase === "idle") this.#beginHead();
    return this.#phase === "head" ? this.#readHead(chunk, start, end) : this.#readBody(chunk, start, end);
  }

  onInputEnd(): void {
    const client = this.#client;
    switch (this.#phase) {
      case "idle":
        if (client.requests > 0) {
          client.logBare("info", `client ${client.remoteAddress} closed keepalive connection`);
        }
        return this.#close();
      case "head":
        return this.#loseUnread(LEFT_EARLY, 400);
      case "answering":
        if (this.#body?.phase === "reading") this.#loseClient(400, LEFT_EARLY);
        return;
      case "discarding":
      case "lingering":
        return this.#close();
      default:
    }
  }

  #beginHead(): void {
    this.#enter("head");
    this.#downstream = new RequestDownstream(this);
    const client_header_timeout = this.#requests.begin(this.#downstream);
    // The first head of a connection has been awaited since its accept, and no longer in all.
    if (this.#client.requests > 0) this.#arm(client_header_timeout);
  }

  #readHead(chunk: Buffer, start: number, end: number): number {
    const used = this.#requests.read(chunk, start, end);
    this.#input.noteRest(end - start - used);
    const request = this.#requests.take();
    if (request === null) return used;
    this.#beginAnswer(request);
    const { refusal } = this.#requests;
    if (refusal === 0) this.#handler.handleRequest(request);
    else this.#handler.answerStatus(request, refusal);
    return used;
  }

  #readBody(chunk: Buffer, start: number, end: number): number {
    const body = this.#body;
    assert(body !== null, "a body is read from a request that has one");
    const used = body.feed(chunk, start, end);
    this.#input.noteRest(end - start - used);
    body.settle();
    if (this.#phase === "answering") this.#deadline.touch();
    else if (this.#phase === "discarding") this.#afterDiscarded(body);
    return used;
  }

  // Requests and their answers

  #beginAnswer(request: Request): void {
    const { framing } = request.head;
    this.#client.requests++;
    this.#counts.requests++;
    this.#request = request;
    this.#body = framing.kind === "none" ? null : new RequestBody(request, framing);
    this.#writer.reset(request.location.core.send_timeout);
    this.#deadline.disarm();
    this.#enter("answering");
  }

  /** The client went away, or was too slow, in the middle of a head: for the access log there was a request. */
  #loseUnread(message: string, status: number): void {
    this.#beginAnswer(this.#requests.giveUp(message));
    this.#loseClient(status, null);
  }

  /** Whoever has answered the request has no more say, and is not told anything any more. */
  #releaseRequest(): void {
    this.#downstream?.close();
    this.#downstream = null;
    if (this.#request === null) return;
    this.#request.onClientGone = null;
    this.#request.onWritable = null;
  }

  #finishRequest(): void {
    const request = this.#request;
    if (request === null) return;
    this.#releaseRequest();
    this.#request = null;
    this.#core = request.location.core;
    request.finish();
  }

  /**
   * The client can no longer be answered. `status` is for the access log, unless a head has been sent; `message` for the
   * error log, unless whoever makes the answer has something to say itself.
   */
  #loseClient(status: number, message: string | null): void {
    const request = this.#request;
    if (request === null) return;
    const onGone = request.onClientGone;
    this.#releaseRequest();
    if (message !== null && (onGone === null || message !== LEFT_EARLY)) request.log("info", message);
    request.isClientLost = true;
    if (!request.response.headSent) request.response.status = status;
    this.#close();
    onGone?.();
    this.#finishRequest();
    // Last, so that nobody sets out to make an error page of it.
    this.#body?.fail({ status, message: message ?? LEFT_EARLY });
  }

  /** The kernel has taken the answer. */
  #afterAnswer(): void {
    this.#finishRequest();
    this.#input.unpause();
    const body = this.#body;
    const isWhole = body === null || body.phase === "complete";
    if (!this.#keepAlive || this.#isRetiring) this.#closeAfterAnswer(isWhole);
    else if (isWhole) this.#becomeIdle();
    else {
      this.#enter("discarding");
      this.#beginLingering();
      this.#input.goOnLater();
    }
  }

  #becomeIdle(): void {
    if (this.#isRetiring) return this.#close();
    this.#body = null;
    this.#enter("idle");
    this.#arm(this.#core.keepalive_timeout.timeout);
    this.#input.goOnLater();
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
    this.#writer.close();
    this.#transport.end();
    this.#input.takeHeld();
    this.#input.unpause();
    this.#input.goOn();
  }

  #beginLingering(): void {
    this.#lingerUntilMs = performance.now() + this.#core.lingering_time;
    this.#armLingering();
  }

  #armLingering(): void {
    const leftMs = this.#lingerUntilMs - performance.now();
    if (leftMs > 0) this.#arm(Math.min(leftMs, this.#core.lingering_timeout));
    else this.#close();
  }

  #close(): void {
    this.#enter("closed");
    this.#transport.destroy();
  }

  #reset(): void {
    this.#enter("closed");
    this.#transport.reset();
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
        return this.#close();
      case "head":
        this.#resetIfWished(this.#client.initialServer.root.core);
        return this.#loseUnread(TIMED_OUT, 408);
      case "answering":
        return this.#loseTimedOut();
      default:
        this.#close();
    }
  }

  #writerOnStuck(): void {
    this.#loseTimedOut();
    this.#close();
  }

  /** The client sends nothing of its body, or takes nothing of its answer. */
  #loseTimedOut(): void {
    this.#resetIfWished(this.#request?.location.core ?? this.#core);
    this.#loseClient(408, TIMED_OUT);
  }

  #resetIfWished({ reset_timedout_connection }: CoreLocation): void {
    if (reset_timedout_connection) this.#transport.reset();
  }

  #enter(phase: Phase): void {
    if (this.#phase === phase) return;
    this.#count(this.#phase, -1);
    this.#count(phase, 1);
    this.#phase = phase;
    if (!this.isOver) return;
    this.#deadline.disarm();
    this.#writer.close();
    this.#requests.drop();
  }

  #count(phase: Phase, change: 1 | -1): void {
    if (phase === "head") this.#counts.reading += change;
    else if (phase === "answering" || phase === "sending") this.#counts.writing += change;
  }
}
