import { assert } from "../base/assert.ts";
import type { ServerPlan } from "../compile/plan.ts";
import { type Downstream, Request } from "../compile/request.ts";
import type { HeadError } from "../http/head-error.ts";
import type { RequestHead, RequestHeadParser } from "../http/head-parser.ts";
import { captureServerName, selectServer } from "../route/servers.ts";
import type { ClientConnection } from "./client-connection.ts";
import { tlsRefusal } from "./client-verification.ts";
import { borrowHeadParser, returnHeadParser } from "./head-parsers.ts";
import type { RequestHandler } from "./request-handler.ts";
import { headActivity, unreadableHead } from "./unreadable-head.ts";

/** nginx's inner status, shown as 400, for what RFC 6585 calls 431. */
const HEADER_TOO_LARGE = 494;

/** Reads the heads of one connection's requests, one after the other, and makes requests of them. */
export class RequestReader {
  readonly #client: ClientConnection;
  readonly #routeState: RequestHandler["routeState"];
  #downstream: Downstream | null = null;
  #parser: RequestHeadParser | null = null;
  /** The server in force until the head has named one: its limits hold for the head. */
  #server: ServerPlan | null = null;
  #startedAtMs = 0;
  #headBytes = 0;
  /** The status to answer the request with that {@link take} has returned; 0 where nothing is wrong with it. */
  refusal = 0;

  constructor(client: ClientConnection, { routeState }: RequestHandler) {
    this.#client = client;
    this.#routeState = routeState;
  }

  /** Makes ready for the first bytes of a head. Returns client_header_timeout, in milliseconds. */
  begin(downstream: Downstream): number {
    this.#downstream = downstream;
    const server = this.#client.initialServer;
    this.#server = server;
    this.#parser = borrowHeadParser(server.core);
    this.#startedAtMs = performance.now();
    this.#headBytes = 0;
    this.refusal = 0;
    return server.core.client_header_timeout;
  }

  /** Reads up to the end of the head, and returns how many bytes belong to it. {@link take} says what came of it. */
  read(chunk: Buffer, start: number, end: number): number {
    assert(this.#parser !== null, "a head has been begun");
    const used = this.#parser.execute(chunk, start, end);
    this.#headBytes += used;
    return used;
  }

  /** The request, once its head is over; null before. */
  take(): Request | null {
    const parser = this.#parser;
    assert(parser !== null, "a head has been begun");
    const { head, error } = parser;
    if (parser.state === "more") return null;
    if (error !== null) return this.#refuse(error);
    assert(head !== null, "a head that is over has been read or refused");
    this.drop();
    const host = head.host ?? "";
    const request = this.#make(head, selectServer(this.#client.listener, host));
    captureServerName(request, host);
    this.#refuseWith(request, tlsRefusal(request, this.#client));
    return request;
  }

  /** Ends a head that will not come whole, for the reason that `message` tells the error log: a request for the logs alone. */
  giveUp(message: string): Request {
    const parser = this.#parser;
    assert(parser !== null, "a head has been begun");
    const received = parser.received();
    const activity = headActivity(received, parser.error);
    this.drop();
    const request = this.#make(unreadableHead(received, this.#headBytes), this.#client.initialServer);
    request.activity = activity;
    request.log("info", message);
    request.activity = null;
    return request;
  }

  /** Gives the parser back, so that an idle connection holds none. */
  drop(): void {
    if (this.#parser !== null && this.#server !== null) returnHeadParser(this.#server.core, this.#parser);
    this.#parser = null;
    this.#server = null;
  }

  #refuse({ status, message }: HeadError): Request {
    const request = this.giveUp(`client sent ${message}`);
    this.#refuseWith(request, status === 431 ? HEADER_TOO_LARGE : status);
    return request;
  }

  /** As in nginx, a request that is refused before it is handled ends its connection. */
  #refuseWith(request: Request, status: number): void {
    this.refusal = status;
    if (status !== 0) request.response.closeAfter = true;
  }

  #make(head: RequestHead, server: ServerPlan): Request {
    const downstream = this.#downstream;
    assert(downstream !== null, "a head has been begun");
    return new Request(this.#routeState, this.#client, downstream, head, server, this.#startedAtMs);
  }
}
