/** Whether the port speaks TLS, how, and whether a browser would trust what it shows. */
import { X509Certificate } from "node:crypto";
import { Duplex } from "node:stream";
import {
  checkServerIdentity,
  connect as connectTls,
  type ConnectionOptions,
  type DetailedPeerCertificate,
  rootCertificates,
  TLSSocket,
} from "node:tls";
import { describeOpensslError } from "../../base/openssl-error.ts";
import { connect, type Route, serverName } from "./wire.ts";

export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  /** Names and addresses it covers, as `DNS:example.com` or `IP Address:10.0.0.5`. */
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly validFrom: string;
  readonly validTo: string;
  readonly isSelfSigned: boolean;
  /** Where the issuer's certificate can be had, if it says so: certificates of public authorities do. */
  readonly issuerUrl: string | null;
}

/** What is wrong with the certificate in a browser's eyes. */
export type CertificateFault =
  | "name-mismatch"
  | "expired"
  | "not-yet-valid"
  | "self-signed"
  /** The issuer's certificate was not sent, and is not among those that are trusted. */
  | "incomplete-chain"
  /** The chain ends in an authority that is not trusted. */
  | "untrusted-authority"
  | "other";

export type TlsOutcome =
  | "established"
  /** The answer to the ClientHello is not TLS: `firstBytes` has it. */
  | "not-tls"
  /** The server refuses with an alert; `detail` names it. */
  | "alert"
  | "ended"
  | "timeout"
  | "unconnected"
  | "error";

export interface TlsStep {
  readonly address: string;
  /** The name sent as SNI; empty for an IP address. */
  readonly serverName: string;
  readonly outcome: TlsOutcome;
  /** OpenSSL's words for a failure; empty where it was established. */
  readonly detail: string;
  /** The first bytes of an answer that is no TLS, as a byte string. */
  readonly firstBytes: string;
  /** Only TLS 1.0 or 1.1 could be agreed on, which browsers no longer do. */
  readonly isOutdated: boolean;
  readonly protocol: string;
  readonly cipher: string;
  /** What the server chooses where h2 and http/1.1 are offered: `h2`, `http/1.1`, or empty for nothing. */
  readonly alpn: string;
  /** The doctor had a certificate of the client's to show. */
  readonly showsCertificate: boolean;
  /** The server is known to have asked for a certificate of the client (TLS 1.2 shows it; later versions hide it). */
  readonly asksForCertificate: boolean;
  /** The server refuses clients that offer http/1.1 alone, as browsers do for WebSockets. */
  readonly refusesHttp1: boolean;
  /** The server's own certificate, then its issuers as far as they were sent or are trusted here. */
  readonly chain: readonly CertificateFacts[];
  readonly faults: readonly CertificateFault[];
  /** OpenSSL's name for what is wrong with the chain, such as `CERT_HAS_EXPIRED`; empty where nothing is. */
  readonly verifyError: string;
  readonly ms: number;
}

/** The client's own, in PEM. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

/** What the user wants of TLS. */
export interface TlsWishes {
  /** PEM of an authority to trust besides the usual ones. */
  readonly ca: string | null;
  readonly clientCertificate: ClientCertificate | null;
}

/** How TLS is spoken with the target, whatever its certificate. */
export function tlsOptions(host: string, { ca, clientCertificate }: TlsWishes): ConnectionOptions {
  return {
    servername: serverName(host),
    ALPNProtocols: ["http/1.1"],
    // The certificate is judged here, and the walk goes on past a bad one.
    rejectUnauthorized: false,
    ...(ca === null ? {} : { ca: [...rootCertificates, ca] }),
    ...clientCertificate,
  };
}

