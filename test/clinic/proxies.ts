/** HAProxy and Caddy, as Debian has them. */
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { nextTurn, within } from "../rig/deadline.ts";
import { type LeafOptions, leafCertificate, leafFiles } from "../rig/certificates.ts";
import { obtain } from "../rig/ledger.ts";
import { GrowingText, tail } from "../rig/log.ts";
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
  options: { readonly tls?: boolean } = {},
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
    ${isTls ? `tls ${certificate} ${key}` : ""}
    ${site}
}
`,
  );
  const home = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  await run("caddy", ["run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")], port, home);
  return proxyAt(port);
}

function proxyAt(port: number): ForeignProxy {
  return { port, url: (scheme, path, host = "127.0.0.1") => `${scheme}://${host}:${port}${path}` };
}

/** Starts a program and waits until it takes connections. */
async function run(
  program: string,
  args: readonly string[],
  port: number,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const child = spawn(program, args, { env: { ...process.env, ...env } });
  const output = new GrowingText();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (chunk: string) => output.push(chunk));
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  obtain(
    program,
    async () => {
      child.kill("SIGKILL");
      await ended;
    },
    () => tail(output.text, 40),
  );
  const listening = async (): Promise<void> => {
    while (!(await takesConnections(port))) {
      if (child.exitCode !== null) throw new Error(`${program} ended: ${tail(output.text, 20)}`);
      await nextTurn();
    }
  };
  await within(listening(), () => `${program} to listen; it said: ${tail(output.text, 20)}`);
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
