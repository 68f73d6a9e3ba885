/** `wsgate 8080 http://127.0.0.1:3000`: a proxy without a file, and the file that it amounts to. */
import { homedir, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { findPlaces } from "../process/places.ts";
import { ensureSelfSigned } from "../process/self-signed.ts";
import { serve } from "./serve.ts";

const USAGE = `usage: wsgate [address:]port upstream [--tls] [--cert FILE --key FILE] [--print]

  wsgate 8080 http://127.0.0.1:3000         http and ws on port 8080
  wsgate 8443 http://127.0.0.1:3000 --tls   https and wss, with a certificate made on the fly
  wsgate 8080 3000 --print                  print the configuration that this amounts to

The upstream may be a port alone, a host:port, or a URL that begins with http, https, ws or wss.
`;

/** True for a command line that begins with an address to listen on. */
export function isQuick(args: readonly string[]): boolean {
  return /^(\d{1,5}|[\w.-]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5})$/.test(args[0] ?? "");
}

export async function runQuick(args: readonly string[]): Promise<number> {
  const wish = readArguments(args);
  if (typeof wish === "string") {
    process.stderr.write(`wsgate: ${wish}\n\n${USAGE}`);
    return 1;
  }
  const certificate = await findCertificate(wish);
  if ("failure" in certificate) {
    process.stderr.write(`wsgate: ${certificate.failure}\n`);
    return 1;
  }
  const config = writeConfiguration(wish, certificate);
  if (wish.print) {
    process.stdout.write(config);
    return 0;
  }
  process.stdout.write(
    `${describe(wish)}\nPress Ctrl-C to stop. --print shows the configuration that this amounts to.\n`,
  );
  const places = findPlaces({
    config: join(process.cwd(), "command-line.conf"),
    prefix: process.cwd(),
    errorLog: null,
  });
  const pidFile = join(tmpdir(), `wsgate-${process.pid}.pid`);
  return serve({ places, globals: `pid ${pidFile};`, files: { [places.config]: config }, isFrozen: false });
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

function readArguments(args: readonly string[]): Wish | string {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        tls: { type: "boolean" },
        cert: { type: "string" },
        key: { type: "string" },
        print: { type: "boolean" },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  const [listen, target, ...rest] = positionals;
  if (listen === undefined || target === undefined)
    return "an address to listen on and an upstream are needed";
  if (rest.length > 0)
    return `what is "${rest[0] ?? ""}"? One upstream is enough here; a configuration file takes more`;
  const upstream = upstreamUrl(target);
  if (upstream === null) return `"${target}" is no upstream: write http://host:port, host:port or a port`;
  const cert = values.cert ?? null;
  const key = values.key ?? null;
  if ((cert === null) !== (key === null)) return "--cert and --key belong together";
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
  if (/^\d{1,5}$/.test(target)) return `http://127.0.0.1:${target}`;
  const withScheme = /^\w+:\/\//.test(target) ? target : `http://${target}`;
  const url = withScheme.replace(/^ws(s?):\/\//, "http$1://");
  return /^https?:\/\/[^\s;{}"'$\\]+$/.test(url) && URL.canParse(url) ? url : null;
}

type Certificate = { readonly cert: string; readonly key: string } | { readonly failure: string };

async function findCertificate({ tls, cert, key }: Wish): Promise<Certificate> {
  if (!tls) return { cert: "", key: "" };
  if (cert !== null && key !== null) return { cert: resolve(cert), key: resolve(key) };
  const made = await ensureSelfSigned(join(homedir(), ".wsgate"));
  return made.ok ? { cert: made.certificatePath, key: made.keyPath } : { failure: made.failure };
}

function writeConfiguration(
  wish: Wish,
  certificate: { readonly cert: string; readonly key: string },
): string {
  const tls = wish.tls
    ? `ssl;\n        ssl_certificate "${certificate.cert}";\n        ssl_certificate_key "${certificate.key}";`
    : ";";
  return `events {}
http {
    access_log /dev/stdout;
    server {
        listen ${wish.listen}${wish.tls ? ` ${tls}` : tls}
        location / {
            proxy_pass ${wish.upstream};
            # WebSockets pass without any further line: websocket_upgrade is auto.
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }
    }
}
`;
}

function describe({ listen, upstream, tls }: Wish): string {
  const scheme = tls ? "https" : "http";
  const host = /^\d+$/.test(listen) ? `localhost:${listen}` : listen;
  return `${scheme}://${host} and ${tls ? "wss" : "ws"}://${host} -> ${upstream}`;
}
