/** The three lines that nginx needs for WebSockets: which of them are there, and which are not. */
import type { Configuration, Location } from "../configuration.ts";
import { type Edit, insertAfter, replaceWord, textOf } from "../edits.ts";
import { isWebSocket } from "../evidence.ts";
import { nearestList, own } from "../levels.ts";
import { isAtLeast, type Rule } from "../rule.ts";
import {
  BROWSER_SAYS,
  connectionVariable,
  headerOf,
  isLostHere,
  lostLines,
  sendsUpgrade,
} from "../upgrade-headers.ts";

const THREE_LINES =
  "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;";

/** For an upstream with `keepalive`, where Connection is to be empty for pages. */
const KEPT_LINES =
  "write: proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;";
const KEPT_MAP = "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }";

const upgradeHeadersMissing: Rule = {
  name: "upgrade-headers-missing",
  severity: "error",
  summary: "a location of WebSockets sets neither Upgrade nor Connection",
  why: `Upgrade and Connection are hop-by-hop headers: nginx drops them unless it is told to send its own, so that the backend sees a plain GET. ${BROWSER_SAYS}`,
  only: "nginx",
  check(configuration, report) {
    for (const location of configuration.locations) {
      const { proxy, evidence } = location;
      if (proxy === null || evidence === null || evidence.strength === "certain") continue;
      if (
        isLostHere(location) ||
        configuration.levels.some(({ directives }) => directives.some(isWebSocketDirective))
      )
        continue;
      if (proxy.headers.has("upgrade")) continue;
      const connection = proxy.headers.get("connection");
      if (connection?.value === "") {
        report({
          span: connection.directive.span,
          message: `for ${location.path} Connection is taken away, and Upgrade is not passed on`,
          severity: evidence.strength === "likely" ? "error" : "info",
          help: `${KEPT_LINES} with the map, which keeps connections for pages: ${KEPT_MAP}`,
        });
        continue;
      }
      if (connection !== undefined) continue;
      report({
        span: proxy.directive.span,
        message:
          evidence.strength === "likely"
            ? `${proxy.directive.name.text} passes WebSockets of ${location.path} on without Upgrade and Connection`
            : `if WebSockets come to ${location.path}, they are passed on without Upgrade and Connection`,
        severity: evidence.strength === "likely" ? "error" : "info",
        help: `add: ${THREE_LINES}`,
        edits: evidence.strength === "likely" ? addThreeLines(location, configuration) : [],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000; # <--
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
    {
      inside: "http",
      bad: `
upstream app { server 127.0.0.1:3000; keepalive 16; }
server {
    listen 80;
    location /ws/ {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Connection ""; # <--
    }
}`,
      good: `
upstream app { server 127.0.0.1:3000; keepalive 16; }
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      '';
}
server {
    listen 80;
    location /ws/ {
        proxy_pass http://app;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}`,
    },
  ],
};

function isWebSocketDirective({ name }: { readonly name: { readonly text: string } }): boolean {
  return name.text.startsWith("websocket_");
}

/** All three lines; only where the location has a list of its own or inherits none, since the first line hides a parent's. */
function addThreeLines({ level, proxy }: Location, configuration: Configuration): readonly Edit[] {
  const variable = connectionVariable(configuration);
  if (proxy === null || variable === null) return [];
  if (own(level, "proxy_set_header") === null && nearestList(level, "proxy_set_header").length > 0) return [];
  const version = proxy.httpVersion === null ? ["proxy_http_version 1.1;"] : [];
  const lines = [
    ...version,
    "proxy_set_header Upgrade $http_upgrade;",
    `proxy_set_header Connection $${variable.name};`,
  ];
  return [insertAfter(proxy.directive, lines), ...variable.edits];
}

const upgradeHalfSet: Rule = {
  name: "upgrade-half-set",
  severity: "error",
  summary: "one of Upgrade and Connection is set, and the other is not",
  why: `A backend answers 101 only to both: "Upgrade: websocket" and "Connection: upgrade". Without its own line, Connection is "close" and Upgrade is not sent. ${BROWSER_SAYS}`,
  check(configuration, report) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const upgrade = headerOf(location, "upgrade");
      const connection = headerOf(location, "connection");
      if (upgrade !== null && connection === null) {
        const variable = connectionVariable(configuration);
        report({
          span: upgrade.directive.span,
          message: "Upgrade is passed on, and Connection is not",
          help: "add: proxy_set_header Connection $connection_upgrade;",
          edits:
            variable === null || location.proxy.headers.has("connection")
              ? []
              : [
                  insertAfter(upgrade.directive, [`proxy_set_header Connection $${variable.name};`]),
                  ...variable.edits,
                ],
        });
      } else if (upgrade === null && connection !== null && sendsUpgrade(connection, configuration)) {
        report({
          span: connection.directive.span,
          message: "Connection is passed on, and Upgrade is not",
          help: "add: proxy_set_header Upgrade $http_upgrade;",
          edits: location.proxy.headers.has("upgrade")
            ? []
            : [insertAfter(connection.directive, ["proxy_set_header Upgrade $http_upgrade;"])],
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade; # <--
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Connection "upgrade"; # <--
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
  ],
};

const upgradeHttpVersion: Rule = {
  name: "upgrade-http-version",
  severity: "error",
  summary: "WebSockets are passed on with another version than HTTP/1.1",
  why: "HTTP/1.0 has no Upgrade, and HTTP/2 to a backend has none either. nginx speaks 1.0 to backends unless told otherwise; from 1.29.7 on the default is 1.1. The backend answers 400 or 426, or as if a page had been asked for.",
  only: "nginx",
  check(configuration, report, setting) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const { proxy, evidence } = location;
      const { httpVersion } = proxy;
      const version = httpVersion?.args[0];
      if (version?.text === "1.1" || evidence?.strength !== "certain") continue;
      if (version !== undefined && httpVersion !== null) {
        report({
          span: httpVersion.span,
          message: `WebSockets of ${location.path} are passed on with HTTP/${version.text}`,
          help: "write: proxy_http_version 1.1;",
          // A line of an outer level speaks for other locations, too.
          edits: [
            own(location.level, "proxy_http_version") === null
              ? insertAfter(proxy.directive, ["proxy_http_version 1.1;"])
              : replaceWord(version, "1.1"),
          ],
        });
      } else if (!isAtLeast(setting, 1, 29, 7)) {
        report({
          span: proxy.directive.span,
          message: "before nginx 1.29.7 this passes WebSockets on with HTTP/1.0, which has no Upgrade",
          help: "add: proxy_http_version 1.1;",
          edits: [insertAfter(proxy.directive, ["proxy_http_version 1.1;"])],
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000; # <--
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
    {
      inside: "server",
      bad: `
proxy_http_version 1.0; # <--
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
      good: `
proxy_http_version 1.0;
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
  ],
};

const upgradeHeadersWiped: Rule = {
  name: "upgrade-headers-wiped",
  severity: "error",
  summary: "a proxy_set_header in a location hides the upgrade lines of its server",
  why: "proxy_set_header lines are inherited as a whole list: one line of its own, and the location has none of those that the server has. WebSockets worked until somebody added a header.",
  check(configuration, report) {
    for (const location of configuration.locations) {
      const lost = lostLines(location);
      const [first] = lost;
      const ownLine = own(location.level, "proxy_set_header");
      if (first === undefined || ownLine === null || !first.directive.args[1]?.text) continue;
      const isSocket = location.evidence !== null;
      const names = lost.map(({ directive }) => directive.args[0]?.text ?? "").join(" and ");
      report({
        span: ownLine.span,
        message: `this hides the line${lost.length > 1 ? "s" : ""} about ${names} of an outer level`,
        severity: isSocket ? "error" : "info",
        notes: lost.map(({ directive }) => ({ message: "hidden", span: directive.span })),
        help: "repeat the outer lines here, or move this one out",
        edits: isSocket
          ? [
              insertAfter(
                location.level.directives.findLast(({ name }) => name.text === "proxy_set_header") ?? ownLine,
                lost.map(({ directive }) => textOf(directive.span)),
              ),
            ]
          : [],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
proxy_http_version 1.1;
proxy_set_header Upgrade    $http_upgrade;
proxy_set_header Connection "upgrade";
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_set_header X-Room lobby; # <--
}`,
      good: `
proxy_http_version 1.1;
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_set_header X-Room     lobby;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
  ],
};

export const upgradeRules: readonly Rule[] = [
  upgradeHeadersMissing,
  upgradeHalfSet,
  upgradeHttpVersion,
  upgradeHeadersWiped,
];
