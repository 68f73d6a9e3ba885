/** What `wsgate doctor` is told on its command line. */
import { Resolver } from "node:dns";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { relative, resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { parseArgs } from "node:util";
import { describeSystemError } from "../base/errno.ts";
import { describeOpensslError } from "../base/openssl-error.ts";
import { parseSize, parseTimeMs } from "../base/units.ts";
import type { DiagnoseOptions } from "../doctor/diagnose.ts";
import { lint } from "../doctor/lint/lint.ts";
import { readUrl } from "../doctor/probe/url.ts";
import type { ClientCertificate } from "../doctor/probe/tls.ts";
import type { WalkOptions } from "../doctor/probe/walk.ts";
import { isToken } from "../http/tokens.ts";
import type { Remark } from "../doctor/verdict/configuration.ts";
import type { Product } from "../doctor/verdict/illness.ts";
import { type Language, LANGUAGES } from "../doctor/words.ts";
import { modules } from "../modules/index.ts";

export const DOCTOR_USAGE: string = `usage: wsgate doctor wss://host/path [options]

Walks from the URL to an idle tunnel, and says what is wrong and what to write where.

  --page URL            the page that opens the WebSocket: mixed content, its policy, its origin
  --origin ORIGIN       the Origin to send, instead of the page's
  --header "NAME: V"    a header to send, such as a cookie; may be repeated
  --subprotocol NAME    a subprotocol to offer; may be repeated
  --hold TIME           watch an idle tunnel for so long, beside one that pings: 90s (Ctrl-C: what was seen until then)
  --max-message SIZE    the largest message to try: 1m
  --no-message          send pings only, no messages
  --backend URL         walk straight to the backend, too, and compare
  --config FILE         nginx's configuration: its lines that explain what was found
  --layer4              send the same bytes without Upgrade, too
  --resolve HOST:ADDR   connect to this address instead of asking for one
  --dns ADDR[:PORT]     ask this name server
  --ca FILE             trust this authority, too (PEM)
  --cert FILE           the client's certificate (PEM), for servers that ask for one
  --key FILE            its key, where that is not in the same file
  --timeout TIME        for each connection and each answer: 5s
  --for PRODUCT|all     show the mends for nginx, haproxy, caddy, apache, traefik, ingress-nginx, aws-alb, cloudflare
  --json, --markdown    for machines, and for a ticket; secrets are taken out of every report
  --lang en|zh          language of the report

Exit code: 0 healthy, 1 sick, 2 could not tell, 130 ended by Ctrl-C.
`;

const PRODUCTS: readonly Product[] = [
  "nginx",
  "haproxy",
  "caddy",
  "apache",
  "traefik",
  "ingress-nginx",
  "aws-alb",
  "cloudflare",
];

export interface DoctorCommand {
  readonly diagnose: DiagnoseOptions;
  readonly format: "text" | "json" | "markdown";
  readonly language: Language;
  readonly product: Product | "all" | null;
}

/** What is wrong with the command line, in words for the person who typed it. */
class UsageError extends Error {}

/** Throws an error whose message is for the person who typed the command. */
export function readDoctorCommand(argv: readonly string[]): DoctorCommand | "help" {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      page: { type: "string" },
      origin: { type: "string" },
      header: { type: "string", multiple: true },
      subprotocol: { type: "string", multiple: true },
      hold: { type: "string" },
      "max-message": { type: "string" },
      "no-message": { type: "boolean" },
      backend: { type: "string" },
      config: { type: "string" },
      layer4: { type: "boolean" },
      resolve: { type: "string", multiple: true },
      dns: { type: "string" },
      ca: { type: "string" },
      cert: { type: "string" },
      key: { type: "string" },
      timeout: { type: "string" },
      for: { type: "string" },
      json: { type: "boolean" },
      markdown: { type: "boolean" },
      lang: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) return "help";
  const [url, ...more] = positionals;
  if (url === undefined) throw new UsageError(`which URL?\n\n${DOCTOR_USAGE}`);
  if (more.length > 0) throw new UsageError(`one URL at a time, not "${more[0]}" besides`);
  const front: WalkOptions = {
    url,
    page: values.page === undefined ? null : readPage(values.page),
    origin: values.origin === undefined ? null : readOrigin(values.origin),
    subprotocols: (values.subprotocol ?? []).map(readSubprotocol),
    headers: (values.header ?? []).map(readHeader),
    address: readResolve(values.resolve ?? [], url),
    nameServer: values.dns === undefined ? null : readNameServer(values.dns),
    ca: values.ca === undefined ? null : readAuthority(values.ca),
    clientCertificate: readClientCertificate(values.cert, values.key),
    timeoutMs: readTime("timeout", values.timeout ?? "5s"),
    holdMs: values.hold === undefined ? 0 : readTime("hold", values.hold),
    sendsMessages: values["no-message"] !== true,
    maxMessageBytes: values["max-message"] === undefined ? null : readSize(values["max-message"]),
    layer4: values.layer4 === true,
  };
  const backend =
    values.backend === undefined
      ? null
      : {
          ...front,
          url: values.backend,
          page: null,
          address: readResolve(values.resolve ?? [], values.backend),
        };
  return {
    diagnose: { front, backend, remarks: values.config === undefined ? [] : lintFile(values.config, url) },
    format: values.json === true ? "json" : values.markdown === true ? "markdown" : "text",
    language: readLanguage(values.lang ?? "en"),
    product: readProduct(values.for),
  };
}