export async function probeTls(route: Route, host: string, timeoutMs: number): Promise<TlsStep> {
  const options = route.tls ?? {};
  const both = { ...options, ALPNProtocols: ["h2", "http/1.1"] };
  const [{ http1, described }, any] = await Promise.all([
    // Described at once: with TLS 1.3 a server may refuse the client, and end it, while the other is still on its way.
    connect({ ...route, tls: options }, timeoutMs).then((connected) => ({
      http1: connected,
      described:
        connected.ok && connected.socket instanceof TLSSocket
          ? describeConnection(connected.socket, host)
          : null,
    })),
    connect({ ...route, tls: both }, timeoutMs),
  ]);
  const alpn = any.ok && any.socket instanceof TLSSocket ? any.socket.alpnProtocol || "" : "";
  if (any.ok) any.wire.destroy();
  const nothing = { ...emptyStep(route.address, host), showsCertificate: options.cert !== undefined };
  if (http1.ok && described !== null) {
    http1.wire.destroy();
    return { ...nothing, ...described, alpn, ms: http1.ms };
  }
  const failure = http1.ok ? { code: "EUNKNOWN", message: "", ms: 0 } : http1;
  if (any.ok) return { ...nothing, outcome: "alert", detail: failure.message, alpn, refusesHttp1: true };
  return { ...nothing, ...(await describeFailure(route, failure, timeoutMs)), ms: failure.ms };
}

function emptyStep(address: string, host: string): TlsStep {
  return {
    address,
    serverName: serverName(host),
    outcome: "error",
    detail: "",
    firstBytes: "",
    isOutdated: false,
    protocol: "",
    cipher: "",
    alpn: "",
    showsCertificate: false,
    asksForCertificate: false,
    refusesHttp1: false,
    chain: [],
    faults: [],
    verifyError: "",
    ms: 0,
  };
}

function describeConnection(socket: TLSSocket, host: string): Partial<TlsStep> {
  const chain = chainOf(socket.getPeerCertificate(true));
  const verifyError = verifyErrorOf(socket);
  return {
    outcome: "established",
    protocol: socket.getProtocol() ?? "",
    cipher: socket.getCipher().name,
    chain,
    faults: faultsOf(socket, host, verifyError, chain),
    verifyError,
  };
}

/** Of the chain alone: what is wrong with the name has an object of its own. */
function verifyErrorOf(socket: TLSSocket): string {
  // A string, whatever the types say; an Error where Node has one of its own.
  const error: unknown = socket.authorizationError;
  const name = error instanceof Error && "code" in error ? error.code : error;
  if (typeof name !== "string") return "";
  return name === "ERR_TLS_CERT_ALTNAME_INVALID" ? "" : name;
}

function chainOf(peer: DetailedPeerCertificate): readonly CertificateFacts[] {
  const links: CertificateFacts[] = [];
  const seen = new Set<string>();
  for (let at: DetailedPeerCertificate | undefined = peer; at?.raw !== undefined; at = at.issuerCertificate) {
    if (seen.has(at.fingerprint256)) break;
    seen.add(at.fingerprint256);
    links.push(factsOf(new X509Certificate(at.raw)));
  }
  return links;
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    names: (certificate.subjectAltName ?? "").split(", ").filter((name) => name !== ""),
    validFrom: new Date(certificate.validFrom).toISOString(),
    validTo: new Date(certificate.validTo).toISOString(),
    isSelfSigned: certificate.checkIssued(certificate),
    issuerUrl: /CA Issuers - URI:(\S+)/.exec(certificate.infoAccess ?? "")?.[1] ?? null,
  };
}

function oneLine(name: string): string {
  return name.split("\n").join(", ");
}

/** OpenSSL reports one fault; a certificate may have several. */
function faultsOf(
  socket: TLSSocket,
  host: string,
  verifyError: string,
  chain: readonly CertificateFacts[],
): readonly CertificateFault[] {
  const faults: CertificateFault[] = [];
  if (checkServerIdentity(host, socket.getPeerCertificate()) !== undefined) faults.push("name-mismatch");
  const now = Date.now();
  const isPast = chain.some(({ validTo }) => Date.parse(validTo) < now);
  const isFuture = chain.some(({ validFrom }) => Date.parse(validFrom) > now);
  if (isPast || verifyError === "CERT_HAS_EXPIRED") faults.push("expired");
  if (isFuture || verifyError === "CERT_NOT_YET_VALID") faults.push("not-yet-valid");
  const trust = TRUST_FAULTS[verifyError];
  if (trust !== undefined) faults.push(trust);
  else if (verifyError !== "" && faults.length === 0) faults.push("other");
  return faults;
}

