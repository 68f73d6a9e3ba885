import { constants, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type SecureVersion,
} from "node:tls";
import { describeSystemError } from "../../base/errno.ts";
import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf, type ValueType } from "../../compile/rows.ts";
import { anyOf, custom, flag, integer, template, text } from "../../compile/values.ts";
import type { Template } from "../../compile/template.ts";
import type { Span } from "../../config/position.ts";
import type { Word } from "../../config/tree.ts";
import { UpstreamTls } from "../../proxy/upstream-tls.ts";

type ProtocolName = "SSLv2" | "SSLv3" | SecureVersion;

/** A file that is read while the configuration is loaded. */
interface NamedFile {
  readonly path: string;
  readonly span: Span;
}

export interface SslSettings {
  readonly proxy_ssl_name: Template | null;
  readonly proxy_ssl_server_name: boolean;
  readonly proxy_ssl_verify: boolean;
  readonly proxy_ssl_verify_depth: number;
  readonly proxy_ssl_trusted_certificate: NamedFile | null;
  readonly proxy_ssl_crl: NamedFile | null;
  readonly proxy_ssl_certificate: NamedFile | null;
  readonly proxy_ssl_certificate_key: NamedFile | null;
  readonly proxy_ssl_password_file: NamedFile | null;
  readonly proxy_ssl_protocols: readonly ProtocolName[];
  readonly proxy_ssl_ciphers: string | null;
  readonly proxy_ssl_session_reuse: boolean;
}

/** TLS with upstreams. */
export const sslRows: RowsOf<SslSettings> = {
  proxy_ssl_name: one({
    in: HTTP_SERVER_LOCATION,
    type: template("name"),
    default: null,
    defaultText: "$proxy_host",
    doc: "The name that the upstream's certificate must have, and that SNI gives.",
  }),
  proxy_ssl_server_name: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    doc: "Whether the upstream is told the name by SNI.",
  }),
  proxy_ssl_verify: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    doc: "Whether the upstream's certificate is verified.",
  }),
  proxy_ssl_verify_depth: one({
    in: HTTP_SERVER_LOCATION,
    type: integer(0, 100),
    default: 1,
    doc: "How many intermediate certificates may stand between the upstream's certificate and a trusted one.",
  }),
  proxy_ssl_trusted_certificate: one({
    in: HTTP_SERVER_LOCATION,
    type: file(),
    default: null,
    doc: "Certificates in PEM that the upstream's is verified against.",
  }),
  proxy_ssl_crl: one({
    in: HTTP_SERVER_LOCATION,
    type: file(),
    default: null,
    doc: "Revoked certificates, in PEM.",
  }),
  proxy_ssl_certificate: one({
    in: HTTP_SERVER_LOCATION,
    type: file(),
    default: null,
    doc: "A certificate in PEM to show to the upstream.",
  }),
  proxy_ssl_certificate_key: one({
    in: HTTP_SERVER_LOCATION,
    type: file(),
    default: null,
    doc: "The key of proxy_ssl_certificate, in PEM.",
  }),
  proxy_ssl_password_file: one({
    in: HTTP_SERVER_LOCATION,
    type: file(),
    default: null,
    doc: "Passphrases for the key, one a line, which are tried in turn.",
  }),
  proxy_ssl_protocols: one({
    in: HTTP_SERVER_LOCATION,
    type: anyOf("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    default: ["TLSv1.2", "TLSv1.3"],
    defaultText: "TLSv1.2 TLSv1.3",
    doc: "Versions of TLS that are spoken with the upstream.",
  }),
  proxy_ssl_ciphers: one({
    in: HTTP_SERVER_LOCATION,
    type: text("ciphers"),
    default: null,
    defaultText: "DEFAULT",
    doc: "Ciphers for the upstream, in OpenSSL's notation.",
  }),
  proxy_ssl_session_reuse: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    doc: "Whether TLS sessions with the upstream are resumed.",
  }),
};