/** What `wsgate lint` says about the file. */
function lintFile(path: string, url: string): readonly Remark[] {
  readFile(path);
  const target = readUrl(url).target?.path.replace(/\?.*/s, "");
  const sockets = target === undefined ? [] : [target];
  const { findings } = lint({ file: resolve(path), modules, target: "nginx", nginxVersion: null, sockets });
  return findings.map(({ rule, severity, span, message, help }) => ({
    rule,
    severity,
    place: span === null ? path : `${shortPath(span.file.name)}:${span.line}`,
    message,
    help,
  }));
}

/** Relative to where one stands, unless that would lead upwards. */
function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

function readPage(text: string): URL {
  try {
    const page = new URL(text);
    if (page.protocol === "https:" || page.protocol === "http:") return page;
  } catch {
    // Said below.
  }
  throw new UsageError(`--page wants an http or https URL, not "${text}"`);
}

function readHeader(text: string): readonly [string, string] {
  const parts = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)$/.exec(text);
  if (parts === null) throw new UsageError(`--header wants "Name: value", not "${text}"`);
  return [parts[1] ?? "", Buffer.from(parts[2] ?? "", "utf8").toString("latin1")];
}

function readOrigin(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new UsageError(`--origin wants an origin such as https://example.com, not "${text}"`);
}

function readSubprotocol(text: string): string {
  if (isToken(text)) return text;
  throw new UsageError(`--subprotocol wants one name without spaces and commas, not "${text}"`);
}

function readNameServer(text: string): string {
  try {
    new Resolver().setServers([text]);
    return text;
  } catch {
    throw new UsageError(`--dns wants an address such as 10.0.0.2 or 10.0.0.2:53, not "${text}"`);
  }
}

function readAuthority(path: string): string {
  const pem = readFile(path);
  try {
    createSecureContext({ ca: pem });
    if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem;
  } catch {
    // Said below.
  }
  throw new UsageError(`--ca wants a file with a certificate in PEM, which ${path} is not`);
}

/** The key may stand in the certificate's file. */
function readClientCertificate(
  certPath: string | undefined,
  keyPath: string | undefined,
): ClientCertificate | null {
  if (certPath === undefined) {
    if (keyPath === undefined) return null;
    throw new UsageError("--key is the key of a certificate: --cert is missing");
  }
  const cert = readFile(certPath);
  const key = keyPath === undefined ? cert : readFile(keyPath);
  try {
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    const reason = error instanceof Error ? describeOpensslError(error) : String(error);
    const where = keyPath === undefined ? "--cert without --key" : "--key";
    throw new UsageError(
      `--cert wants a certificate in PEM, and ${where} its key without a passphrase; OpenSSL says of ${certPath}: ${reason}`,
    );
  }
}

/** The address for the host of this URL, from `HOST:ADDRESS` pairs. */
function readResolve(pairs: readonly string[], url: string): string | null {
  const host = /^(?:[a-z]+:\/\/)?(?:[^/?#@]*@)?([^/:?#]+)/i.exec(url)?.[1]?.toLowerCase();
  for (const pair of pairs) {
    const colon = pair.indexOf(":");
    if (colon <= 0) throw new UsageError(`--resolve wants HOST:ADDRESS, not "${pair}"`);
    const address = pair.slice(colon + 1).replace(/^\[|\]$/g, "");
    if (isIP(address) === 0) throw new UsageError(`--resolve wants an IP address for HOST, not "${address}"`);
    if (pair.slice(0, colon).toLowerCase() === host) return address;
  }
  return null;
}

function readFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path} (${describeSystemError(error)})`);
  }
}

function readTime(flag: string, text: string): number {
  const ms = parseTimeMs(text);
  if (ms === null || ms === 0)
    throw new UsageError(`--${flag} wants a time such as 500ms, 5s or 2m, not "${text}"`);
  return ms;
}

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

function readSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== null && bytes > 0 && bytes <= MESSAGE_BYTES_MAX) return bytes;
  throw new UsageError(`--max-message wants a size up to 16m, such as 64k, not "${text}"`);
}

function readLanguage(text: string): Language {
  const language = LANGUAGES.find((known) => known === text);
  if (language === undefined) throw new UsageError(`--lang wants ${LANGUAGES.join(" or ")}, not "${text}"`);
  return language;
}

function readProduct(text: string | undefined): Product | "all" | null {
  if (text === undefined) return null;
  const product = text === "all" ? "all" : PRODUCTS.find((known) => known === text);
  if (product === undefined) throw new UsageError(`--for wants all, ${PRODUCTS.join(", ")}, not "${text}"`);
  return product;
}
