import { spawnSync } from "node:child_process";
import type { TestContext } from "vitest";

export type Part =
  | "nginx"
  | "nginx-stream"
  | "unshare"
  | "script"
  | "haproxy"
  | "caddy"
  | "apache"
  | "chromium"
  | "openssl"
  | "curl"
  | "nghttp2"
  | "python3-websockets"
  | "node-websocket"
  | "pcre2test";

interface OptionalPart {
  /** How to get it. */
  readonly install: string;
  /** A command that succeeds where the part is there. */
  readonly probe: readonly [program: string, ...args: string[]];
}

/** Where Debian has what other builds of nginx have within. */
export const NGINX_STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** What some tests need and a machine with Node alone lacks. */
const PARTS: Readonly<Record<Part, OptionalPart>> = {
  nginx: { install: "apt-get install nginx-light", probe: ["nginx", "-v"] },
  "nginx-stream": {
    install: "apt-get install libnginx-mod-stream",
    probe: ["sh", "-c", `nginx -V 2>&1 | grep -qE -- '--with-stream( |$)' || test -e ${NGINX_STREAM_MODULE}`],
  },
  script: { install: "bsdutils", probe: ["script", "--version"] },
  unshare: {
    install: "util-linux, and leave for user namespaces",
    probe: ["unshare", "--map-root-user", "--net", "true"],
  },
  haproxy: { install: "apt-get install haproxy", probe: ["haproxy", "-v"] },
  caddy: { install: "apt-get install caddy", probe: ["caddy", "version"] },
  apache: { install: "apt-get install apache2-bin", probe: ["apache2", "-v"] },
  chromium: { install: "apt-get install chromium", probe: ["/usr/bin/chromium", "--version"] },
  openssl: { install: "apt-get install openssl", probe: ["openssl", "version"] },
  curl: { install: "apt-get install curl", probe: ["curl", "--version"] },
  nghttp2: { install: "apt-get install nghttp2-client", probe: ["nghttp", "--version"] },
  pcre2test: { install: "apt-get install pcre2-utils", probe: ["pcre2test", "-C"] },
  "python3-websockets": {
    install: "apt-get install python3-websockets",
    probe: ["/usr/bin/python3", "-c", "import websockets"],
  },
  "node-websocket": {
    install: "Node 20.10 or newer",
    probe: [
      process.execPath,
      "--experimental-websocket",
      "-e",
      "process.exit(typeof WebSocket === 'function' ? 0 : 1)",
    ],
  },
};

const known = new Map<Part, boolean>();

/** Whether the part is on this machine. */
export function has(part: Part): boolean {
  const [program, ...args] = PARTS[part].probe;
  const answer = known.get(part) ?? spawnSync(program, args, { stdio: "ignore" }).status === 0;
  known.set(part, answer);
  return answer;
}

/**
 * Call first in a test, or in `beforeEach`, that needs optional parts. Where one is missing the test is reported as
 * skipped, with the part's name; where CI is set it fails instead, since there everything is to be installed.
 */
export function requires(context: TestContext, ...parts: readonly Part[]): void {
  const missing = parts.filter((part) => !has(part));
  if (missing.length === 0) return;
  const reason = missing.map((part) => `${part} is missing: ${PARTS[part].install}`).join(", ");
  if (isContinuousIntegration()) throw new Error(reason);
  context.skip(reason);
}

/** On a CI machine everything is to be there, and what is missing fails. */
export function isContinuousIntegration(): boolean {
  return !["", "false", undefined].includes(process.env["CI"]);
}
