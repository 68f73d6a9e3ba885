import { createHash } from "node:crypto";
import type { X509Certificate } from "node:crypto";
import type { TlsInfo } from "../base/transport.ts";
import type { ServerPlan, TlsSettings } from "../compile/plan.ts";
import type { Request } from "../compile/request.ts";
import type { ClientConnection } from "./client-connection.ts";

/** nginx's inner statuses, all shown as 400. */
const CERTIFICATE_ERROR = 495;
const NO_CERTIFICATE = 496;
const PLAIN_HTTP_ON_TLS_PORT = 497;
const MISDIRECTED_REQUEST = 421;

/** What `optional_no_ca` forgives: ngx_ssl_verify_error_optional. */
const FORGIVABLE: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
]);

/**
 * The status with which a request must be refused for what TLS did or did not show, and 0 where nothing is wrong; as
 * ngx_http_process_request. Writes the line that says why.
 */
export function tlsRefusal(request: Request, client: ClientConnection): number {
  if (client.tls === null && !client.listener.ssl) return 0;
  request.activity = "reading client request headers";
  const refusal = findRefusal(request, client);
  request.activity = null;
  return refusal;
}

function findRefusal(request: Request, client: ClientConnection): number {
  const { tls } = client;
  if (tls === null) {
    request.log("info", "client sent plain HTTP request to HTTPS port");
    return PLAIN_HTTP_ON_TLS_PORT;
  }
  const settings = settingsOf(request.server, client);
  if (settings === null || settings.ssl_verify_client === "off") return 0;
  // The handshake verified the client for another server, or not at all: what it showed proves nothing here. Stricter
  // than nginx, which lets a client without SNI pass.
  if (verificationOf(settings) !== verificationOf(tls.settings)) {
    request.server = client.initialServer;
    request.location = request.server.root;
    request.log(
      "info",
      "client attempted to request the server name different from the one that was negotiated",
    );
    return MISDIRECTED_REQUEST;
  }
  return clientRefusal(request, settings, client.tlsInfo);
}

function clientRefusal(request: Request, settings: TlsSettings, info: TlsInfo | null): number {
  const certificate = info?.peerCertificate() ?? null;
  if (certificate === null) {
    if (settings.ssl_verify_client !== "on") return 0;
    request.log("info", "client sent no required SSL certificate");
    return NO_CERTIFICATE;
  }
  const error = info?.verifyError ?? (isTooDeep(certificate, settings) ? "CERT_CHAIN_TOO_LONG" : null);
  const isForgiven =
    settings.ssl_verify_client === "optional_no_ca" && error !== null && FORGIVABLE.has(error);
  if (error === null || isForgiven) return 0;
  request.log("info", `client SSL certificate verify error: (${error})`);
  return CERTIFICATE_ERROR;
}

/** ssl_verify_depth counts the certificates between the client's own and the one that is trusted, as OpenSSL does. */
function isTooDeep(certificate: X509Certificate, { ssl_verify_depth }: TlsSettings): boolean {
  let depth = -1;
  for (let issuer = certificate.issuerCertificate; issuer !== undefined; issuer = issuer.issuerCertificate)
    depth++;
  return depth > ssl_verify_depth;
}

/** A server without settings of its own uses those of the listener's default server. */
function settingsOf(server: ServerPlan, client: ClientConnection): TlsSettings | null {
  return server.tls ?? client.listener.defaultServer.tls;
}

const verifications = new WeakMap<TlsSettings, string>();

/** The same for settings that ask of clients the same. */
export function verificationOf(settings: TlsSettings): string {
  let verification = verifications.get(settings);
  if (verification === undefined) verifications.set(settings, (verification = hashVerification(settings)));
  return verification;
}

function hashVerification({ ssl_verify_client, ssl_verify_depth, contextOptions }: TlsSettings): string {
  if (ssl_verify_client === "off") return "off";
  const hash = createHash("sha256");
  for (const part of [ssl_verify_client, ssl_verify_depth, contextOptions.ca, contextOptions.crl].flat()) {
    hash.update(`${typeof part} ${String(part).length} `).update(String(part));
  }
  return hash.digest("hex");
}
