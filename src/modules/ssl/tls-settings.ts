import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { createSecureContext, type SecureContextOptions, type SecureVersion } from "node:tls";
import type { Check } from "../../compile/check.ts";
import type { TlsSettings } from "../../compile/plan.ts";
import { type LoadedFile, type SslSettings, TLS_PROTOCOLS, type TlsProtocol } from "./rows.ts";

/** What OpenSSL offers in TLS 1.3; Node would otherwise leave TLS 1.3 out when ciphers are given. */
const TLS13_SUITES = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

/** Makes the TLS context of a server from its directives; null, with an error reported, where that fails. */
export function makeTlsSettings(settings: SslSettings, check: Check): TlsSettings | null {
  const pairs = pairCertificates(settings, check);
  if (pairs === null) return null;
  const contextOptions = makeContextOptions(settings, pairs, check);
  if (contextOptions === null) return null;
  return {
    contextOptions,
    ssl_reject_handshake: settings.ssl_reject_handshake,
    ssl_verify_client: settings.ssl_verify_client,
    ssl_verify_depth: settings.ssl_verify_depth,
    ssl_session_tickets: settings.ssl_session_tickets,
    ssl_session_timeout: settings.ssl_session_timeout,
    ticketKeys: ticketKeys(settings, check),
    ssl_prefer_server_ciphers: settings.ssl_prefer_server_ciphers,
  };
}

interface Pair {
  readonly certificate: LoadedFile;
  readonly key: LoadedFile;
  readonly pem: Buffer | string;
}

function pairCertificates(settings: SslSettings, check: Check): readonly Pair[] | null {
  const passphrases = settings.ssl_password_file?.bytes.toString("utf8").split(/\r?\n/).filter(Boolean) ?? [];
  const pairs: Pair[] = [];
  for (const [index, certificate] of settings.ssl_certificate.entries()) {
    const key = settings.ssl_certificate_key[index];
    if (key === undefined) {
      check.error(
        certificate.word.span,
        `no "ssl_certificate_key" is defined for certificate "${certificate.path}"`,
        {
          code: "no-certificate-key",
        },
      );
      return null;
    }
    const pair = readPair(certificate, key, passphrases, check);
    if (pair === null) return null;
    pairs.push(pair);
  }
  return pairs;
}

/** Checks that certificate and key can be read and belong together, so that the message names the file at fault. */
function readPair(
  certificate: LoadedFile,
  key: LoadedFile,
  passphrases: readonly string[],
  check: Check,
): Pair | null {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate.bytes);
  } catch (error) {
    check.error(
      certificate.word.span,
      `cannot load certificate "${certificate.path}": PEM_read_bio_X509_AUX() failed (SSL: ${reason(error)})`,
      {
        code: "invalid-certificate",
      },
    );
    return null;
  }
  const keyObject = readKey(key, passphrases);
  if (keyObject instanceof Error) {
    check.error(
      key.word.span,
      `cannot load certificate key "${key.path}": PEM_read_bio_PrivateKey() failed (SSL: ${reason(keyObject)})`,
      {
        code: "invalid-certificate-key",
      },
    );
    return null;
  }
  if (!parsed.checkPrivateKey(keyObject)) {
    check.error(
      key.word.span,
      `SSL_CTX_use_PrivateKey("${key.path}") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)`,
      {
        code: "key-mismatch",
        notes: [
          { message: "the certificate it should belong to is named here", span: certificate.word.span },
        ],
      },
    );
    return null;
  }
  if (Date.parse(parsed.validTo) < Date.now()) {
    check.warn(certificate.word.span, `the certificate "${certificate.path}" expired on ${parsed.validTo}`, {
      code: "expired-certificate",
    });
  }
  return { certificate, key, pem: keyObject.export({ type: "pkcs8", format: "pem" }) };
}

function readKey(key: LoadedFile, passphrases: readonly string[]): KeyObject | Error {
  let failure = new Error("no key");
  for (const passphrase of [undefined, ...passphrases]) {
    try {
      return createPrivateKey({
        key: key.bytes,
        format: "pem",
        ...(passphrase === undefined ? {} : { passphrase }),
      });
    } catch (error) {
      if (error instanceof Error) failure = error;
    }
  }
  return failure;
}

function makeContextOptions(
  settings: SslSettings,
  pairs: readonly Pair[],
  check: Check,
): SecureContextOptions | null {
  const versions = protocolRange(settings.ssl_protocols);
  const authorities = [settings.ssl_client_certificate, settings.ssl_trusted_certificate].flatMap((file) =>
    file === null ? [] : [file.bytes],
  );
  const options: SecureContextOptions = {
    cert: pairs.map((pair) => pair.certificate.bytes),
    key: pairs.map((pair) => pair.pem),
    ...versions,
    ciphers: `${TLS13_SUITES}:${settings.ssl_ciphers}`,
    honorCipherOrder: settings.ssl_prefer_server_ciphers,
    ecdhCurve: settings.ssl_ecdh_curve,
    sessionTimeout: settings.ssl_session_timeout,
    ...(settings.ssl_dhparam === null ? {} : { dhparam: settings.ssl_dhparam.bytes }),
    ...(authorities.length === 0 ? {} : { ca: authorities }),
    ...(settings.ssl_crl === null ? {} : { crl: settings.ssl_crl.bytes }),
  };
  try {
    createSecureContext(options);
    return options;
  } catch (error) {
    check.error(
      pairs[0]?.certificate.word.span ?? null,
      `the TLS settings of this server cannot be used (SSL: ${reason(error)})`,
      {
        code: "invalid-tls-settings",
        notes: [
          {
            message:
              "ssl_ciphers, ssl_ecdh_curve, ssl_dhparam, ssl_crl or an authority's certificate is at fault",
          },
        ],
      },
    );
    return null;
  }
}

/** Node takes the lowest and the highest version; the old SSL versions cannot be had at all. */
function protocolRange(protocols: readonly TlsProtocol[]): {
  minVersion: SecureVersion;
  maxVersion: SecureVersion;
} {
  const usable = TLS_PROTOCOLS.filter((name) => protocols.includes(name));
  const versions = usable.filter((name) => name !== "SSLv2" && name !== "SSLv3");
  return { minVersion: versions[0] ?? "TLSv1.2", maxVersion: versions.at(-1) ?? "TLSv1.3" };
}

/** nginx's key files hold 80 bytes (or 48 for AES-128): name, HMAC key, AES key. Node takes 48. */
function ticketKeys(settings: SslSettings, check: Check): Buffer | null {
  const [first] = settings.ssl_session_ticket_key;
  if (first === undefined) return null;
  if (first.bytes.length === 80 || first.bytes.length === 48) return first.bytes.subarray(0, 48);
  check.error(first.word.span, `"${first.path}" must be 48 or 80 bytes`, { code: "invalid-ticket-key" });
  return null;
}

/** What OpenSSL said, as `error:CODE:library::reason` where it said it so. */
function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
