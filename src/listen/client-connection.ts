import type { Connection, ProxyProtocolInfo } from "../compile/request.ts";
import type { ListenerPlan, ServerPlan } from "../compile/plan.ts";
import type { Transport } from "../base/transport.ts";
import type { LogLevel } from "../observe/error-log.ts";

let serialCounter = 0;

/** Gives out `$connection` numbers. */
export function nextConnectionSerial(): number {
  return ++serialCounter;
}

/** Where a connection finds the plan in force, which a reload may replace between two requests. */
export interface PlanSource {
  readonly plan: ListenerPlan;
}

/** One client's connection as requests know it, whatever HTTP version it speaks. */
export class ClientConnection implements Connection {
  readonly serial: number;
  remoteAddress: string;
  remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly scheme: "http" | "https";
  readonly transport: Transport;
  readonly proxyProtocol: ProxyProtocolInfo | null;
  /** The server that the TLS handshake was done for; null for a plain connection. */
  readonly tlsServer: ServerPlan | null;
  requests = 0;
  readonly openedAtMs: number;
  readonly #source: PlanSource;

  constructor(
    source: PlanSource,
    transport: Transport,
    start: {
      readonly serial: number;
      readonly openedAtMs: number;
      readonly proxyProtocol: ProxyProtocolInfo | null;
      readonly tlsServer: ServerPlan | null;
    },
  ) {
    this.#source = source;
    this.transport = transport;
    this.serial = start.serial;
    this.openedAtMs = start.openedAtMs;
    this.proxyProtocol = start.proxyProtocol;
    this.tlsServer = start.tlsServer;
    this.scheme = start.tlsServer === null ? "http" : "https";
    this.remoteAddress = transport.remoteAddress;
    this.remotePort = transport.remotePort;
    this.localAddress = transport.localAddress;
    this.localPort = transport.localPort;
  }

  /** The plan that a request beginning now goes by. */
  get listener(): ListenerPlan {
    return this.#source.plan;
  }

  /** The server in force before a request has named one: the default, or the one that SNI asked for. */
  get initialServer(): ServerPlan {
    return this.tlsServer ?? this.#source.plan.defaultServer;
  }

  /** Writes an error log line that belongs to no request. `doing` completes "while …". */
  log(level: LogLevel, message: string, doing: string): void {
    const { errorLog } = this.initialServer.root;
    if (!errorLog.logs(level)) return;
    const context = `client: ${this.remoteAddress}, server: ${this.#source.plan.key}`;
    errorLog.write(level, `*${this.serial} ${message} while ${doing}, ${context}`);
  }
}