const TRUST_FAULTS: Readonly<Record<string, CertificateFault>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "untrusted-authority",
  // Only the server's own certificate was sent.
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "incomplete-chain",
  UNABLE_TO_GET_ISSUER_CERT: "untrusted-authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "untrusted-authority",
};

async function describeFailure(
  route: Route,
  failure: { readonly code: string; readonly message: string },
  timeoutMs: number,
): Promise<Partial<TlsStep>> {
  const detail = describeOpensslError(new Error(failure.message));
  if (failure.code === "ETIMEDOUT") return { outcome: "timeout", detail };
  const answer = await answerToHello(route, timeoutMs);
  const isTls = answer.length > 0 && (answer[0] === ALERT || answer[0] === HANDSHAKE) && answer[1] === 3;
  if (answer.length > 0 && !isTls)
    return { outcome: "not-tls", detail, firstBytes: answer.toString("latin1", 0, 512) };
  if (await acceptsOldVersions(route, timeoutMs)) return { outcome: "alert", detail, isOutdated: true };
  if (isTls) return { outcome: "alert", detail, asksForCertificate: hasCertificateRequest(answer) };
  const isCut = failure.code === "ECONNRESET" || failure.code === "ECONNCLOSED" || answer.length === 0;
  return { outcome: isCut ? "ended" : "error", detail };
}

/** Record types (RFC 8446 section 5.1). */
const ALERT = 0x15;
const HANDSHAKE = 0x16;

/** Handshake messages (RFC 5246 section 7.4). */
const CERTIFICATE_REQUEST = 13;
/** More than servers send before it is the client's turn: their certificates are the bulk of it. */
const ANSWER_BYTES_MAX = 32 * 1024;

/** Whether records of TLS 1.2, in which the server's part of the handshake is readable, ask for a certificate. */
function hasCertificateRequest(records: Buffer): boolean {
  const parts: Buffer[] = [];
  for (let at = 0; at + 5 <= records.length && records[at] === HANDSHAKE; ) {
    const end = at + 5 + records.readUInt16BE(at + 3);
    parts.push(records.subarray(at + 5, end));
    at = end;
  }
  const messages = Buffer.concat(parts);
  for (let at = 0; at + 4 <= messages.length; at += 4 + messages.readUIntBE(at + 1, 3))
    if (messages[at] === CERTIFICATE_REQUEST) return true;
  return false;
}

/** What the port answers to a ClientHello, byte for byte: OpenSSL tells only that it did not like it. */
async function answerToHello(route: Route, timeoutMs: number): Promise<Buffer> {
  const connected = await connect({ ...route, tls: null }, timeoutMs);
  if (!connected.ok) return Buffer.alloc(0);
  const { wire } = connected;
  wire.send(await clientHello(route.tls ?? {}));
  const deadlineMs = performance.now() + timeoutMs;
  while (wire.received.length < ANSWER_BYTES_MAX && wire.ending === null) {
    if (!(await wire.change(wire.received.length > 0 ? performance.now() + 100 : deadlineMs))) break;
  }
  wire.destroy();
  return wire.received;
}

/** The first bytes that TLS would send. */
function clientHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const sink = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk);
        done();
      },
    });
    const socket = connectTls({ ...options, socket: sink });
    socket.on("error", () => {});
    sink.once("error", () => {});
    setImmediate(() => socket.destroy());
  });
}

async function acceptsOldVersions(route: Route, timeoutMs: number): Promise<boolean> {
  const old: ConnectionOptions = {
    ...route.tls,
    minVersion: "TLSv1",
    maxVersion: "TLSv1.1",
    ciphers: "DEFAULT@SECLEVEL=0",
  };
  const connected = await connect({ ...route, tls: old }, timeoutMs);
  if (connected.ok) connected.wire.destroy();
  return connected.ok;
}
