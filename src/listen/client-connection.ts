import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { assert } from "../base/assert.ts";
import type { SocketTransport, TlsInfo } from "../base/transport.ts";
import { tlsInfoOf } from "../base/transport-tls.ts";
import type { ListenerPlan, ServerPlan, TlsSettings } from "../compile/plan.ts";
import type { Connection, ProxyProtocolInfo } from "../compile/request.ts";
import type { LogLevel } from "../observe/error-log.ts";
import { selectServer } from "../route/servers.ts";

let serialCounter = 0;

/** Where a connection finds the plan in force, which a reload may replace between two requests. */
export interface PlanSource {
  readonly plan: ListenerPlan;
}

/** What the TLS handshake of a connection went by. */
export interface NegotiatedTls {
  readonly settings: TlsSettings;
  /** By SNI, in lower case and without trailing dot; null where the client named none. */
  readonly serverName: string | null;
}

/** One client's connection as requests know it, whatever HTTP version it speaks. Made when it is accepted. */
export class ClientConnection implements Connection {
  readonly serial: number = ++serialCounter;
  readonly openedAtMs: number = performance.now();
  remoteAddress: string;
  remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  proxyProtocol: ProxyProtocolInfo | null = null;
  /** Null on a plain connection, and until the handshake is done. */
  tls: NegotiatedTls | null = null;
  requests = 0;
  readonly #source: PlanSource;
  /** Set once TLS, where it is spoken, has been agreed on. */
  tlsInfo: TlsInfo | null = null;
  #transport: SocketTransport | null = null;

  constructor(source: PlanSource, socket: Socket) {
    this.#source = source;
    this.remoteAddress = (socket.remoteAddress ?? "unix:").replace(/^::ffff:(?=\d+\.)/, "");
    this.remotePort = socket.remotePort ?? 0;
    // An IPv6 socket that takes IPv4 as well writes those addresses in a form of its own.
    this.localAddress = (socket.localAddress ?? "unix:").replace(/^::ffff:(?=\d+\.)/, "");
    this.localPort = socket.localPort ?? 0;
  }

  /** Once whatever comes before HTTP/1.1 has been read. */
  open(transport: SocketTransport): void {
    this.#transport = transport;
    this.tlsInfo = transport.tls;
  }

  /** The same for HTTP/2, which has no transport of its own. */
  openTls(socket: Socket | TLSSocket): void {
    this.tlsInfo = socket instanceof TLSSocket ? tlsInfoOf(socket) : null;
  }

  get transport(): SocketTransport {
    assert(this.#transport !== null, "only an open HTTP/1.1 connection has a transport");
    return this.#transport;
  }

  get scheme(): "http" | "https" {
    return this.tls === null ? "http" : "https";
  }

  /** The plan that a request beginning now goes by. */
  get listener(): ListenerPlan {
    const { plan } = this.#source;
    return plan.specific.size === 0 ? plan : (plan.specific.get(this.localAddress) ?? plan);
  }

  /** The server in force before a request has named one: the default, or the one that SNI asks for. */
  get initialServer(): ServerPlan {
    const { listener } = this;
    const serverName = this.tls?.serverName ?? null;
    return serverName === null ? listener.defaultServer : selectServer(listener, serverName);
  }

  /** Whether the client may speak HTTP/2, as the server says that it has asked for by SNI, or the default one. */
  get offersHttp2(): boolean {
    return this.listener.http2 || this.initialServer.http2.http2;
  }

  /** Writes an error log line that belongs to no request. `doing` completes "while …". */
  log(level: LogLevel, message: string, doing: string): void {
    this.logBare(
      level,
      `${message} while ${doing}, client: ${this.remoteAddress}, server: ${this.listener.key}`,
    );
  }

  /** The same without telling what was being done, and for whom. */
  logBare(level: LogLevel, message: string): void {
    this.initialServer.root.errorLog.write(level, `*${this.serial} ${message}`);
  }
}
