/** `wsgate 8080 http://127.0.0.1:3000`: a proxy without a file, and the file that it amounts to. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findPlaces } from "../process/places.ts";
import { ensureSelfSigned } from "../process/self-signed.ts";
import type { ListeningAddress } from "../process/server.ts";
import { mistakeIn } from "./mistake.ts";

const USAGE = `usage: wsgate [address:]port upstream [--tls] [--cert FILE --key FILE] [--print]

  wsgate 8080 http://127.0.0.1:3000         http and ws on port 8080
  wsgate 8443 http://127.0.0.1:3000 --tls   https and wss, with a certificate made on the fly
  wsgate 8080 3000 --print                  print the configuration that this amounts to

The upstream may be a port alone, a host:port, or a URL that begins with http, https, ws or wss. Port 0 takes any free one.
`;

const OPTIONS = {
  tls: { type: "boolean" },
  cert: { type: "string" },
  key: { type: "string" },
  print: { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** Address and port, as `listen` takes them. */
const ADDRESS = /^(?:(?:[\w.-]+|\[[\da-fA-F:]+\]):)?(\d{1,5})$/;

/** True for a command line that begins with an address to listen on, or with an option that only goes with one. */
export function isQuick(args: readonly string[]): boolean {
  const [first = ""] = args;
  return ADDRESS.test(first) || /^--(tls|cert|key|print)\b/.test(first);
}

export async function runQuick(args: readonly string[]): Promise<number> {
  const wish = readArguments(args);
  if (wish === "help") {
    process.stdout.write(USAGE);
    return 0;
  }
  if ("mistake" in wish) return fail(`${wish.mistake}\n\n${USAGE}`);
  const certificate = await findCertificate(wish);
  if (certificate !== null && "failure" in certificate) return fail(`${certificate.failure}\n`);
  const config = writeConfiguration(wish, certificate);
  if (wish.print) {
    process.stdout.write(config);
    return 0;
  }
  const places = findPlaces({
    config: join(process.cwd(), "command-line.conf"),
    prefix: process.cwd(),
    errorLog: null,
  });
  const { serve } = await import("./serve.ts");
  return serve(
    { places, globals: null, files: { [places.config]: config }, isFrozen: false },
    // Without a file there is no place where -s would look for it.
    { hasPidFile: false, onReady: (addresses) => announce(addresses, wish.upstream) },
  );
}

interface Wish {
  readonly listen: string;
  /** As proxy_pass takes it. */
  readonly upstream: string;
  readonly tls: boolean;
  readonly cert: string | null;
  readonly key: string | null;
  readonly print: boolean;
}

function readArguments(args: readonly string[]): Wish | "help" | { readonly mistake: string } {
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
  } catch (error) {
    return { mistake: mistakeIn(error) };
  }
  const { values, positionals } = parsed;
  if (values.help === true) return "help";
  const [listen, target, ...rest] = positionals;
  if (listen === undefined || target === undefined)
    return { mistake: "an address to listen on and an upstream are needed" };
  if (rest.length > 0)
    return {
      mistake: `what is "${rest.join(" ")}"? One upstream is enough here; a configuration file takes more`,
    };
  const port = Number(ADDRESS.exec(listen)?.[1] ?? "NaN");
  if (!(port <= 65_535)) return { mistake: `"${listen}" is no address: write a port, or address:port` };
  const upstream = upstreamUrl(target);
  if (upstream === null)
    return { mistake: `"${target}" is no upstream: write http://host:port, host:port or a port` };
  const cert = values.cert ?? null;
  const key = values.key ?? null;
  if ((cert === null) !== (key === null)) return { mistake: "--cert and --key belong together" };
  return {
    listen,
    upstream,
    tls: values.tls === true || cert !== null,
    cert,
    key,
    print: values.print === true,
  };
}

function upstreamUrl(target: string): string | null {
  if (/^\d{1,5}$/.test(target)) return Number(target) <= 65_535 ? `http://127.0.0.1:${target}` : null;
  const withScheme = /^\w+:\/\//.test(target) ? target : `http://${target}`;
  const url = withScheme.replace(/^ws(s?):\/\//, "http$1://");
  return /^https?:\/\/[^\s;{}"'$\\]+$/.test(url) && URL.canParse(url) ? url : null;
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

async function findCertificate({
  tls,
  cert,
  key,
}: Wish): Promise<Certificate | { readonly failure: string } | null> {
  if (!tls) return null;
  if (cert !== null && key !== null) return { cert: resolve(cert), key: resolve(key) };
  const made = await ensureSelfSigned(join(homedir(), ".wsgate"));
  return made.ok ? { cert: made.certificatePath, key: made.keyPath } : { failure: made.failure };
}

function writeConfiguration({ listen, upstream }: Wish, certificate: Certificate | null): string {
  // A server on this machine wants to know what the browser called it; one that has a certificate goes by its own name.
  const host = upstream.startsWith("https:") ? "$proxy_host" : "$http_host";
  const server = [
    certificate === null ? `listen ${listen};` : `listen ${listen} ssl;`,
    ...(certificate === null
      ? []
      : [`ssl_certificate ${quoted(certificate.cert)};`, `ssl_certificate_key ${quoted(certificate.key)};`]),
  ];
  const location = [
    `proxy_pass ${upstream};`,
    ...(upstream.startsWith("https:") ? ["proxy_ssl_server_name on;"] : []),
    "# WebSockets pass without any further line: websocket_upgrade is auto.",
    `proxy_set_header Host ${host};`,
    "proxy_set_header X-Real-IP $remote_addr;",
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
    "proxy_set_header X-Forwarded-Proto $scheme;",
  ];
  return `events {}
http {
    access_log /dev/stdout;
    server {
${server.map((line) => `        ${line}\n`).join("")}        location / {
${location.map((line) => `            ${line}\n`).join("")}        }
    }
}
`;
}

function quoted(path: string): string {
  return `"${path.replace(/["\\]/g, "\\$&")}"`;
}

/** An address that stands for all is shown as the one that a browser on this machine takes. */
function announce(addresses: readonly ListeningAddress[], upstream: string): void {
  for (const { text, ssl } of addresses) {
    const host = text.replace(/^(0\.0\.0\.0|\[::\]):/, "localhost:");
    process.stdout.write(
      ssl
        ? `https://${host} and wss://${host} -> ${upstream}\n`
        : `http://${host} and ws://${host} -> ${upstream}\n`,
    );
  }
  process.stdout.write("Press Ctrl-C to stop. --print shows the configuration that this amounts to.\n");
}

function fail(text: string): number {
  process.stderr.write(`wsgate: ${text}`);
  return 1;
}
