import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** What a TLS handshake agreed on. The values stay known after the connection is closed. */
export interface TlsInfo {
  /** `TLSv1.3`, `TLSv1.2`, … */
  readonly protocol: string;
  /** OpenSSL's name of the cipher suite, as nginx's `$ssl_cipher` has it. */
  readonly cipher: string;
  /** The name asked for by SNI; null without one. */
  readonly serverName: string | null;
  /** The protocol chosen by ALPN; null without one. */
  readonly alpnProtocol: string | null;
  readonly isSessionReused: boolean;
  /** Why the peer's certificate was not accepted; null where it was, or where none was asked for. */
  readonly verifyError: string | null;
  /** The peer's certificate with its chain; null where it sent none, or when first asked after the close. */
  peerCertificate(): X509Certificate | null;
}

/** Reads the outcome of a finished handshake. */
export function tlsInfoOf(socket: TLSSocket): TlsInfo {
  let certificate: X509Certificate | null = null;
  // Node types authorizationError as Error and assigns a string (the error's code).
  const verifyError: unknown = socket.authorizationError;
  return {
    protocol: socket.getProtocol() ?? "",
    cipher: socket.getCipher().name,
    serverName: servernameOf(socket),
    alpnProtocol: typeof socket.alpnProtocol === "string" ? socket.alpnProtocol : null,
    isSessionReused: socket.isSessionReused(),
    verifyError: typeof verifyError === "string" ? verifyError : null,
    peerCertificate() {
      certificate ??= socket.getPeerX509Certificate() ?? null;
      return certificate;
    },
  };
}

/** Node leaves `servername` out of its types; it is false where a client sent no name. */
function servernameOf(socket: TLSSocket): string | null {
  const name: unknown = "servername" in socket ? socket.servername : null;
  return typeof name === "string" ? name : null;
}
