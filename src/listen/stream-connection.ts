import type { TlsInfo } from "../base/transport.ts";
import type { ListenerPlan } from "../compile/plan.ts";
import type { Connection, ProxyProtocolInfo } from "../compile/request.ts";
import type { ClientConnection } from "./client-connection.ts";

/**
 * A connection as one of the requests sees it that it carries at the same time: which number that one has, what plan was in
 * force when it began, and whose it is, which may be another client's for each (realip).
 */
export class StreamConnection implements Connection {
  readonly serial: number;
  readonly openedAtMs: number;
  remoteAddress: string;
  remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly listener: ListenerPlan;
  readonly scheme: "http" | "https";
  readonly tlsInfo: TlsInfo | null;
  readonly proxyProtocol: ProxyProtocolInfo | null;
  requests: number;

  constructor(client: ClientConnection) {
    this.serial = client.serial;
    this.openedAtMs = client.openedAtMs;
    this.remoteAddress = client.remoteAddress;
    this.remotePort = client.remotePort;
    this.localAddress = client.localAddress;
    this.localPort = client.localPort;
    this.listener = client.listener;
    this.scheme = client.scheme;
    this.tlsInfo = client.tlsInfo;
    this.proxyProtocol = client.proxyProtocol;
    this.requests = client.requests;
  }
}