/** Reads certificates and keys, and makes what connections are made with. Undefined after a report. */
export function buildTls(settings: SslSettings, span: Span | null, check: Check): UpstreamTls | undefined {
  if (settings.proxy_ssl_verify && settings.proxy_ssl_trusted_certificate === null) {
    check.error(span, "no proxy_ssl_trusted_certificate for proxy_ssl_verify", {
      code: "no-trusted-certificate",
    });
    return undefined;
  }
  const { proxy_ssl_certificate: certificate, proxy_ssl_certificate_key: key } = settings;
  if (certificate !== null && key === null) {
    check.error(
      certificate.span,
      `no "proxy_ssl_certificate_key" is defined for certificate "${certificate.path}"`,
      { code: "no-certificate-key" },
    );
    return undefined;
  }
  const cert = read(certificate, "certificate", check);
  const keyText = read(key, "certificate key", check);
  const ca = read(settings.proxy_ssl_trusted_certificate, "trusted certificate", check);
  const crl = read(settings.proxy_ssl_crl, "certificate revocation list", check);
  const passwords = read(settings.proxy_ssl_password_file, "password file", check);
  const options: SecureContextOptions = {
    ...versions(settings.proxy_ssl_protocols),
    ...(cert === null ? {} : { cert }),
    ...(keyText === null ? {} : { key: keyText }),
    ...(ca === null ? {} : { ca }),
    ...(crl === null ? {} : { crl }),
    ...(settings.proxy_ssl_ciphers === null ? {} : { ciphers: settings.proxy_ssl_ciphers }),
  };
  const secureContext = makeContext(options, passwords, (certificate ?? key)?.span ?? span, check);
  if (secureContext === undefined) return undefined;
  const { proxy_ssl_server_name, proxy_ssl_verify, proxy_ssl_verify_depth, proxy_ssl_session_reuse } =
    settings;
  const identity = JSON.stringify([options, proxy_ssl_server_name, proxy_ssl_verify, proxy_ssl_verify_depth]);
  return new UpstreamTls({
    secureContext,
    fingerprint: createHash("sha256").update(identity).digest("base64"),
    proxy_ssl_server_name,
    proxy_ssl_verify,
    proxy_ssl_verify_depth,
    proxy_ssl_session_reuse,
  });
}

/** The context, with the first of the passphrases that opens the key. */
function makeContext(
  options: SecureContextOptions,
  passwords: string | null,
  span: Span | null,
  check: Check,
): SecureContext | undefined {
  let failure: unknown = null;
  for (const passphrase of passwords === null ? [""] : passwords.split("\n")) {
    try {
      return createSecureContext(passphrase === "" ? options : { ...options, passphrase });
    } catch (error) {
      failure ??= error;
    }
  }
  const reason = failure instanceof Error ? failure.message : String(failure);
  check.error(span, `cannot set up TLS for the upstream (SSL: ${reason})`, { code: "upstream-tls" });
  return undefined;
}

function read(file: NamedFile | null, what: string, check: Check): string | null {
  if (file === null) return null;
  try {
    return readFileSync(file.path, "utf8");
  } catch (error) {
    check.error(file.span, `cannot load ${what} "${file.path}" (${describeSystemError(error)})`, {
      code: "unreadable-file",
    });
    return null;
  }
}

/** From the oldest version to the newest; versions that are left out in between are switched off. */
function versions(protocols: readonly ProtocolName[]): SecureContextOptions {
  const wanted = VERSIONS.filter(({ name }) => protocols.includes(name));
  const first = wanted[0];
  const last = wanted.at(-1);
  if (first === undefined || last === undefined) return {};
  const missing = VERSIONS.filter(({ name }) => !protocols.includes(name));
  return {
    minVersion: first.name,
    maxVersion: last.name,
    secureOptions: missing.reduce((bits, { off }) => bits | off, 0),
  };
}

/** SSLv2 and SSLv3 may be named, as in nginx, but OpenSSL has them no more. */
const VERSIONS: readonly { readonly name: SecureVersion; readonly off: number }[] = [
  { name: "TLSv1", off: constants.SSL_OP_NO_TLSv1 },
  { name: "TLSv1.1", off: constants.SSL_OP_NO_TLSv1_1 },
  { name: "TLSv1.2", off: constants.SSL_OP_NO_TLSv1_2 },
  { name: "TLSv1.3", off: constants.SSL_OP_NO_TLSv1_3 },
];

function file(): ValueType<NamedFile> {
  return custom("file", [1, 1], ([word]: readonly Word[], check) =>
    word === undefined ? undefined : { path: check.path(word.text, "conf"), span: word.span },
  );
}
