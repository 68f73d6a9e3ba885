import { assert } from "../base/assert.ts";
import type { Transport } from "../base/transport.ts";
import type { BodySink, Downstream, Request } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";

/**
 * The way of one request to its client. The connection behind it carries many requests, one after the other: once one is
 * over, nothing that those who answered it still do can reach the next.
 */
export class RequestDownstream implements Downstream {
  #connection: Downstream | null;

  constructor(connection: Downstream) {
    this.#connection = connection;
  }

  /** The request is over. */
  close(): void {
    this.#connection = null;
  }

  get requestBodyLength(): number | null {
    return this.#connection === null ? 0 : this.#connection.requestBodyLength;
  }

  readBody(sink: BodySink): void {
    this.#connection?.readBody(sink);
  }

  pauseBody(): void {
    this.#connection?.pauseBody();
  }

  resumeBody(): void {
    this.#connection?.resumeBody();
  }

  sendInterim(status: number, headers: HeaderList): void {
    this.#connection?.sendInterim(status, headers);
  }

  sendHead(request: Request): void {
    this.#connection?.sendHead(request);
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    return this.#connection?.write(chunk, start, end) ?? false;
  }

  end(trailers: HeaderList | null): void {
    this.#connection?.end(trailers);
  }

  abort(): void {
    this.#connection?.abort();
  }

  upgrade(request: Request): { readonly transport: Transport; readonly early: Buffer } {
    assert(this.#connection !== null, "an upgrade is the answer to a request that is not over");
    return this.#connection.upgrade(request);
  }
}
