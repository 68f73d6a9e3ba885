/** Each rule of lint against its own examples, and a real nginx on what the rules call good. */
import { describe, expect, test } from "vitest";
import { memoryFiles } from "../src/config/files.ts";
import { fix } from "../src/doctor/lint/fix.ts";
import type { Rule, RuleExample } from "../src/doctor/lint/rule.ts";
import { rules } from "../src/doctor/lint/rules/index.ts";
import { modules } from "../src/modules/index.ts";
import {
  EXAMPLE_FILE,
  lintText,
  markedLines,
  nginxIsAtLeast,
  nginxRefuses,
  wholeFile,
} from "./rig/lint-examples.ts";
import { useRig } from "./rig/ledger.ts";
import { requires } from "./rig/requires.ts";

useRig();

const cases = rules.flatMap((rule) =>
  rule.examples.map((example, i) => ({ title: `${rule.name} ${i + 1}`, rule, example })),
);

/** The lines of a text that a rule finds, and what it says of each. */
function foundLines(rule: Rule, text: string): readonly number[] {
  const { findings } = lintText(text);
  const lines = findings.flatMap((finding) =>
    finding.rule === rule.name && finding.span !== null ? [finding.span.line] : [],
  );
  return [...new Set(lines)];
}

describe("each rule", () => {
  test.each(cases)("$title finds the marked lines of its bad example and no others", ({ rule, example }) => {
    const text = wholeFile(example.bad, example.inside);
    expect(markedLines(text).length).toBeGreaterThan(0);
    expect(foundLines(rule, text)).toEqual(markedLines(text));
  });

  test.each(cases)("$title: nobody finds a fault in its good example", ({ rule, example }) => {
    const { findings } = lintText(wholeFile(example.good, example.inside));
    const faults = findings.filter((finding) => finding.rule === rule.name || finding.severity !== "info");
    expect(faults.map((finding) => `${finding.rule}: ${finding.message}`)).toEqual([]);
  });

  test.for(cases)("$title: a real nginx takes the good example", async ({ example }, context) => {
    requires(context, "nginx");
    if (example.since !== undefined && !nginxIsAtLeast(example.since))
      context.skip(`wants nginx ${example.since}`);
    if (example.needs !== undefined) requires(context, example.needs);
    expect(await nginxRefuses(wholeFile(example.good, example.inside))).toBeNull();
  });
});

function mend(text: string): string {
  const files = memoryFiles({ [EXAMPLE_FILE]: text });
  const options = { file: EXAMPLE_FILE, files, modules, target: "any", nginxVersion: null } as const;
  return fix(options, () => true).changes[0]?.after ?? text;
}

function isFixable({ rule, example }: { rule: Rule; example: RuleExample }): boolean {
  return lintText(wholeFile(example.bad, example.inside)).findings.some(
    (finding) => finding.rule === rule.name && finding.edits.length > 0,
  );
}

/** Whose bad examples nginx itself refuses, so that what their rules say of it is true. */
const REFUSED: ReadonlySet<string> = new Set([
  "map-misplaced 1",
  "map-entry-without-quotes 1",
  "connection-variable-undefined 1",
  "proxy-pass-uri-in-regex 1",
  "proxy-pass-scheme 1",
  "tls-without-certificate 1",
  "semicolon-missing 1",
  "directive-misplaced 1",
  "directive-misspelt 1",
  "argument-count 1",
  "unknown-to-nginx 1",
]);

test.for(cases)(
  "$title: the bad example is one that a real nginx takes, unless it is about that",
  async ({ title, example }, context) => {
    requires(context, "nginx");
    if (example.needs !== undefined) requires(context, example.needs);
    const refusal = await nginxRefuses(wholeFile(example.bad, example.inside));
    // The directive was taken out of nginx then.
    const isGone = title === "ssl-directive 1" && nginxIsAtLeast("1.25.1");
    expect({ refusal, isRefused: refusal !== null }).toMatchObject({
      isRefused: isGone || REFUSED.has(title),
    });
  },
);

