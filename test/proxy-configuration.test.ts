/** What is said of configurations that proxy in a way that cannot work, and of those that are accepted. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compile } from "../src/compile/compile.ts";
import type { Diagnostic } from "../src/config/diagnostic.ts";
import { memoryFiles } from "../src/config/files.ts";
import { modules } from "../src/modules/index.ts";
import { useRig } from "./rig/ledger.ts";
import { temporaryFolder } from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";

useRig();

async function diagnose(http: string): Promise<readonly Diagnostic[]> {
  const { diagnostics } = await compile({
    file: "/x.conf",
    prefix: "/",
    defaultErrorLog: "stderr",
    files: memoryFiles({ "/x.conf": `events {}\nhttp { ${http} }` }),
    modules,
  });
  return diagnostics;
}

function inLocation(text: string, location = "/"): string {
  return `server { listen 8099; location ${location} { ${text} } }`;
}

/** Severity and words of the first complaint. */
function first(diagnostics: readonly Diagnostic[]): string {
  const [one] = diagnostics;
  return one === undefined ? "" : `[${one.severity}] ${one.message}`;
}

/** The same, as `nginx -t` prints it. */
function nginxComplaint(http: string): string {
  const folder = temporaryFolder();
  const file = join(folder, "nginx.conf");
  writeFileSync(file, `pid ${folder}/pid; error_log stderr; events {}\nhttp { access_log off; ${http} }`);
  const { stderr } = spawnSync("nginx", ["-t", "-p", folder, "-c", file], { encoding: "utf8" });
  const line = stderr.split("\n").find((each) => /\[(emerg|warn)\]/.test(each)) ?? "";
  return line.replace(/^.*?\[(\w+)\] \d+#\d+: /, "[$1] ").replace(/ in \S+:\d+$/, "");
}

const REFUSED: readonly (readonly [what: string, http: string])[] = [
  ["a URL without a scheme", inLocation("proxy_pass 127.0.0.1:80;")],
  ["a scheme of WebSockets", inLocation("proxy_pass ws://127.0.0.1;")],
  ["no host", inLocation("proxy_pass http://;")],
  ["a port that is none", inLocation("proxy_pass http://127.0.0.1:x;")],
  ["a port beyond 65535", inLocation("proxy_pass http://127.0.0.1:65536;")],
  ["a host that is not found", inLocation("proxy_pass http://no-such-host.invalid;")],
  ["two proxy_pass", inLocation("proxy_pass http://127.0.0.1; proxy_pass http://127.0.0.1;")],
  ["a URI in a regex location", inLocation("proxy_pass http://127.0.0.1/x;", "~ ^/a")],
  ["a URI in a named location", inLocation("proxy_pass http://127.0.0.1/x;", "@a")],
  ["a URI in an if", inLocation("if ($arg_a) { proxy_pass http://127.0.0.1/x; }")],
  ["a URI in a limit_except", inLocation("limit_except GET { proxy_pass http://127.0.0.1/x; }")],
  ["proxy_pass on the server's level", "server { proxy_pass http://127.0.0.1; }"],
  [
    "a port beside an upstream's name",
    `upstream app { server 127.0.0.1; } ${inLocation("proxy_pass http://app:81;")}`,
  ],
  [
    "proxy_redirect default with variables",
    inLocation("proxy_pass http://127.0.0.1$uri; proxy_redirect default;"),
  ],
  ["a single word in proxy_redirect", inLocation("proxy_pass http://127.0.0.1; proxy_redirect x;")],
  ["an unknown word in proxy_next_upstream", inLocation("proxy_next_upstream never;")],
  ["an address that is none in proxy_bind", inLocation("proxy_bind 1.2.3.4.5;")],
  ["one buffer", inLocation("proxy_buffers 1 4k;")],
  [
    "a key without its certificate",
    inLocation("proxy_pass https://127.0.0.1; proxy_ssl_certificate /dev/null;"),
  ],
  ["verification without an authority", inLocation("proxy_pass https://127.0.0.1; proxy_ssl_verify on;")],
  ["an upstream without servers", "upstream app { }"],
  ["an upstream of backups", "upstream app { server 127.0.0.1 backup; }"],
  ["two upstreams of one name", "upstream app { server 127.0.0.1; } upstream app { server 127.0.0.1; }"],
  ["a server that is not found", "upstream app { server no-such-host.invalid; }"],
  ["a weight of 0", "upstream app { server 127.0.0.1 weight=0; }"],
  ["an unknown parameter", "upstream app { server 127.0.0.1 wieght=1; }"],
  ["a time that is none", "upstream app { server 127.0.0.1 fail_timeout=soon; }"],
  ["a backup after ip_hash", "upstream app { ip_hash; server 127.0.0.1; server 127.0.0.2 backup; }"],
  ["keepalive without a number", "upstream app { server 127.0.0.1; keepalive many; }"],
  ["hash with another word than consistent", "upstream app { server 127.0.0.1; hash $uri constant; }"],
  ["random three", "upstream app { server 127.0.0.1; random three; }"],
];

describe("refused in nginx's words", () => {
  test.for(REFUSED)("%s", async ([, http], context) => {
    requires(context, "nginx");
    const ours = first(await diagnose(http));
    expect(ours).toMatch(/^\[emerg\] /);
    expect(ours).toBe(nginxComplaint(http));
  });
});

test.each([
  ["HTTP/2 to an upstream", inLocation("proxy_http_version 2;"), 'invalid value "2"', /HTTP\/2/],
  [
    "server … resolve",
    "upstream app { server a.test resolve; }",
    'invalid parameter "resolve"',
    /wsgate does not/,
  ],
  [
    "a transparent proxy_bind",
    inLocation("proxy_bind $remote_addr transparent;"),
    'invalid parameter "transparent"',
    /Node/,
  ],
  [
    "h2c as a protocol",
    inLocation("proxy_upgrade_protocols websocket h2c;"),
    'invalid value "h2c"',
    /HTTP\/2/,
  ],
  ["a cache", inLocation("proxy_cache zone;"), 'invalid value "zone"', /"off"/],
  ["a store", inLocation("proxy_store on;"), 'invalid value "on"', /"off"/],
  [
    "a cache's path",
    "proxy_cache_path /tmp keys_zone=a:1m;",
    'unknown directive "proxy_cache_path"',
    /nginx has it/,
  ],
])("%s is refused with the reason", async (_what, http, message, note) => {
  const [diagnostic] = await diagnose(http);
  expect(diagnostic?.message).toBe(message);
  expect(diagnostic?.notes.map((each) => each.message).join("\n")).toMatch(note);
});

test("two methods in one upstream are nginx's warning", async () => {
  const diagnostics = await diagnose("upstream app { ip_hash; least_conn; server 127.0.0.1; }");
  expect(first(diagnostics)).toBe("[warn] load balancing method redefined");
});

test("what has no meaning without a cache is accepted, since many configurations have it", async () => {
  const text =
    "proxy_cache off; proxy_cache_bypass $http_upgrade; proxy_no_cache 1; proxy_store off; proxy_busy_buffers_size 8k;";
  expect(await diagnose(inLocation(text))).toEqual([]);
});

test("an upstream may be defined after its use, and is found whatever the letters", async () => {
  const text = `${inLocation("proxy_pass http://App;")} upstream aPP { server 127.0.0.1; }`;
  expect(await diagnose(text)).toEqual([]);
});
