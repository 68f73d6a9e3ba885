/** The certificate that every contender serves: ECDSA on P-256, self-signed, made for one run. */
import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

const DAY_MS: number = 24 * 60 * 60 * 1000;

export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  /** Both in one file, as haproxy wants them. */
  readonly both: string;
}

/** Makes a certificate for `bench.test` and writes it into `folder` as PEM. */
export async function writeCertificate(folder: string): Promise<CertificateFiles> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: "01",
      name: "CN=bench.test",
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS),
      signingAlgorithm: algorithm,
      keys,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "bench.test" }])],
    },
    webcrypto,
  );
  const pem = `${certificate.toString("pem")}\n`;
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${pkcs8.match(/.{1,64}/g)?.join("\n")}\n-----END PRIVATE KEY-----\n`;

  const files = {
    certificate: join(folder, "bench.crt"),
    key: join(folder, "bench.key"),
    both: join(folder, "bench.pem"),
  };
  writeFileSync(files.certificate, pem);
  writeFileSync(files.key, keyPem);
  writeFileSync(files.both, pem + keyPem);
  return files;
}
