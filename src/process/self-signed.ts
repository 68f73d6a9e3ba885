/**
 * A certificate for this machine, made on the fly and kept: for trying things out over TLS before anybody has asked a
 * certificate authority. Browsers do not trust it until told to.
 */
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { describeSystemError } from "../base/errno.ts";

const DAY_MS = 86_400_000;
/** Some browsers refuse leaves that are valid for more than 398 days (CA/Browser Forum baseline requirement 6.3.2). */
const LIFETIME_MS = 365 * DAY_MS;
/** A certificate with less than this ahead of it is replaced, so that nobody meets its end in the middle of their work. */
const RENEWAL_MARGIN_MS = 7 * DAY_MS;
/** The clocks of those who look at it may be a little behind. */
const CLOCK_SKEW_MS = DAY_MS / 24;

export type SelfSigned =
  | {
      readonly ok: true;
      /** PEM, as `ssl_certificate` and `ssl_certificate_key` take them. */
      readonly certificatePath: string;
      readonly keyPath: string;
      /** Whether it was made just now rather than found. */
      readonly isNew: boolean;
    }
  | {
      readonly ok: false;
      /** What could not be done, with the system's reason. */
      readonly failure: string;
    };

export interface SelfSignedOptions {
  /** Host names and IP addresses it must be valid for; {@link localNames} where not given. */
  readonly names?: readonly string[];
  /** The time by which validity is judged, in milliseconds since the epoch. */
  readonly nowMs?: number;
}

/**
 * The certificate kept in `folder` (localhost.crt, localhost.key), made anew where there is none, where it is about to
 * expire, or where it does not fit its key or `names`. The folder is made where it is missing.
 */
export async function ensureSelfSigned(folder: string, options: SelfSignedOptions = {}): Promise<SelfSigned> {
  const { names = localNames(), nowMs = Date.now() } = options;
  const certificatePath = join(folder, "localhost.crt");
  const keyPath = join(folder, "localhost.key");
  if (isStillGood(certificatePath, keyPath, names, nowMs)) {
    return { ok: true, certificatePath, keyPath, isNew: false };
  }
  const made = await makeCertificate(names, nowMs);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    replaceFile(keyPath, made.key, 0o600);
    replaceFile(certificatePath, made.certificate, 0o644);
  } catch (error) {
    return { ok: false, failure: `cannot keep a certificate in ${folder} (${describeSystemError(error)})` };
  }
  return { ok: true, certificatePath, keyPath, isNew: true };
}

/** What a person on this machine may type into a browser to reach it. */
export function localNames(): readonly string[] {
  const host = hostname().toLowerCase();
  const names = ["localhost", "127.0.0.1", "::1"];
  if (/^[a-z0-9.-]+$/.test(host) && !names.includes(host)) names.push(host);
  return names;
}

function isStillGood(
  certificatePath: string,
  keyPath: string,
  names: readonly string[],
  nowMs: number,
): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(certificatePath));
    return (
      certificate.checkPrivateKey(createPrivateKey(readFileSync(keyPath))) &&
      Date.parse(certificate.validFrom) <= nowMs &&
      Date.parse(certificate.validTo) - nowMs > RENEWAL_MARGIN_MS &&
      names.every((name) => covers(certificate, name))
    );
  } catch {
    // Missing, unreadable or not PEM: in each case the answer is to make a new one.
    return false;
  }
}

function covers(certificate: X509Certificate, name: string): boolean {
  const match = isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name);
  return match !== undefined;
}

async function makeCertificate(
  names: readonly string[],
  nowMs: number,
): Promise<{ certificate: string; key: string }> {
  // Loaded here because it is needed once a year, and takes longer to load than the rest of the program.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: "CN=localhost, O=wsgate (self-signed)",
      // 64 bits, the first of them zero: a positive number, and unlike any before it (RFC 5280 section 4.1.2.2).
      serialNumber: `1${randomBytes(8).toString("hex").slice(1)}`,
      keys,
      notBefore: new Date(nowMs - CLOCK_SKEW_MS),
      notAfter: new Date(nowMs + LIFETIME_MS),
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
        ),
      ],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return {
    certificate: `${certificate.toString("pem")}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${key.replace(/.{64}(?=.)/g, "$&\n")}\n-----END PRIVATE KEY-----\n`,
  };
}

/** Writes beside the file and renames, so that no reader ever sees half of it, nor a key with the wrong mode. */
function replaceFile(path: string, text: string, mode: number): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, path);
}