describe("--fix", () => {
  const fixable = cases.filter(isFixable);

  test.each(fixable)(
    "$title: what is mended is found no more, and mending again changes nothing",
    ({ rule, example }) => {
      const text = wholeFile(example.bad, example.inside);
      const mended = mend(text);
      expect(mended).not.toBe(text);
      expect(foundLines(rule, mended)).toEqual([]);
      expect(mend(mended)).toBe(mended);
    },
  );

  test.for(fixable)(
    "$title: nginx takes what is mended where it took the original",
    async ({ example }, context) => {
      requires(context, "nginx");
      const text = wholeFile(example.bad, example.inside);
      const before = await nginxRefuses(text);
      const after = await nginxRefuses(mend(text));
      expect(before === null ? after : null).toBeNull();
    },
  );

  test("mends several kinds of faults", () => {
    expect(new Set(fixable.map(({ rule }) => rule.name)).size).toBeGreaterThan(5);
  });
});

const UPGRADE = `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;`;
const MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }";

/** What real configurations have, and nothing is wrong with. */
const HEALTHY: Readonly<Record<string, string>> = {
  "answers to CORS preflights from an if": `server { listen 80; location /api/ {
    if ($request_method = OPTIONS) { add_header Access-Control-Allow-Origin *; add_header Content-Length 0; return 204; }
    proxy_pass http://127.0.0.1:3000; } }`,
  "a redirect to https that certbot has written": `server { if ($host = a.example) { return 301 https://$host$request_uri; }
    listen 80; server_name a.example; return 404; }
    server { listen 443 ssl; server_name a.example; ssl_certificate c; ssl_certificate_key k; location / { proxy_pass http://127.0.0.1:1; } }`,
  "servers that share a TLS address and a certificate": `ssl_certificate c; ssl_certificate_key k;
    server { listen 443 ssl default_server; server_name _; return 444; }
    server { listen 443 ssl; server_name a.example; root a; }`,
  "backends by variables, with a resolver": `resolver 127.0.0.11 valid=30s;
    server { listen 80; location / { set $app chat; set $port 80; set $proto http; proxy_pass $proto://$app:$port; } }`,
  "a path passed on by $request_uri": `upstream app { server 127.0.0.1:1; }
    server { listen 80; location /a { proxy_pass http://app$request_uri; } }`,
  "a path passed on by a rewrite": `server { listen 80; location /a/ { rewrite ^/a/(.*)$ /$1 break; proxy_pass http://127.0.0.1:1; } }`,
  "static files by a regular expression beside a socket": `${MAP} server { listen 80; root html;
    location ~* \\.(js|css|png)$ { expires 1h; } location ~ /\\.(?!well-known) { deny all; }
    location /socket.io/ { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
  "one backend behind Socket.IO, with a backup": `${MAP} upstream io { server 127.0.0.1:1; server 127.0.0.1:2 backup; }
    server { listen 80; location /socket.io/ { proxy_pass http://io; ${UPGRADE} } }`,
  "upgrade headers in the server, for all its locations": `${MAP} server { listen 80; ${UPGRADE}
    location / { proxy_pass http://127.0.0.1:1; } location /ws { proxy_pass http://127.0.0.1:2; } }`,
  "a map that keeps connections alive": `map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    upstream app { server 127.0.0.1:1; keepalive 8; } server { listen 80; location / { proxy_pass http://app; ${UPGRADE} } }`,
  "real addresses from a proxy that is named": `set_real_ip_from 10.0.0.0/8; real_ip_header X-Forwarded-For;
    server { listen 80; location / { proxy_pass http://127.0.0.1:1; proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto; } }`,
  "files under an alias": `server { listen 80; location /a/ { alias /srv/a/; } location /b { alias /srv/b; } }`,
  "an auth subrequest without a body": `server { listen 80; location = /auth { internal; proxy_pass http://127.0.0.1:1;
    proxy_pass_request_body off; proxy_set_header Content-Length ""; } location / { auth_request /auth; proxy_pass http://127.0.0.1:2; } }`,
  "HTTP/2 over TLS beside WebSockets": `${MAP} server { listen 443 ssl http2; listen [::]:443 ssl http2; server_name a.example;
    ssl_certificate c; ssl_certificate_key k; location /ws { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
  "a policy that names wss": `${MAP} server { listen 80; add_header Content-Security-Policy "default-src 'self'; connect-src wss://a.example";
    location /ws { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
  "a policy for all schemes of a host": `${MAP} server { listen 80; add_header Content-Security-Policy "connect-src a.example";
    location /ws { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
  "ciphers of Mozilla's intermediate list": `server { listen 80; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:!aNULL:!eNULL:!EXPORT:!DES:!RC4:!MD5; }`,
  "the same name for both protocols": `server { listen 80; listen [::]:80; server_name a.example; } server { listen 8080; server_name a.example; }`,
  "mail and its own servers": `server { listen 80; } } mail { server { listen 443; protocol imap; proxy_pass_error_message on; }`,
  "an upstream with TLS by address": `upstream app { server 10.0.0.1:443; } server { listen 80; location / { proxy_pass https://app; } }`,
  "geo and types, whose entries are no directives": `geo $a { default 0; map 1; server 2; } types { server map; } server { listen 80; }`,
};

test.each(Object.entries(HEALTHY))("stays quiet about %s", (_, http) => {
  const { findings } = lintText(`events {} http { ${http} }`);
  const faults = findings.filter(({ severity }) => severity !== "info");
  expect(faults.map(({ rule, message }) => `${rule}: ${message}`)).toEqual([]);
});

/** Other forms of the faults than those of the examples. */
const SICK: Readonly<Record<string, readonly [http: string, ...rules: string[]]>> = {
  "quotes of a word processor around the empty key": [
    `map $http_upgrade $connection_upgrade { default upgrade; “” close; } server { listen 80; location / { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
    "map-entry-without-quotes",
    "map-without-empty-entry",
  ],
  "a space for the empty key": [
    `map $http_upgrade $connection_upgrade { default upgrade; ' ' close; } server { listen 80; location / { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
    "map-entry-without-quotes",
    "map-without-empty-entry",
  ],
  "a misspelt source of the map": [
    `map $http_updgrade $connection_upgrade { default upgrade; '' close; } server { listen 80; location / { proxy_pass http://127.0.0.1:1; ${UPGRADE} } }`,
    "map-wrong-variable",
  ],
  "Connection: close in front of a socket": [
    `server { listen 80; location /ws { proxy_pass http://127.0.0.1:1; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection ""; } }`,
    "upgrade-half-set",
  ],
  "HTTP/2 to the backend of a socket": [
    `${MAP} server { listen 80; location /ws { proxy_pass http://127.0.0.1:1; proxy_http_version 2; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; } }`,
    "upgrade-http-version",
  ],
  "a nested location that loses the headers": [
    `${MAP} server { listen 80; location /app/ { ${UPGRADE} location /app/ws { proxy_pass http://127.0.0.1:1; proxy_set_header X-A b; } } }`,
    "upgrade-headers-wiped",
  ],
  "an open proxy": [
    "server { listen 80; location / { proxy_pass http://$http_host; } }",
    "backend-chosen-by-client",
  ],
  "all IPv6 addresses trusted": ["set_real_ip_from ::/0; server { listen 80; }", "real-ip-from-anyone"],
  "TLS 1.0 alone": ["server { listen 80; ssl_protocols TLSv1; }", "tls-protocols-refused"],
  "RC4 alone": ["server { listen 80; ssl_ciphers RC4-SHA:RC4-MD5; }", "tls-ciphers-weak"],
  "an IPv6 address for wss": [
    "server { listen 443 ssl; server_name [2001:db8::1]; ssl_certificate c; ssl_certificate_key k; }",
    "tls-for-address",
  ],
  "two servers without a name at one port": [
    "server { listen 80; } server { listen 80; }",
    "server-name-conflict",
  ],
  "a swallowed block": ["server { listen 80\nlocation / { return 204; } }", "semicolon-missing"],
  "wss for a backend": [
    "server { listen 80; location / { proxy_pass wss://127.0.0.1:1; } }",
    "proxy-pass-scheme",
  ],
};

test.each(Object.entries(SICK))("finds %s", (_, [http, ...expected]) => {
  const { findings } = lintText(`events {}\nhttp { ${http} }`);
  const faults = findings.filter(({ severity }) => severity !== "info").map(({ rule }) => rule);
  expect([...new Set(faults)].sort()).toEqual([...expected].sort());
});

test("every rule is named in kebab-case, once, and says in sentences why it matters", () => {
  const names = rules.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  for (const { name, why, summary } of rules) {
    expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9.]+)+$/);
    expect(why).toMatch(/^.{30,}[.")]$/s);
    expect(summary).toMatch(/^.{15,}[^.]$/s);
  }
});
