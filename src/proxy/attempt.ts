import type { UpstreamAttempt } from "../compile/request.ts";
import type { UpstreamConnection } from "./dial.ts";

/** Keeps the record of one try at one peer, which the `$upstream_` variables read. */
export class AttemptRecord implements UpstreamAttempt {
  readonly address: string;
  readonly server: string;
  readonly isFirst: boolean;
  readonly startedAtMs: number;
  connectMs = -1;
  headerMs = -1;
  responseMs = -1;
  status = 0;
  bytesReceived = 0;
  bytesSent = 0;
  bodyBytes = 0;
  #connection: UpstreamConnection | null = null;
  #bytesReadBefore = 0;
  #bytesWrittenBefore = 0;

  constructor(address: string, server: string, isFirst: boolean, nowMs: number) {
    this.address = address;
    this.server = server;
    this.isFirst = isFirst;
    this.startedAtMs = nowMs;
  }

  /** There is a connection; what it carries from now on is this try's. */
  onConnected(connection: UpstreamConnection, nowMs: number): void {
    this.#connection = connection;
    this.#bytesReadBefore = connection.transport.bytesRead;
    this.#bytesWrittenBefore = connection.transport.bytesWritten;
    this.connectMs = nowMs - this.startedAtMs;
  }

  onHead(status: number, nowMs: number): void {
    this.status = status;
    this.headerMs = nowMs - this.startedAtMs;
  }

  /** The try is over. */
  onEnd(nowMs: number): void {
    this.responseMs = nowMs - this.startedAtMs;
    if (this.#connection === null) return;
    this.bytesReceived = this.#connection.transport.bytesRead - this.#bytesReadBefore;
    this.bytesSent = this.#connection.transport.bytesWritten - this.#bytesWrittenBefore;
    this.#connection = null;
  }
}
