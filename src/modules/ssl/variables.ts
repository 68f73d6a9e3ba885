import type { X509Certificate } from "node:crypto";
import type { TlsInfo } from "../../base/transport.ts";
import type { VariableRow } from "../../compile/module.ts";
import type { Request } from "../../compile/request.ts";
import { escapeUri } from "../../http/uri.ts";

/** A variable that has a value on TLS connections only. */
function tlsVariable(
  name: string,
  doc: string,
  get: (tls: TlsInfo, request: Request) => string | undefined,
): VariableRow {
  return {
    name,
    doc,
    from: "connection",
    family: false,
    changeable: false,
    nginx: true,
    get: () => (request) => {
      const { tlsInfo } = request.connection;
      return tlsInfo === null ? undefined : get(tlsInfo, request);
    },
  };
}

/** A variable about the client's certificate: empty where it showed none. */
function certificateVariable(
  name: string,
  doc: string,
  get: (certificate: X509Certificate) => string,
): VariableRow {
  return tlsVariable(name, doc, (tls) => {
    const certificate = tls.peerCertificate();
    return certificate === null ? undefined : get(certificate);
  });
}

export const sslVariables: readonly VariableRow[] = [
  tlsVariable("ssl_protocol", "The version of TLS.", (tls) => tls.protocol),
  tlsVariable("ssl_cipher", "The cipher suite.", (tls) => tls.cipher),
  tlsVariable(
    "ssl_server_name",
    "The name that the client asked for by SNI.",
    (tls) => tls.serverName ?? undefined,
  ),
  tlsVariable("ssl_alpn_protocol", "The protocol chosen by ALPN.", (tls) => tls.alpnProtocol ?? undefined),
  tlsVariable("ssl_session_reused", "`r` for a resumed session, else `.`.", (tls) =>
    tls.isSessionReused ? "r" : ".",
  ),
  tlsVariable("ssl_client_verify", "`SUCCESS`, `FAILED:reason`, or `NONE` without a certificate.", (tls) => {
    if (tls.peerCertificate() === null) return "NONE";
    return tls.verifyError === null ? "SUCCESS" : `FAILED:${tls.verifyError}`;
  }),
  certificateVariable("ssl_client_s_dn", "Whom the client's certificate names (RFC 2253).", (certificate) =>
    distinguishedName(certificate.subject),
  ),
  certificateVariable("ssl_client_i_dn", "Who issued it (RFC 2253).", (certificate) =>
    distinguishedName(certificate.issuer),
  ),
  certificateVariable("ssl_client_serial", "Its serial number.", (certificate) => certificate.serialNumber),
  certificateVariable("ssl_client_fingerprint", "Its SHA-1 fingerprint.", (certificate) =>
    certificate.fingerprint.replaceAll(":", "").toLowerCase(),
  ),
  certificateVariable("ssl_client_raw_cert", "The certificate in PEM.", (certificate) =>
    certificate.toString(),
  ),
  certificateVariable(
    "ssl_client_cert",
    "The same with a tab before each line but the first, as a header once had it.",
    (certificate) => certificate.toString().trimEnd().replaceAll("\n", "\n\t"),
  ),
  certificateVariable("ssl_client_escaped_cert", "The same, percent-encoded.", (certificate) =>
    escapeUri(certificate.toString(), "component"),
  ),
  certificateVariable("ssl_client_v_start", "When it became valid.", (certificate) => certificate.validFrom),
  certificateVariable("ssl_client_v_end", "When it expires.", (certificate) => certificate.validTo),
  certificateVariable("ssl_client_v_remain", "Days until then.", (certificate) =>
    String(Math.max(0, Math.floor((Date.parse(certificate.validTo) - Date.now()) / 86_400_000))),
  ),
];

/** Node gives one attribute a line, the country first; RFC 2253 wants the last one first, separated by commas. */
function distinguishedName(lines: string): string {
  return lines
    .split("\n")
    .reverse()
    .map((attribute) => attribute.replace(/[,+"\\<>;](?!.*=)/g, "\\$&"))
    .join(",");
}
