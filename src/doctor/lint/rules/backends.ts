/** The backends: which one is asked, how it is reached, and how often. */
import { isIP } from "node:net";
import type { Configuration, Location } from "../configuration.ts";
import { insertAfter } from "../edits.ts";
import { evaluate, PLAIN_REQUEST, variablesIn } from "../evaluate.ts";
import { isWebSocket } from "../evidence.ts";
import { nearest, nearestList, own, ownAll, valueAt } from "../levels.ts";
import type { Proxy } from "../proxy.ts";
import { isAtLeast, type Rule } from "../rule.ts";
import { UPGRADE_LINES, UPGRADE_LINES_DEEPER } from "./snippets.ts";

/** Libraries that begin with HTTP requests of one session, all of which have to reach the same backend. */
const SESSION_PATHS = /socket\\?\.io|engine\\?\.io|sock-?js|signalr|negotiate|bayeux|faye|cometd|primus/i;
const STICKY = ["ip_hash", "hash", "sticky", "sticky_cookie_insert", "jvm_route"] as const;

const severalBackendsWithoutStickiness: Rule = {
  name: "several-backends-without-stickiness",
  severity: "warning",
  summary: "requests of one session go to backends in turn",
  why: 'Socket.IO, SockJS and SignalR begin with plain requests that carry a session id, which only the backend that gave it knows: at every other one the next request, or the handshake, ends with 400 (Socket.IO: "Session ID unknown").',
  check({ locations }, report) {
    for (const { proxy, path, directive } of locations) {
      const upstream = proxy?.upstream;
      if (!upstream || upstream.level.directive === null || !SESSION_PATHS.test(path)) continue;
      if (upstream.active.length < 2 || STICKY.some((name) => own(upstream.level, name) !== null)) continue;
      report({
        span: upstream.level.directive.span,
        message: `${upstream.active.length} backends take turns with the requests of a session`,
        notes: [{ message: "the location", span: directive.span }],
        help: "add to the upstream: hash $remote_addr consistent; (or ip_hash), or allow clients WebSockets only",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
upstream chat { # <--
    server 127.0.0.1:3000;
    server 127.0.0.1:3001;
}
server {
    listen 80;
    location /socket.io/ {
        proxy_pass http://chat;
${UPGRADE_LINES_DEEPER}
    }
}`,
      good: `
upstream chat {
    ip_hash;
    server 127.0.0.1:3000;
    server 127.0.0.1:3001;
}
server {
    listen 80;
    location /socket.io/ {
        proxy_pass http://chat;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

const keepaliveWithoutConnection: Rule = {
  name: "keepalive-without-connection",
  severity: "warning",
  summary: "an upstream keeps connections alive, and requests tell it to close them",
  why: 'Connections to a backend are kept only for HTTP/1.1 requests without "Connection: close", which is what nginx sends unless told otherwise (until 1.29.7). Each request then costs a new connection, and the keepalive line does nothing.',
  check(configuration, report, setting) {
    for (const { proxy } of configuration.locations) {
      const keepalive = proxy?.upstream ? own(proxy.upstream.level, "keepalive") : null;
      if (proxy === null || keepalive === null || keepalive.args[0]?.text === "0") continue;
      const reason = whyClosed(proxy, configuration, isAtLeast(setting, 1, 29, 7));
      if (reason === null) continue;
      report({
        span: proxy.directive.span,
        message: `no connection is kept: ${reason}`,
        notes: [{ message: "the upstream's keepalive", span: keepalive.span }],
        help: `write proxy_http_version 1.1; and for Connection an empty value where a request is no handshake: map $http_upgrade $connection_upgrade { default upgrade; '' ''; }`,
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
upstream app {
    server 127.0.0.1:3000;
    keepalive 16;
}
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      close;
}
server {
    listen 80;
    location / {
        proxy_pass http://app; # <--
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}`,
      good: `
upstream app {
    server 127.0.0.1:3000;
    keepalive 16;
}
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
}
server {
    listen 80;
    location / {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}`,
    },
  ],
};

function whyClosed(proxy: Proxy, configuration: Configuration, isNew: boolean): string | null {
  const connection = proxy.headers.get("connection");
  if (connection === undefined) return isNew ? null : 'without a line of its own, Connection is "close"';
  const plain = evaluate(connection.value, PLAIN_REQUEST, configuration);
  if (plain?.toLowerCase() === "close") return 'plain requests say "Connection: close"';
  const version = proxy.httpVersion?.args[0]?.text ?? (isNew ? "1.1" : "1.0");
  return version === "1.0" ? "requests go out with HTTP/1.0" : null;
}

const nextUpstreamNonIdempotent: Rule = {
  name: "next-upstream-non-idempotent",
  severity: "warning",
  summary: "requests that change something are sent again to the next backend",
  why: "With non_idempotent nginx repeats POST and the like when a backend fails in the middle: what the polling transports of Socket.IO and SockJS send arrives twice, such as a message in a chat.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "proxy_next_upstream"))) {
      const word = directive.args.find(({ text }) => text === "non_idempotent");
      if (word === undefined) continue;
      report({
        span: word.span,
        message: "a POST may be carried out twice",
        help: "take non_idempotent away",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_next_upstream error timeout non_idempotent; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_next_upstream error timeout;
}`,
    },
  ],
};

/** The host that a proxy_pass with variables leads to, as far as the file says: null where it does not. */
function hostOf(proxy: Proxy, configuration: Configuration): string | null {
  const url = evaluate(proxy.directive.args[0]?.text ?? "", PLAIN_REQUEST, configuration);
  return url === undefined ? null : (/^https?:\/\/(\[[^\]]*\]|[^/:?]*)/i.exec(url)?.[1] ?? null);
}

const variableWithoutResolver: Rule = {
  name: "variable-without-resolver",
  severity: "error",
  summary: "proxy_pass has a variable, the name in it is looked up while running, and there is no resolver",
  why: 'With a variable in proxy_pass, names are looked up for each request, and nginx asks no one but the resolver of the configuration: without one every request ends with 502 and "no resolver defined to resolve …" in the error log.',
  check(configuration, report) {
    if (configuration.isPartial) return;
    for (const { proxy, level } of configuration.locations) {
      if (proxy === null || !proxy.hasVariables || nearest(level, "resolver") !== null) continue;
      const host = hostOf(proxy, configuration);
      if (host === null || host === "" || host.startsWith("unix")) continue;
      if (configuration.upstreams.has(host) || isIP(host.replace(/^\[|\]$/g, "")) !== 0) continue;
      report({
        span: proxy.directive.span,
        message: `no resolver defined to resolve ${host}`,
        help: "add a resolver, as in: resolver 127.0.0.53 valid=30s; or name an upstream",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    set $backend chat.internal;
    proxy_pass http://$backend:3000; # <--
${UPGRADE_LINES}
}`,
      good: `
resolver 127.0.0.53 valid=30s;
location /ws {
    set $backend chat.internal;
    proxy_pass http://$backend:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** What the client chooses freely. */
const OF_THE_CLIENT = /^(?:host|http_host|arg_\w+|cookie_\w+|http_(?!upgrade$)\w+)$/;

const backendChosenByClient: Rule = {
  name: "backend-chosen-by-client",
  severity: "error",
  summary: "the client says which host the request is passed on to",
  why: "Host, a query argument or a header may say anything: the proxy then reaches into the internal network on behalf of whoever asks, or passes requests on to itself in a circle. A WebSocket makes it a lasting tunnel.",
  check({ locations, maps }, report) {
    for (const { proxy, server } of locations) {
      if (proxy === null) continue;
      const chosen = variablesIn(proxy.host).find(
        ({ name }) => OF_THE_CLIENT.test(name.toLowerCase()) && !maps.has(name),
      );
      if (chosen === undefined) continue;
      // A server with names of its own, of which it is not the default, sees no other Host.
      const isBound = chosen.name === "host" && server !== null && hasOnlyOwnNames(server.names);
      report({
        span: proxy.directive.span,
        message: `$${chosen.name} says where the request goes`,
        severity: isBound ? "warning" : "error",
        help: "choose with a map of the values that are allowed, whose default is an upstream of your own",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    resolver 127.0.0.53;
    location /ws {
        proxy_pass http://$arg_backend; # <--
${UPGRADE_LINES_DEEPER}
    }
}`,
      good: `
map $arg_backend $backend {
    default 127.0.0.1:3000;
    blue    127.0.0.1:3001;
}
server {
    listen 80;
    location /ws {
        proxy_pass http://$backend;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

function hasOnlyOwnNames(names: readonly string[]): boolean {
  return names.every((name) => name !== "" && name !== "_" && !name.startsWith("~") && !name.includes("*"));
}

const upstreamTlsWithoutName: Rule = {
  name: "upstream-tls-without-name",
  severity: "warning",
  summary: "a backend is reached by https without being told for which host",
  why: "nginx sends no server name in the TLS handshake with a backend unless told to: a backend with several hosts, and every CDN, then ends it with an alert (502) or shows another host's certificate.",
  check({ locations }, report) {
    for (const location of locations) {
      const { proxy, level } = location;
      if (proxy === null || proxy.scheme !== "https" || !needsName(location)) continue;
      if (valueAt(level, "proxy_ssl_server_name", "off") === "on") continue;
      const group = proxy.upstream !== null;
      report({
        span: proxy.directive.span,
        message: `the TLS handshake with ${proxy.host} names no host`,
        help: group
          ? "add: proxy_ssl_server_name on; proxy_ssl_name backend.example;"
          : "add: proxy_ssl_server_name on;",
        edits: group ? [] : [insertAfter(proxy.directive, ["proxy_ssl_server_name on;"])],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass https://localhost:3443; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws {
    proxy_pass https://localhost:3443;
    proxy_ssl_server_name on;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** Addresses have no name to be sent. */
function needsName({ proxy }: Location): boolean {
  if (proxy === null || proxy.hasVariables || proxy.host.startsWith("unix:")) return false;
  const hosts = proxy.upstream?.active.map(({ args }) => args[0]?.text.replace(/:\d+$/, "") ?? "") ?? [
    proxy.host,
  ];
  return hosts.some((host) => isIP(host.replace(/^\[|\]$/g, "")) === 0 && !host.startsWith("unix:"));
}

const limitConnLow: Rule = {
  name: "limit-conn-low",
  severity: "warning",
  summary: "few connections for an address, and each tunnel holds one of them",
  why: "A tunnel counts for as long as it lives. Several tabs, or several people behind one address, are then refused with 503, while pages pass since they are quick.",
  check({ locations, levels }, report) {
    const byAddress = new Set(
      levels
        .flatMap((level) => ownAll(level, "limit_conn_zone"))
        .filter(({ args }) =>
          variablesIn(args[0]?.text ?? "").some(({ name }) => /remote_addr|realip/.test(name)),
        )
        .flatMap(({ args }) => /^zone=([^:]+)/.exec(args[1]?.text ?? "")?.[1] ?? []),
    );
    for (const location of locations.filter(isWebSocket)) {
      for (const directive of nearestList(location.level, "limit_conn")) {
        const [zone, limit] = directive.args;
        if (zone === undefined || limit === undefined || !byAddress.has(zone.text) || Number(limit.text) > 10)
          continue;
        report({
          span: directive.span,
          message: `an address may have ${limit.text} tunnels, pages included`,
          help: "write a number that the people behind one address need together, such as 100",
        });
      }
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
limit_conn_zone $binary_remote_addr zone=addresses:10m;
server {
    listen 80;
    location /ws {
        limit_conn addresses 2; # <--
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
      good: `
limit_conn_zone $binary_remote_addr zone=addresses:10m;
server {
    listen 80;
    location /ws {
        limit_conn addresses 100;
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

export const backendRules: readonly Rule[] = [
  severalBackendsWithoutStickiness,
  variableWithoutResolver,
  backendChosenByClient,
  upstreamTlsWithoutName,
  keepaliveWithoutConnection,
  nextUpstreamNonIdempotent,
  limitConnLow,
];
