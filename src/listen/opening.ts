import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { Deadline } from "../base/timers.ts";
import { describeOpensslError } from "../base/openssl-error.ts";
import { asciiLowerCase } from "../base/bytes.ts";
import type { TlsSettings } from "../compile/plan.ts";
import { selectServer } from "../route/servers.ts";
import type { ClientConnection } from "./client-connection.ts";
import { looksLikeTls, readServerName } from "./client-hello.ts";
import { NO_BYTES } from "./input-pump.ts";
import { readProxyHeader } from "./proxy-protocol.ts";
import type { TlsAcceptor, TlsHandshake } from "./tls-acceptor.ts";

/**
 * What a connection says before it speaks HTTP, on listeners with proxy_protocol, ssl or http2:
 *
 *   proxy-header   the PROXY protocol's header         whole → client-hello (ssl), preface (http2) or open
 *   client-hello   the first message of TLS            whole → handshake; something else → open, as plain HTTP
 *   handshake      Node's to do                        done → open, as what ALPN has chosen
 *   preface        what HTTP/2 begins with, or not     whole → open, as HTTP/2; something else → open, as HTTP/1.1
 *   over           open, or closed
 *
 * All of it together has to be done within client_header_timeout. Until a ClientHello is there, nothing of TLS is set up.
 */
type OpeningPhase = "proxy-header" | "client-hello" | "handshake" | "preface" | "over";

/** Error log's words for each phase. */
const DOING: Readonly<Record<OpeningPhase, string>> = {
  "proxy-header": "reading PROXY protocol",
  "client-hello": "SSL handshaking",
  handshake: "SSL handshaking",
  preface: "waiting for request",
  over: "waiting for request",
};

/** A fatal alert "unrecognized_name" in a TLS record (RFC 8446 section 6). */
const ALERT_UNRECOGNIZED_NAME: Buffer = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

/** RFC 9113 section 3.4: what a client with prior knowledge begins with. Nobody's request in HTTP/1.1 does. */
const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export type Protocol = "http/1.1" | "h2";

/** The connection is ready for HTTP. `early` are bytes that have been read already. */
export type OnOpen = (socket: Socket | TLSSocket, protocol: Protocol, early: Buffer) => void;

export class Opening implements TlsHandshake {
  readonly #client: ClientConnection;
  readonly #socket: Socket;
  readonly #acceptor: TlsAcceptor;
  readonly #onOpen: OnOpen;
  readonly #deadline = new Deadline();
  readonly #onData = (chunk: Buffer): void => this.#socketOnData(chunk);
  readonly #onEnd = (): void => this.#fail("client closed connection");
  #phase: OpeningPhase;
  #bytes: Buffer = NO_BYTES;

  constructor(client: ClientConnection, socket: Socket, acceptor: TlsAcceptor, onOpen: OnOpen) {
    this.#client = client;
    this.#socket = socket;
    this.#acceptor = acceptor;
    this.#onOpen = onOpen;
    this.#phase = client.listener.proxy_protocol ? "proxy-header" : this.#phaseAfterProxyHeader;
  }

  start(): void {
    const { client_header_timeout } = this.#client.initialServer.core;
    this.#deadline.arm(Math.max(1, client_header_timeout), () =>
      this.#fail("client timed out (110: Connection timed out)"),
    );
    const socket = this.#socket;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", () => this.#finish());
    socket.resume();
  }

  /** Before HTTP/1.1 a client may well have nothing to say for now; nothing else is under way that could be waited for. */
  get isIdle(): boolean {
    return this.#phase === "preface" && this.#bytes.length === 0;
  }

  retire(): void {
    this.#close();
  }

  closeNow(): void {
    this.#close();
  }

  onSecure(socket: TLSSocket): void {
    if (this.#phase !== "handshake") return;
    this.#open(socket, socket.alpnProtocol === "h2" ? "h2" : "http/1.1");
  }

  onFailure(error: Error): void {
    const isGone = "code" in error && error.code === "ECONNRESET";
    this.#fail(
      isGone
        ? "peer closed connection in SSL handshake"
        : `SSL_do_handshake() failed (${describeOpensslError(error)})`,
    );
  }

  #socketOnData(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    if (this.#phase === "proxy-header") this.#readProxyHeader();
    if (this.#bytes.length === 0) return;
    if (this.#phase === "client-hello") this.#readClientHello();
    else if (this.#phase === "preface") this.#readPreface();
  }

  get #phaseAfterProxyHeader(): OpeningPhase {
    return this.#client.listener.ssl ? "client-hello" : "preface";
  }

  #readProxyHeader(): void {
    const result = readProxyHeader(this.#bytes);
    if (result.kind === "more") return;
    if (result.kind === "error") {
      this.#client.log("error", `broken header: ${result.message}`, DOING["proxy-header"]);
      this.#close();
      return;
    }
    this.#client.proxyProtocol = result.info;
    this.#bytes = this.#bytes.subarray(result.bytes);
    this.#phase = this.#phaseAfterProxyHeader;
    if (this.#phase === "preface" && !this.#client.offersHttp2) this.#openPlain("http/1.1");
  }

  #readPreface(): void {
    const length = Math.min(this.#bytes.length, PREFACE.length);
    if (this.#bytes.compare(PREFACE, 0, length, 0, length) !== 0) this.#openPlain("http/1.1");
    else if (length === PREFACE.length) this.#openPlain("h2");
  }

  #readClientHello(): void {
    if (!looksLikeTls(this.#bytes[0] ?? 0)) {
      this.#openPlain("http/1.1");
      return;
    }
    const result = readServerName(this.#bytes);
    if (result.kind === "more") return;
    const serverName = result.name === null ? null : asciiLowerCase(result.name).replace(/\.$/, "");
    const settings = this.#settingsFor(serverName);
    if (settings === null || settings.ssl_reject_handshake) this.#reject();
    else this.#startHandshake(settings, serverName);
  }

  /** A server without certificates of its own shares those of the default server. */
  #settingsFor(serverName: string | null): TlsSettings | null {
    const plan = this.#client.listener;
    const server = serverName === null ? plan.defaultServer : selectServer(plan, serverName);
    return server.tls ?? plan.defaultServer.tls;
  }

  #startHandshake(settings: TlsSettings, serverName: string | null): void {
    this.#client.tls = { settings, serverName };
    this.#phase = "handshake";
    this.#letGo();
    this.#socket.unshift(this.#bytes);
    this.#bytes = NO_BYTES;
    this.#acceptor.start(settings, this.#client.offersHttp2, this.#socket, this);
  }

  #reject(): void {
    this.#client.log("info", "handshake rejected", DOING.handshake);
    this.#socket.end(ALERT_UNRECOGNIZED_NAME);
    this.#finish();
    this.#socket.destroySoon();
  }

  #openPlain(protocol: Protocol): void {
    this.#letGo();
    this.#open(this.#socket, protocol);
  }

  #open(socket: Socket, protocol: Protocol): void {
    this.#finish();
    this.#onOpen(socket, protocol, this.#bytes);
  }

  #fail(message: string): void {
    if (this.#phase === "over") return;
    this.#client.log("info", message, DOING[this.#phase]);
    this.#close();
  }

  #close(): void {
    this.#finish();
    this.#socket.destroy();
  }

  #finish(): void {
    this.#phase = "over";
    this.#deadline.disarm();
  }

  /** Stops reading, so that somebody else can. */
  #letGo(): void {
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
  }
}
