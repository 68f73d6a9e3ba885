import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { SendDeadline } from "../base/send-deadline.ts";
import type { Outcome } from "../compile/outcome.ts";
import type { BodyFailure, Request } from "../compile/request.ts";
import type { ResponseHead } from "../http/head-parser.ts";
import type { HeaderList } from "../http/header-list.ts";
import { tunnelCounts } from "../observe/tunnel-counts.ts";
import type { Tries } from "../upstream/balancer.ts";
import type { Peer, PeerOutcome } from "../upstream/peer.ts";
import { AnswerFlow, type FlowLimits } from "./answer-flow.ts";
import { answerInstead, flowLimits } from "./answer-choice.ts";
import { fillResponse, interimHeaders } from "./answer-head.ts";
import { AttemptRecord } from "./attempt.ts";
import { type BodyReceiver, BodySpool } from "./body-spool.ts";
import { Dial, type DialListener, type UpstreamConnection } from "./dial.ts";
import { type Failure, levelOf, NO_LIVE_UPSTREAMS, outcomeOf, statusFailure, TIMED_OUT } from "./failure.ts";
import type { BodyTarget, OutgoingBody } from "./outgoing-body.ts";
import { bodyAtOnce } from "./request-body.ts";
import { isNonIdempotent, mayRetry } from "./retry.ts";
import type { Destination, DestinationResult, NextCondition, ProxyRules } from "./rules.ts";
import { beginTunnel } from "./tunnel.ts";
import { sentUpgrade, switchFailure, type UpgradeOffer } from "./upgrade.ts";
import type { AnswerListener } from "./upstream-reader.ts";

/**
 * One request on its way to an upstream and back. What it waits for:
 *
 *   body       the client's body, where it is read whole first        whole → finding
 *   finding    a destination that variables decide                    found → connecting
 *   connecting a connection to the peer in hand                       made, or kept from before → answering
 *   answering  the head of the answer; meanwhile the request is sent  head → relaying; 101 → tunnel
 *   relaying   the rest of the answer                                 its end → done
 *   tunnel     nothing: relay has both connections                    → done
 *   done       nothing
 *
 * A failure while connecting or answering goes back to connecting with another peer as often as proxy_next_upstream
 * allows. Whatever fails later cannot be mended: the client has seen a part of the answer.
 */
type Phase = "body" | "finding" | "connecting" | "answering" | "relaying" | "tunnel" | "done";

export class Exchange implements AnswerListener, BodyTarget, BodyReceiver, DialListener {
  readonly #request: Request;
  readonly #rules: ProxyRules;
  readonly #offer: UpgradeOffer | null;
  readonly #startedAtMs: number = performance.now();
  #phase: Phase = "body";

  #spool: BodySpool | null = null;
  #body: OutgoingBody | null = null;
  #destination: Destination | null = null;
  #target: ByteString = "";
  #method: ByteString;
  #tries: Tries | null = null;
  #attempts = 0;

  // The try in hand
  #peer: Peer | null = null;
  #attempt: AttemptRecord | null = null;
  #dial: Dial | null = null;
  #connection: UpstreamConnection | null = null;
  #isReused = false;
  #isBodySent = false;
  /** Something of the request has been sent to a peer. */
  #isRequestSent = false;
  /** A kept connection was found closed: the next one is made anew. */
  #wantsFresh = false;

  /** The connection takes no more for now. */
  #isBlocked = false;
  /** Limits how long it may take nothing; made when it is slow for the first time. */
  #sendDeadline: SendDeadline | null = null;
  #flowLimits: FlowLimits;
  #flow: AnswerFlow | null = null;

  constructor(request: Request, rules: ProxyRules, offer: UpgradeOffer | null) {
    this.#request = request;
    this.#rules = rules;
    this.#offer = offer;
    this.#flowLimits = rules.flowLimits;
    this.#method = rules.proxy_method?.render(request) ?? request.method;
  }

  start(): void {
    const request = this.#request;
    const rules = this.#rules;
    if (!rules.proxy_ignore_client_abort) {
      request.onClientGone = () => this.#clientOnGone();
      // As nginx does: most that half-close have gone, and an upstream should not work for nobody.
      request.finMeansGone = true;
    }
    const body = bodyAtOnce(request, rules);
    if (body !== null) return this.onBodyReady(body);
    this.#spool = new BodySpool(request, this);
    this.#spool.start();
  }

