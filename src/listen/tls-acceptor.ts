import { constants, createHash, hkdfSync, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { assert } from "../base/assert.ts";
import type { TlsSettings } from "../compile/plan.ts";
import { verificationOf } from "./client-verification.ts";

/** In order of preference. */
const ALPN_HTTP1: string[] = ["http/1.1", "http/1.0"];
const ALPN_HTTP2: string[] = ["h2", ...ALPN_HTTP1];

const TICKET_KEY_BYTES = 48;
/** OpenSSL's SSL_MAX_SID_CTX_LENGTH. */
const SESSION_ID_CONTEXT_LENGTH = 32;
/** Node's own limit is put out of the way: the time from accept to a request's head is limited by whoever accepts. */
const HANDSHAKE_TIMEOUT_MS = 0x7fff_ffff;

/** How a handshake ended; exactly one of the two is called. */
export interface TlsHandshake {
  onSecure(socket: TLSSocket): void;
  /** OpenSSL's error, or ECONNRESET for a client that went away. The socket is closed. */
  onFailure(error: Error): void;
}

/** A TLS server as one handshake sees it: see {@link TlsAcceptor.start}. */
interface HandshakeView extends Server {
  handshake?: TlsHandshake;
}

/**
 * Does the TLS handshakes of accepted sockets. Which server's settings apply has been decided before; each has a context of
 * its own, so that certificates, client verification and sessions of two servers cannot be mixed up (CVE-2025-23419).
 */
export class TlsAcceptor {
  readonly #servers = new WeakMap<TlsSettings, Server>();
  /** Those that offer HTTP/2 besides. */
  readonly #http2Servers = new WeakMap<TlsSettings, Server>();
  readonly #ticketSecret: Buffer;

  /** `ticketSecret`: what session tickets are sealed with where no key is configured; the same in all workers. */
  constructor(ticketSecret: Buffer = randomBytes(TICKET_KEY_BYTES)) {
    this.#ticketSecret = ticketSecret;
  }

  /** Begins the handshake on a socket whose first bytes have been put back. */
  start(settings: TlsSettings, offersHttp2: boolean, socket: Socket, handshake: TlsHandshake): void {
    const servers = offersHttp2 ? this.#http2Servers : this.#servers;
    let server = servers.get(settings);
    if (server === undefined) {
      server = this.#makeServer(settings, offersHttp2 ? ALPN_HTTP2 : ALPN_HTTP1);
      servers.set(settings, server);
    }
    // Node's public way to give a socket to a TLS server is its "connection" event, and its answers are events, too,
    // which do not say what socket they are about. A view of the server that inherits everything does.
    const view: HandshakeView = Object.create(server);
    view.handshake = handshake;
    view.emit("connection", socket);
  }

  #makeServer(settings: TlsSettings, alpnProtocols: string[]): Server {
    const verifiesClient = settings.ssl_verify_client !== "off";
    const identity = sessionIdentity(settings);
    // A resumed session brings back the verdict on the client's certificate but not the chain that it was about; where
    // clients are verified each connection shows its certificate anew.
    const withoutTickets = verifiesClient || !settings.ssl_session_tickets;
    const { contextOptions } = settings;
    const server = createServer({
      ...contextOptions,
      secureOptions: (contextOptions.secureOptions ?? 0) | (withoutTickets ? constants.SSL_OP_NO_TICKET : 0),
      sessionIdContext: identity.slice(0, SESSION_ID_CONTEXT_LENGTH),
      sessionTimeout: Math.max(1, settings.ssl_session_timeout),
      ticketKeys: settings.ticketKeys ?? this.#ticketKeys(identity),
      requestCert: verifiesClient,
      // Refused by an answer that says so (495, 496), as nginx does, not by an alert.
      rejectUnauthorized: false,
      ALPNProtocols: alpnProtocols,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    });
    server.on("secureConnection", function (this: HandshakeView, socket) {
      handshakeOf(this).onSecure(socket);
    });
    server.on("tlsClientError", function (this: HandshakeView, error) {
      handshakeOf(this).onFailure(error);
    });
    return server;
  }

  #ticketKeys(identity: string): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#ticketSecret, "", identity, TICKET_KEY_BYTES));
  }
}

function handshakeOf(view: HandshakeView): TlsHandshake {
  assert(view.handshake !== undefined, "events of a TLS server are events of one of its views");
  return view.handshake;
}

/** The same for settings that may resume each other's sessions: those of one server before and after a reload. */
function sessionIdentity(settings: TlsSettings): string {
  const hash = createHash("sha256").update(verificationOf(settings));
  for (const certificate of [settings.contextOptions.cert].flat())
    hash.update("\0").update(String(certificate));
  return hash.digest("hex");
}
