/** Certificates for tests, made on the fly: one authority in each test file, and leaves that it signs. */
import "reflect-metadata"; // which the next import needs to have been loaded
import { webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { temporaryFolder } from "./proxy-process.ts";

const DAY_MS = 86_400_000;

type KeyType = "ec" | "rsa";

export interface LeafOptions {
  /** Host names and IP addresses, the first also being the common name. */
  readonly names?: readonly string[];
  readonly keyType?: KeyType;
  /** Days from now, -1 for one that has expired. */
  readonly validForDays?: number;
  /** Days from now, 1 for one that is not valid yet; -60 where nothing is said. */
  readonly validFromDays?: number;
  /** Signed by an intermediate of the authority, whose certificate a server has to send, too. */
  readonly isByIntermediate?: boolean;
  /** For a client certificate. */
  readonly isClient?: boolean;
  /** Signed by its own key instead of the authority's. */
  readonly isSelfSigned?: boolean;
}

/** PEM texts, fit for the options of `node:tls`. */
export interface Leaf {
  readonly cert: string;
  readonly key: string;
  /** With the intermediate's certificate behind the leaf's; the same as `cert` where there is none. */
  readonly fullChain: string;
}

interface Authority {
  readonly cert: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly subject: string;
}

let authority: Promise<Authority> | undefined;
let intermediate: Promise<Authority> | undefined;
const leaves = new Map<string, Promise<Leaf>>();

/** The PEM certificate of the authority that signs all leaves: what a client must trust. */
export async function authorityCertificate(): Promise<string> {
  authority ??= makeAuthority();
  return (await authority).cert;
}

/** A certificate with its key; the same options get the same one. For localhost, 127.0.0.1 and ::1 where none are named. */
export function leafCertificate(options: LeafOptions = {}): Promise<Leaf> {
  const id = JSON.stringify(options, Object.keys(options).sort());
  const known = leaves.get(id) ?? makeLeaf(options);
  leaves.set(id, known);
  return known;
}

/** The paths of the leaf's files in a folder of the test's own, as `ssl_certificate` and its kin want them. */
export async function leafFiles(options: LeafOptions = {}): Promise<{ certificate: string; key: string }> {
  const leaf = await leafCertificate(options);
  const folder = temporaryFolder();
  const paths = { certificate: join(folder, "leaf.crt"), key: join(folder, "leaf.key") };
  writeFileSync(paths.certificate, leaf.cert);
  writeFileSync(paths.key, leaf.key, { mode: 0o600 });
  return paths;
}

async function makeAuthority(): Promise<Authority> {
  const keys = await generateKeys("ec");
  const subject = "CN=wsgate test authority";
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: subject,
      keys,
      ...validity(-60, 30),
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  return { cert: pem(certificate), keys, subject };
}

async function makeIntermediate(): Promise<Authority> {
  authority ??= makeAuthority();
  const { keys: signer, subject: issuer } = await authority;
  const keys = await generateKeys("ec");
  const subject = "CN=wsgate test intermediate";
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer,
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      ...validity(-60, 30),
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ],
    },
    webcrypto,
  );
  return { cert: pem(certificate), keys, subject };
}

async function makeLeaf(options: LeafOptions): Promise<Leaf> {
  const { names = ["localhost", "127.0.0.1", "::1"], keyType = "ec" } = options;
  const { validFromDays = -60, validForDays = 30 } = options;
  authority ??= makeAuthority();
  if (options.isByIntermediate === true) intermediate ??= makeIntermediate();
  const signer = await (options.isByIntermediate === true ? intermediate : authority);
  if (signer === undefined) throw new Error("there is always one who signs");
  const { keys: authorityKeys, subject: issuer } = signer;
  const keys = await generateKeys(keyType);
  const subject = `CN=${names[0]}`;
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer: options.isSelfSigned === true ? subject : issuer,
      publicKey: keys.publicKey,
      signingKey: options.isSelfSigned === true ? keys.privateKey : authorityKeys.privateKey,
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      ...validity(validFromDays, validForDays),
      extensions: [
        new BasicConstraintsExtension(false),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
        new ExtendedKeyUsageExtension([
          options.isClient === true ? ExtendedKeyUsage.clientAuth : ExtendedKeyUsage.serverAuth,
        ]),
        new SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value })),
        ),
      ],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const cert = pem(certificate);
  return {
    cert,
    fullChain: options.isByIntermediate === true ? cert + signer.cert : cert,
    key: `-----BEGIN PRIVATE KEY-----\n${key.replace(/.{64}/g, "$&\n").trimEnd()}\n-----END PRIVATE KEY-----\n`,
  };
}

function generateKeys(keyType: KeyType): Promise<webcrypto.CryptoKeyPair> {
  const algorithm =
    keyType === "ec"
      ? { name: "ECDSA", namedCurve: "P-256" }
      : {
          name: "RSASSA-PKCS1-v1_5",
          hash: "SHA-256",
          modulusLength: 2048,
          publicExponent: new Uint8Array([1, 0, 1]),
        };
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function validity(fromDays: number, toDays: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now + fromDays * DAY_MS), notAfter: new Date(now + toDays * DAY_MS) };
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
