import { isIP } from "node:net";
import {
  checkServerIdentity,
  type ConnectionOptions,
  type DetailedPeerCertificate,
  type PeerCertificate,
  type SecureContext,
} from "node:tls";
import { describeOpensslError } from "../base/openssl-error.ts";
import type { DialOptions } from "../base/transport.ts";
import type { ConnectionProfile } from "../upstream/connection-pool.ts";
import type { Peer } from "../upstream/peer.ts";
import { type Failure, upstreamFailure } from "./failure.ts";

/** Sessions kept for one peer: one for each name it is dialled under, of which variables can make any number. */
const SESSIONS_PER_PEER_MAX = 64;

/**
 * OpenSSL's numbers and words for what can be wrong with a certificate, as nginx prints them. Node has a message of its
 * own, which from version 24 on goes on with advice for who runs Node.
 */
const VERIFY_ERRORS: ReadonlyMap<string, string> = new Map([
  ["UNABLE_TO_GET_ISSUER_CERT", "2:unable to get issuer certificate"],
  ["CERT_SIGNATURE_FAILURE", "7:certificate signature failure"],
  ["CERT_NOT_YET_VALID", "9:certificate is not yet valid"],
  ["CERT_HAS_EXPIRED", "10:certificate has expired"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "18:self-signed certificate"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "19:self-signed certificate in certificate chain"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "20:unable to get local issuer certificate"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "21:unable to verify the first certificate"],
  ["CERT_CHAIN_TOO_LONG", "22:certificate chain too long"],
  ["CERT_REVOKED", "23:certificate revoked"],
  ["INVALID_CA", "79:invalid CA certificate"],
  ["CERT_UNTRUSTED", "27:certificate not trusted"],
]);

/** `proxy_ssl_*`, compiled. */
export interface UpstreamTlsSettings {
  readonly secureContext: SecureContext;
  /** Differs wherever the settings differ: connections are shared only between equal ones. */
  readonly fingerprint: string;
  readonly proxy_ssl_server_name: boolean;
  readonly proxy_ssl_verify: boolean;
  readonly proxy_ssl_verify_depth: number;
  readonly proxy_ssl_session_reuse: boolean;
}

/** How TLS connections to an upstream are made. */
export class UpstreamTls {
  readonly settings: UpstreamTlsSettings;

  constructor(settings: UpstreamTlsSettings) {
    this.settings = settings;
  }

  /** `name` is proxy_ssl_name: for SNI, and to compare the certificate with. */
  dialOptions(peer: Peer, profile: ConnectionProfile, name: string): Pick<DialOptions, "tls" | "onSession"> {
    const { secureContext, proxy_ssl_server_name, proxy_ssl_verify, proxy_ssl_session_reuse } = this.settings;
    const depthMax = this.settings.proxy_ssl_verify_depth;
    const session = peer.tlsSessions.get(profile);
    const tls: ConnectionOptions = {
      secureContext,
      rejectUnauthorized: proxy_ssl_verify,
      checkServerIdentity: (_host, certificate) =>
        isChainTooLong(certificate, depthMax) ? chainTooLong() : checkServerIdentity(name, certificate),
      // An address is no name for SNI (RFC 6066 section 3).
      ...(proxy_ssl_server_name && name !== "" && isIP(name) === 0 ? { servername: name } : {}),
      ...(session === undefined ? {} : { session }),
    };
    if (!proxy_ssl_session_reuse) return { tls };
    return {
      tls,
      onSession(session) {
        if (peer.tlsSessions.size >= SESSIONS_PER_PEER_MAX) peer.tlsSessions.clear();
        peer.tlsSessions.set(profile, session);
      },
    };
  }
}

/** Whether more intermediate certificates than allowed stand between the upstream's and a trusted one. */
function isChainTooLong(certificate: PeerCertificate | DetailedPeerCertificate, depthMax: number): boolean {
  let intermediates = -1;
  let current = certificate;
  // The last one, a root, is its own issuer.
  while ("issuerCertificate" in current && current.issuerCertificate !== current) {
    current = current.issuerCertificate;
    if (++intermediates > depthMax) return true;
  }
  return false;
}

function chainTooLong(): Error {
  return Object.assign(new Error("certificate chain too long"), { code: "CERT_CHAIN_TOO_LONG" });
}

/** `$proxy_host`, or what proxy_ssl_name gives, without a port and without brackets. */
export function nameWithoutPort(name: string): string {
  const literal = /^\[([^\]]*)\]/.exec(name)?.[1];
  return literal ?? name.replace(/:\d*$/, "");
}

/** A failure of a TLS handshake, in nginx's words. */
export function tlsFailure(error: Error, name: string): Failure {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return {
    ...upstreamFailure("error", describe(error, code, name)),
    activity: "SSL handshaking to upstream",
    cause: error,
  };
}

function describe(error: Error, code: string, name: string): string {
  const verifyError = VERIFY_ERRORS.get(code);
  if (verifyError !== undefined) {
    return `upstream SSL certificate verify error: (${verifyError})`;
  }
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `upstream SSL certificate does not match "${name}"`;
    case "ECONNRESET":
      return "peer closed connection in SSL handshake";
    default:
      return `SSL_do_handshake() failed (${describeOpensslError(error)})`;
  }
}
