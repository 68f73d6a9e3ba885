/** Who may open a WebSocket, what it may turn into, and what keeps a page from opening one. */
import type { Directive } from "../../../config/tree.ts";
import type { Configuration, Location } from "../configuration.ts";
import { evaluate, hasUpgradeToken } from "../evaluate.ts";
import { isWebSocket } from "../evidence.ts";
import { nearest, ownAll } from "../levels.ts";
import { mayTakeVeryLong } from "../patterns.ts";
import type { Rule } from "../rule.ts";
import { UPGRADE_LINES, UPGRADE_LINES_DEEPER } from "./snippets.ts";

const originUnchecked: Rule = {
  name: "origin-unchecked",
  severity: "info",
  summary: "nothing here looks at the Origin of handshakes",
  why: "WebSockets know no same-origin policy: any page may open one to this host, and the browser sends its user's cookies along (cross-site WebSocket hijacking). If the backend does not check Origin, the proxy has to.",
  check({ locations, levels, main }, report) {
    const first = locations.find(
      (location) => isWebSocket(location) && location.evidence.strength === "certain",
    );
    if (first?.proxy === undefined || first.proxy === null || main.kind === "location") return;
    if (levels.some(({ directives }) => directives.some(looksAtOrigin))) return;
    report({
      span: first.proxy.directive.span,
      message: "a page of any site may open a WebSocket here, unless the backend refuses it",
      help: "map $http_origin to 0 or 1, and in the location: if ($origin_is_foreign) { return 403; }",
    });
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    location /ws {
        proxy_pass http://127.0.0.1:3000; # <--
${UPGRADE_LINES_DEEPER}
    }
}`,
      good: `
map $http_origin $origin_is_foreign {
    default                1;
    ''                     0;
    "https://chat.example" 0;
}
server {
    listen 80;
    location /ws {
        if ($origin_is_foreign) { return 403; }
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

function looksAtOrigin({ name, args }: Directive): boolean {
  if (name.text === "websocket_allowed_origins" || name.text === "auth_request") return true;
  if (name.text !== "map" && name.text !== "if") return false;
  return args.some(({ text }) => /\$\{?http_origin\b/i.test(text));
}

/** An upgrade to HTTP/2 without TLS, RFC 7540 section 3.2. */
const H2C_REQUEST = {
  http_upgrade: "h2c",
  http_connection: "Upgrade, HTTP2-Settings",
  http_sec_websocket_key: "",
  http_sec_websocket_version: "",
};

const h2cSmuggling: Rule = {
  name: "h2c-smuggling",
  severity: "warning",
  summary: "any protocol may be upgraded to, past the checks of other locations",
  why: "$http_upgrade passes on whatever the client asks for, h2c included. A backend that speaks HTTP/2 answers 101, and from then on nginx passes bytes: requests for every path reach it, those that other locations deny or ask a password for included.",
  check(configuration, report) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const upgrade = location.proxy.headers.get("upgrade");
      const connection = location.proxy.headers.get("connection");
      if (upgrade === undefined || connection === undefined) continue;
      if (evaluate(upgrade.value, H2C_REQUEST, configuration) !== "h2c") continue;
      const sent = evaluate(connection.value, H2C_REQUEST, configuration);
      const guarded = guardedNeighbour(location);
      if (sent === undefined || !hasUpgradeToken(sent) || guarded === null) continue;
      report({
        span: upgrade.directive.span,
        message: `an upgrade to h2c gets around what guards ${guarded.path}`,
        notes: [{ message: "guarded, and passed to the same backend", span: guarded.directive.span }],
        help: "pass on no other protocol: map $http_upgrade $websocket { default ''; websocket websocket; } and proxy_set_header Upgrade $websocket;",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    location /admin/ {
        deny all;
        proxy_pass http://127.0.0.1:3000;
    }
    location /ws {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade; # <--
        proxy_set_header Connection "upgrade";
    }
}`,
      good: `
map $http_upgrade $websocket {
    default   '';
    websocket websocket;
}
server {
    listen 80;
    location /admin/ {
        deny all;
        proxy_pass http://127.0.0.1:3000;
    }
    location /ws {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $websocket;
        proxy_set_header Connection "upgrade";
    }
}`,
    },
  ],
};

const GUARDS = ["deny", "auth_basic", "auth_request", "internal", "auth_jwt", "valid_referers"] as const;

/** Another location of the server that passes to the same backend, and not for everybody. */
function guardedNeighbour(location: Location): Location | null {
  const address = location.proxy?.directive.args[0]?.text.replace(/^(\w+:\/\/[^/]*).*$/, "$1");
  return (
    location.server?.locations.find(
      ({ proxy, level, match }) =>
        match !== "named" &&
        level !== location.level &&
        proxy?.directive.args[0]?.text.replace(/^(\w+:\/\/[^/]*).*$/, "$1") === address &&
        GUARDS.some((name) => ownAll(level, name).some(({ args }) => args[0]?.text !== "off")),
    ) ?? null
  );
}

const refererCheck: Rule = {
  name: "referer-check-on-websocket",
  severity: "warning",
  summary: "handshakes are asked for a Referer, which browsers do not send with them",
  why: 'A handshake has an Origin and no Referer: a check by valid_referers without "none" refuses every WebSocket with 403 ("Unexpected response code: 403").',
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      const directive = nearest(location.level, "valid_referers");
      if (directive === null || directive.args.some(({ text }) => text === "none")) continue;
      report({
        span: directive.span,
        message: `handshakes for ${location.path} have no Referer`,
        help: "check $http_origin here, or add: none",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    valid_referers chat.example; # <--
    if ($invalid_referer) { return 403; }
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
location /ws {
    if ($http_origin !~ "^https://chat\\.example$") { return 403; }
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const passwordOnWebsocket: Rule = {
  name: "password-on-websocket",
  severity: "info",
  summary: "a WebSocket is behind a password that a page cannot send",
  why: "new WebSocket() has no way to send Authorization. Some browsers send the password that they were given for the page, others (Safari among them) do not, and the handshake ends with 401.",
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      const directive = nearest(location.level, "auth_basic");
      if (directive === null || directive.args[0]?.text === "off") continue;
      report({
        span: directive.span,
        message: `browsers may not be let in to ${location.path}`,
        help: "say auth_basic off; in the location, and let a cookie or a token in the query say who it is",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
auth_basic           "staff"; # <--
auth_basic_user_file users;
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
auth_basic           "staff";
auth_basic_user_file users;
location /ws {
    auth_basic off;
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** The Content-Security-Policy lines of answers, with the sources of `connect-src` or what stands in for it. */
function policies({
  levels,
}: Configuration): readonly { directive: Directive; sources: readonly string[] | null }[] {
  return levels
    .flatMap((level) => ownAll(level, "add_header"))
    .filter(({ args }) => args[0]?.text.toLowerCase() === "content-security-policy")
    .map((directive) => {
      const lists = (directive.args[1]?.text ?? "").split(";").map((each) => each.trim().split(/\s+/));
      const list =
        lists.find(([name]) => name?.toLowerCase() === "connect-src") ??
        lists.find(([name]) => name?.toLowerCase() === "default-src");
      return {
        directive,
        sources: list === undefined ? null : list.slice(1).map((each) => each.toLowerCase()),
      };
    });
}

const policyBlocksWebsocket: Rule = {
  name: "policy-blocks-websocket",
  severity: "warning",
  summary: "the Content-Security-Policy lets pages open no WebSocket",
  why: "connect-src, or default-src in its place, names what scripts may connect to. Without 'self' or a ws source the browser refuses before a byte is sent: \"Refused to connect to 'wss://…' because it violates the following Content Security Policy directive\".",
  check(configuration, report) {
    if (!configuration.locations.some(isWebSocket)) return;
    for (const { directive, sources } of policies(configuration)) {
      if (sources === null || sources.some(allowsWebSocket)) continue;
      report({
        span: directive.span,
        message: "pages with this policy may open no WebSocket",
        help: "add to connect-src: 'self' wss://HOST",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
add_header Content-Security-Policy "default-src 'none'; script-src 'self'"; # <--
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
add_header Content-Security-Policy "default-src 'none'; script-src 'self'; connect-src 'self'";
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** Also a host without a scheme, which takes that of the page; variables may hold anything. */
function allowsWebSocket(source: string): boolean {
  if (source === "*" || source === "'self'" || /^wss?:/.test(source) || source.includes("$")) return true;
  return /^[a-z0-9*]/.test(source) && !/^(https?|data|blob|filesystem|mediastream):/.test(source);
}

const mixedContent: Rule = {
  name: "mixed-content",
  severity: "warning",
  summary: "a page that comes over https is told of a ws:// address",
  why: "Browsers let a page on https open nothing but wss: \"Mixed Content: The page at 'https://…' was loaded over HTTPS, but attempted to connect to the insecure WebSocket endpoint 'ws://…'\".",
  check({ servers }, report) {
    for (const { listens, level, locations } of servers) {
      if (!listens.some(({ isTls }) => isTls)) continue;
      for (const at of [level, ...locations.map((location) => location.level)]) {
        for (const directive of at.directives) {
          if (!["sub_filter", "return", "add_header", "error_page"].includes(directive.name.text)) continue;
          const word = directive.args.find(({ text }) =>
            /\bws:\/\/(?!localhost\b|127\.|\[::1\])/i.test(text),
          );
          // The first word of sub_filter is what is replaced; a policy that has wss as well lets both.
          if (word === undefined || (directive.name.text === "sub_filter" && word === directive.args[0]))
            continue;
          if (directive.name.text === "add_header" && /\bwss:/.test(word.text)) continue;
          report({ span: word.span, message: "the browser refuses ws:// here", help: "write wss://" });
        }
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
listen 443 ssl;
ssl_certificate     cert.pem;
ssl_certificate_key key.pem;
location = /config.js {
    return 200 "const socket = 'ws://chat.example/ws'"; # <--
}`,
      good: `
listen 443 ssl;
ssl_certificate     cert.pem;
ssl_certificate_key key.pem;
location = /config.js {
    return 200 "const socket = 'wss://chat.example/ws'";
}`,
    },
  ],
};

const patternBacktracks: Rule = {
  name: "pattern-backtracks",
  severity: "warning",
  summary: "a regular expression may take exponential time",
  why: "PCRE goes back and tries again: a path that is made for it keeps a worker of nginx busy up to the match limit, and all tunnels of that worker wait.",
  check({ levels, locations, maps }, report) {
    const patterns = [
      ...locations.flatMap(({ match, directive, path }) =>
        match === "regex" ? [{ directive, pattern: path }] : [],
      ),
      ...levels
        .flatMap((level) => ownAll(level, "rewrite"))
        .map((directive) => ({ directive, pattern: directive.args[0]?.text ?? "" })),
      ...[...maps.values()].flatMap(({ entries }) =>
        entries.flatMap((directive) => {
          const pattern = /^~\*?(.*)$/s.exec(directive.name.text)?.[1];
          return pattern === undefined ? [] : [{ directive, pattern }];
        }),
      ),
    ];
    for (const { directive, pattern } of patterns) {
      if (!mayTakeVeryLong(pattern)) continue;
      report({
        span: directive.span,
        message: "a text can be made that this pattern reads in very many ways",
        help: "write it so that each text can be read in one way, without one repetition inside another",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location ~ ^/(\\w+/?)+$ { # <--
    return 204;
}`,
      good: `
location ~ ^/(\\w+/)*$ {
    return 204;
}`,
    },
  ],
};

export const securityRules: readonly Rule[] = [
  originUnchecked,
  h2cSmuggling,
  refererCheck,
  passwordOnWebsocket,
  policyBlocksWebsocket,
  mixedContent,
  patternBacktracks,
];