  // Before the first try

  onBodyReady(body: OutgoingBody): void {
    this.#body = body;
    this.#phase = "finding";
    const { proxy_pass } = this.#rules;
    if (proxy_pass.kind === "constant") this.#begin(proxy_pass.destination, null);
    else proxy_pass.find(this.#request, (result) => this.#onFound(result));
  }

  #onFound(result: DestinationResult): void {
    if (this.#phase !== "finding") return;
    if (result.ok) return this.#begin(result.destination, result.target);
    this.#request.log("error", result.message);
    this.#finishWith({ kind: "status", status: result.status });
  }

  #begin(destination: Destination, target: ByteString | null): void {
    const request = this.#request;
    this.#destination = destination;
    request.proxied = destination;
    this.#target = target ?? this.#rules.target(request);
    this.#tries = destination.group.startTries(request, this.#rules.proxy_next_upstream_tries);
    this.#connect();
  }

  // Connecting

  #connect(): void {
    const request = this.#request;
    const destination = this.#destination;
    assert(destination !== null && this.#tries !== null, "a try has a destination");
    this.#phase = "connecting";
    request.activity = "connecting to upstream";
    const nowMs = performance.now();
    const { group, scheme } = destination;
    const peer = group.choose(this.#tries, nowMs);
    const attempt = new AttemptRecord(
      peer?.name ?? group.name,
      peer?.settings.server ?? "",
      this.#attempts++ === 0,
      nowMs,
    );
    this.#attempt = attempt;
    // A list of the right length: one that grows makes room for sixteen, and a tunnel keeps it.
    request.attempts = request.attempts === null ? [attempt] : [...request.attempts, attempt];
    const separator = attempt.address.startsWith("unix:") ? ":" : "";
    request.upstreamUrl = `${scheme}://${attempt.address}${separator}${this.#target}`;
    if (peer === null) return this.#failTry(NO_LIVE_UPSTREAMS);
    this.#peer = peer;
    const route = this.#rules.route(request, scheme);
    const kept = this.#mayReuse() ? group.pool.take(peer, route.profile) : null;
    this.#isReused = kept !== null;
    if (kept !== null) this.onDialled(kept);
    else this.#dial = new Dial(peer, route, this.#rules, this);
  }

  /**
   * A kept connection may turn out to be closed, and then nobody knows what became of the request. Where an upstream block
   * asks for it, as nginx, we take that risk with every request, otherwise only with those that may be sent again.
   */
  #mayReuse(): boolean {
    if (this.#wantsFresh) return false;
    return this.#destination?.group.isExplicit === true || this.#isRepeatable();
  }

  #isRepeatable(): boolean {
    return !isNonIdempotent(this.#method) && this.#body?.isKept === true;
  }

  onDialled(connection: UpstreamConnection): void {
    const request = this.#request;
    const { transport, user: reader } = connection;
    const body = this.#body;
    assert(body !== null, "a request is sent once its body is ready");
    this.#dial = null;
    this.#connection = connection;
    this.#phase = "answering";
    this.#isRequestSent = true;
    connection.requests++;
    this.#isBodySent = false;
    this.#isBlocked = false;
    this.#attempt?.onConnected(connection, performance.now());
    request.activity = "sending request to upstream";
    transport.listener = reader;
    reader.begin(this, this.#method, this.#rules.proxy_buffer_size);
    transport.cork();
    transport.writeLatin1(this.#renderHead(body));
    body.send(this);
    if (!transport.uncork()) this.#onBlocked();
    transport.resume();
  }

  onDialFailure(failure: Failure): void {
    this.#dial = null;
    this.#failTry(failure);
  }

  #renderHead(body: OutgoingBody): ByteString {
    const upgrade = sentUpgrade(this.#request, this.#rules, this.#offer);
    return this.#rules.head.render(this.#request, this.#method, this.#target, body.length, upgrade);
  }

  // The request's body, on its way

  writeBody(chunk: Buffer, start: number, end: number): boolean {
    return this.#hasRoomAfter(this.#connection?.transport.write(chunk, start, end));
  }

  writeBodyText(text: ByteString): boolean {
    return this.#hasRoomAfter(this.#connection?.transport.writeLatin1(text));
  }

  #hasRoomAfter(hasRoom: boolean | undefined): boolean {
    if (hasRoom === false) this.#onBlocked();
    return hasRoom !== false;
  }

  /** Once an answer has begun, it is what is waited for, whatever becomes of the rest of the request. */
  #onBlocked(): void {
    if (this.#isBlocked || this.#phase !== "answering") return;
    this.#isBlocked = true;
    const connection = this.#connection;
    if (connection === null) return;
    connection.user.expectNothing();
    this.#sendDeadline ??= new SendDeadline(connection.transport, () => this.onUpstreamTimeout());
    this.#sendDeadline.arm(this.#rules.proxy_send_timeout);
  }

  onUpstreamDrain(): void {
    if (this.#isBlocked) this.#sendDeadline?.disarm();
    if (this.#isBlocked && this.#phase === "answering" && this.#isBodySent) this.#expectAnswer();
    this.#isBlocked = false;
    this.#body?.resume();
  }

  onBodySent(): void {
    this.#isBodySent = true;
    if (this.#phase !== "answering") return;
    this.#request.activity = "reading response header from upstream";
    if (!this.#isBlocked) this.#expectAnswer();
  }

  onBodyFailure(failure: BodyFailure): void {
    this.#finishWith({ kind: "status", status: failure.status });
  }

  #expectAnswer(): void {
    this.#connection?.user.expectWithin(this.#rules.proxy_read_timeout);
  }

  // The answer

  onInterimHead(head: ResponseHead): void {
    if (head.status !== 103 || !this.#rules.passesEarlyHints(this.#request)) return;
    this.#request.downstream.sendInterim(103, interimHeaders(this.#rules, head));
  }

  onAnswerHead(head: ResponseHead): void {
    const request = this.#request;
    const rules = this.#rules;
    this.#attempt?.onHead(head.status, performance.now());
    request.upstreamHeaders = head.headers;
    const failure = statusFailure(head.status);
    if (failure !== null && this.#mayTryAgain(failure.condition, 2)) return this.#failTry(failure);
    if (this.#isWebSocket) tunnelCounts.refuse("upstream", `status-${head.status}`);
    const instead = answerInstead(request, rules, head);
    if (instead !== null) {
      this.#endTry("success", false);
      return this.#finishWith(instead);
    }
    fillResponse(request, rules, head);
    this.#phase = "relaying";
    this.#sendDeadline?.disarm();
    if (!this.#isBodySent || this.#isBlocked) this.#expectAnswer();
    this.#flowLimits = flowLimits(request, rules, head);
    if (this.#flowLimits.bytesPerSecond > 0) this.#flow = this.#startFlow();
    request.activity = "reading upstream";
    request.sendHead();
  }

  onAnswerData(chunk: Buffer, start: number, end: number): void {
    const bytes = end - start;
    if (this.#attempt !== null) this.#attempt.bodyBytes += bytes;
    const hasRoom = this.#request.downstream.write(chunk, start, end);
    if (!hasRoom) this.#flow ??= this.#startFlow();
    this.#flow?.note(bytes, hasRoom);
  }

  #startFlow(): AnswerFlow | null {
    const connection = this.#connection;
    return connection === null ? null : new AnswerFlow(this.#request, connection, this.#flowLimits);
  }

  onAnswerEnd(trailers: HeaderList | null, isReusable: boolean): void {
    const request = this.#request;
    request.upstreamTrailers = trailers;
    this.#endTry("success", isReusable);
    this.#leave();
    request.downstream.end(this.#rules.proxy_pass_trailers ? trailers : null);
  }

  onSwitchingProtocols(head: ResponseHead, rest: Buffer): void {
    const request = this.#request;
    const connection = this.#connection;
    assert(connection !== null && this.#destination !== null, "an answer comes on a connection");
    this.#attempt?.onHead(head.status, performance.now());
    request.upstreamHeaders = head.headers;
    const failure = switchFailure(head, this.#offer, this.#rules);
    if (failure !== null) return this.#failTry(failure);
    fillResponse(request, this.#rules, head);
    request.response.headers.set("Upgrade", head.headers.get("upgrade") ?? this.#offer?.value ?? "");
    this.#leave();
    this.#phase = "tunnel";
    connection.transport.pause();
    const ends = { connection, group: this.#destination.group };
    beginTunnel(request, ends, this.#rules, rest, this.#isWebSocket, () => this.#endTry("success", false));
  }

  onUpstreamTimeout(): void {
    this.onUpstreamFailure(TIMED_OUT);
  }

  onUpstreamFailure(failure: Failure): void {
    if (this.#phase === "answering") return this.#failTry(failure);
    this.#log(failure);
    this.#endTry("success", false);
    this.#finishWith({ kind: "status", status: failure.status });
  }

  // The client

  #clientOnGone(): void {
    if (this.#phase === "done" || this.#phase === "tunnel") return;
    this.#request.log("info", "client prematurely closed connection, so upstream connection is closed too");
    this.#endTry("success", false);
    this.#leave();
  }

  // Ends

  /** Gives up the try in hand and makes another one, or says to the client what has become of its request. */
  #failTry(failure: Failure): void {
    const isStale = this.#isReused && failure.condition === "error" && !this.#hasAnswerBegun();
    this.#log(failure);
    if (this.#attempt !== null) this.#attempt.status = failure.status;
    this.#endTry(isStale ? "stale" : outcomeOf(failure), false);
    if (isStale && this.#isRepeatable()) {
      this.#wantsFresh = true;
      return this.#connect();
    }
    if (failure.retry === "next" && this.#mayTryAgain(failure.condition, 1)) return this.#connect();
    this.#countRefusal(failure);
    const { status, body } = failure;
    this.#finishWith(
      body === null
        ? { kind: "status", status }
        : { kind: "answer", status, body, contentType: "text/plain", headers: [] },
    );
  }

  /** A WebSocket that nobody has answered. */
  #countRefusal({ condition, blame }: Failure): void {
    if ((condition !== "error" && condition !== "timeout") || !this.#isWebSocket) return;
    const rule = condition === "timeout" ? "timeout" : "no-answer";
    tunnelCounts.refuse(blame === "proxy" ? "proxy" : "upstream", rule);
  }

  get #isWebSocket(): boolean {
    return this.#offer !== null && this.#offer.handshake !== null;
  }

  #log(failure: Failure): void {
    if (failure.activity !== null) this.#request.activity = failure.activity;
    if (failure.message !== null) this.#request.log(levelOf(failure), failure.message);
  }

  /** Whether one more try may be made; `triesLeftMin` counts the one in hand until it ends. */
  #mayTryAgain(condition: NextCondition, triesLeftMin: number): boolean {
    return (
      (this.#tries?.left ?? 0) >= triesLeftMin &&
      this.#body?.canBeSent === true &&
      mayRetry(this.#rules, condition, {
        isRepetition: this.#isRequestSent && isNonIdempotent(this.#method),
        elapsedMs: performance.now() - this.#startedAtMs,
      })
    );
  }

  /** Settles the try in hand: its record, its peer's account, its connection. */
  #endTry(outcome: PeerOutcome, isReusable: boolean): void {
    const nowMs = performance.now();
    this.#attempt?.onEnd(nowMs);
    this.#attempt = null;
    this.#dial?.cancel();
    this.#dial = null;
    this.#body?.stop();
    this.#releaseConnection(isReusable, nowMs);
    const peer = this.#peer;
    if (peer === null || this.#tries === null) return;
    this.#peer = null;
    const hasToRest = this.#destination?.group.settle(peer, this.#tries, outcome, nowMs);
    if (hasToRest === true) this.#request.log("warn", "upstream server temporarily disabled");
  }

  #releaseConnection(isReusable: boolean, nowMs: number): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.#connection = null;
    this.#sendDeadline?.disarm();
    this.#sendDeadline = null;
    connection.user.abandon();
    // Of a request that was not sent to its end the rest would be taken for the next one.
    const isClean = isReusable && this.#isBodySent && connection.transport.pendingBytes === 0;
    if (isClean) this.#destination?.group.pool.put(connection, nowMs);
    else connection.transport.destroy();
  }

  #hasAnswerBegun(): boolean {
    return this.#connection?.user.hasBegun === true;
  }

  #finishWith(outcome: Outcome): void {
    if (this.#phase === "done") return;
    this.#endTry("success", false);
    this.#leave();
    this.#request.resume(outcome);
  }

  /** The request is no longer this exchange's. */
  #leave(): void {
    this.#phase = "done";
    this.#request.activity = "sending to client";
    this.#spool?.abandon();
    this.#body?.release();
    this.#flow?.end();
    this.#request.onClientGone = null;
    this.#request.finMeansGone = false;
    this.#request.onWritable = null;
  }
}
