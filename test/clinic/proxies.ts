/** HAProxy, Caddy and Apache, as Debian has them. */
import { spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { nextTurn, within } from "../rig/deadline.ts";
import { authorityCertificate, type LeafOptions, leafCertificate, leafFiles } from "../rig/certificates.ts";
import { obtain } from "../rig/ledger.ts";
import { GrowingText, readFileIfAny, tail } from "../rig/log.ts";
import { reservePort } from "../rig/ports.ts";
import { temporaryFolder } from "../rig/proxy-process.ts";

export interface ForeignProxy {
  readonly port: number;
  /** `scheme://HOST:PORT/path`, by IP address where no host is named. */
  url(scheme: "ws" | "wss", path: string, host?: string): string;
}

export interface HaproxyOptions {
  /** Behind the address on the bind line; `{{crt}}` is the file of certificate and key. */
  readonly bind?: string;
  readonly frontend?: string;
  readonly backend: string;
  readonly defaults?: string;
  readonly leaf?: LeafOptions;
}

export async function startHaproxy(options: HaproxyOptions): Promise<ForeignProxy> {
  const folder = temporaryFolder();
  const port = await reservePort();
  const { cert, key } = await leafCertificate(options.leaf);
  writeFileSync(join(folder, "both.pem"), cert + key);
  const bind = (options.bind ?? "").replace("{{crt}}", join(folder, "both.pem"));
  writeFileSync(
    join(folder, "haproxy.cfg"),
    `global
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 2s
    retries 0
    timeout client 30s
    timeout server 30s
    ${options.defaults ?? ""}
frontend front
    bind 127.0.0.1:${port} ${bind}
    ${options.frontend ?? ""}
    default_backend back
backend back
    ${options.backend}
`,
  );
  await run("haproxy", ["-db", "-f", join(folder, "haproxy.cfg")], port, {});
  return proxyAt(port);
}

/** `site` is the inside of the one site, which has a certificate of the rig's where it has TLS. */
export async function startCaddy(
  site: string,
  options: {
    readonly tls?: boolean;
    /** The block about clients' certificates. */
    readonly clientAuth?: string;
  } = {},
): Promise<ForeignProxy> {
  const folder = temporaryFolder();
  const port = await reservePort();
  const { certificate, key } = await leafFiles();
  const isTls = options.tls === true;
  writeFileSync(
    join(folder, "Caddyfile"),
    `{
    admin off
    auto_https off
    skip_install_trust
    # HTTP/3 would take the UDP port by which the rig has reserved the number.
    servers {
        protocols h1 h2
    }
}
${isTls ? "https" : "http"}://localhost:${port}, ${isTls ? "https" : "http"}://127.0.0.1:${port} {
    bind 127.0.0.1
    ${isTls ? `tls ${certificate} ${key} {\n${options.clientAuth ?? ""}\n}` : ""}
    ${site}
}
`,
  );
  const home = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  await run("caddy", ["run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")], port, home);
  return proxyAt(port);
}

const APACHE_MODULES = "/usr/lib/apache2/modules";
const APACHE_ALWAYS: readonly string[] = ["mpm_event", "authz_core", "mime", "dir"];

export const APACHE_PROXY: readonly string[] = ["proxy", "proxy_http"];

export interface ApacheOptions {
  /** Besides those that every Apache of Debian's has. */
  readonly modules: readonly string[];
  /** The inside of the server. */
  readonly lines: string;
  readonly tls?: boolean;
}

/** Apache httpd in one process. */
export async function startApache({ modules, lines, tls = false }: ApacheOptions): Promise<ForeignProxy> {
  const folder = temporaryFolder();
  // Apache gives its privileges away before it looks for pages.
  chmodSync(folder, 0o755);
  const port = await reservePort();
  const { certificate, key } = await leafFiles();
  const loaded = [...APACHE_ALWAYS, ...modules, ...(tls ? ["ssl"] : [])];
  writeFileSync(
    join(folder, "apache.conf"),
    `ServerRoot ${folder}
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
User www-data
Group www-data
ServerName localhost
Listen 127.0.0.1:${port}
${loaded.map((name) => `LoadModule ${name}_module ${APACHE_MODULES}/mod_${name}.so`).join("\n")}
TypesConfig /dev/null
DocumentRoot ${folder}
ErrorLog error.log
${tls ? `SSLEngine on\nSSLCertificateFile ${certificate}\nSSLCertificateKeyFile ${key}` : ""}
${lines}
`,
  );
  const log = join(folder, "error.log");
  await run("apache2", ["-X", "-f", join(folder, "apache.conf")], port, {}, log);
  return proxyAt(port);
}

/** The path of a file with the rig's authority, in a folder of the test's own. */
export async function authorityFile(): Promise<string> {
  const file = join(temporaryFolder(), "authority.crt");
  writeFileSync(file, await authorityCertificate());
  return file;
}

function proxyAt(port: number): ForeignProxy {
  return { port, url: (scheme, path, host = "127.0.0.1") => `${scheme}://${host}:${port}${path}` };
}

/** Starts a program and waits until it takes connections; `log` is the file into which it writes what it does not print. */
async function run(
  program: string,
  args: readonly string[],
  port: number,
  env: Readonly<Record<string, string>>,
  log: string | null = null,
): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  const output = new GrowingText();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => output.push(chunk));
  const said = (): string => output.text + (log === null ? "" : readFileIfAny(log));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  obtain(
    program,
    async () => {
      child.kill("SIGKILL");
      await ended;
    },
    () => tail(said(), 40),
  );
  const listening = async (): Promise<void> => {
    while (!(await takesConnections(port))) {
      if (child.exitCode !== null) throw new Error(`${program} ended: ${tail(said(), 20)}`);
      await nextTurn();
    }
  };
  await within(listening(), () => `${program} to listen; it said: ${tail(said(), 20)}`);
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      socket.once("close", () => resolve(true));
    });
    socket.once("error", () => resolve(false));
  });
}
