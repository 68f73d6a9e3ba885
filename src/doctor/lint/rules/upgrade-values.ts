/** The values of Upgrade and Connection, for handshakes and for all other requests. */
import { replaceWord } from "../edits.ts";
import { evaluate, HANDSHAKES, hasUpgradeToken, PLAIN_REQUEST, variablesIn } from "../evaluate.ts";
import { isNamedForWebSockets, isWebSocket } from "../evidence.ts";
import type { Rule } from "../rule.ts";
import {
  BROWSER_SAYS,
  handshakeValues,
  headerOf,
  sendsUpgrade,
  useConnectionVariable,
} from "../upgrade-headers.ts";

const upgradeHeadersSwapped: Rule = {
  name: "upgrade-headers-swapped",
  severity: "error",
  summary: "Upgrade or Connection gets a value that a handshake cannot have there",
  why: `Upgrade has to say "websocket", which is $http_upgrade, and Connection "upgrade". ${BROWSER_SAYS}`,
  check(configuration, report) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const upgrade = headerOf(location, "upgrade");
      const wrong =
        upgrade &&
        handshakeValues(upgrade, configuration).find(
          (value) => value?.toLowerCase() !== "websocket" && value !== undefined,
        );
      const word = upgrade?.directive.args[1];
      if (
        upgrade !== null &&
        typeof wrong === "string" &&
        word !== undefined &&
        variablesIn(upgrade.value).length > 0
      ) {
        report({
          span: upgrade.directive.span,
          message: `with a handshake goes "Upgrade: ${wrong}", not "websocket"`,
          help: "write: proxy_set_header Upgrade $http_upgrade;",
          edits: [replaceWord(word, "$http_upgrade")],
        });
      }
      const connection = headerOf(location, "connection");
      if (upgrade === null || connection === null || sendsUpgrade(connection, configuration)) continue;
      // A map that gives the wrong value is a fault of the map.
      if (variablesIn(connection.value).some(({ name }) => configuration.maps.has(name))) continue;
      const value =
        evaluate(connection.value, HANDSHAKES[0] ?? PLAIN_REQUEST, configuration) ?? connection.value;
      report({
        span: connection.directive.span,
        message: `with a handshake goes "Connection: ${value}", not "upgrade"`,
        help: "write: proxy_set_header Connection $connection_upgrade; with a map of $http_upgrade that gives it",
        edits: useConnectionVariable(connection, configuration),
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_connection; # <--
    proxy_set_header Connection $http_upgrade; # <--
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
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection keep-alive; # <--
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "keep-alive, upgrade";
}`,
    },
  ],
};

const upgradeLiteral: Rule = {
  name: "upgrade-literal",
  severity: "warning",
  summary: "Upgrade has a fixed value, which goes with every request",
  why: "Every request becomes an upgrade, one for a page or a health check too: the backend answers 400, since the other headers of a handshake are missing. $http_upgrade is empty where the client sent none, and an empty header is not sent.",
  check(configuration, report) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const upgrade = headerOf(location, "upgrade");
      const word = upgrade?.directive.args[1];
      if (upgrade === null || word === undefined || variablesIn(upgrade.value).length > 0) continue;
      report({
        span: upgrade.directive.span,
        message: `"Upgrade: ${upgrade.value}" goes with every request`,
        help: "write: proxy_set_header Upgrade $http_upgrade;",
        edits: upgrade.value.toLowerCase() === "websocket" ? [replaceWord(word, "$http_upgrade")] : [],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    "websocket"; # <--
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
  ],
};

const connectionAlwaysUpgrade: Rule = {
  name: "connection-always-upgrade",
  severity: "warning",
  summary: '"Connection: upgrade" goes with every request, not with handshakes alone',
  why: 'A plain request that says "Connection: upgrade" without Upgrade is answered with 400 or 426 by some backends, and no connection to the backend is kept alive. Where nothing but WebSockets comes to a location it does no harm.',
  check(configuration, report) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const connection = headerOf(location, "connection");
      if (connection === null || isNamedForWebSockets(location) || location.match === "exact") continue;
      const isVariable = variablesIn(connection.value).length > 0;
      const plain = evaluate(connection.value, PLAIN_REQUEST, configuration);
      // A map that says so to all is map-without-empty-entry's.
      if (isVariable || plain === undefined || !hasUpgradeToken(plain)) continue;
      report({
        span: connection.directive.span,
        message: `every request to ${location.path} is passed on with "Connection: ${plain}"`,
        help: "write: proxy_set_header Connection $connection_upgrade; with a map of $http_upgrade that gives it",
        edits: useConnectionVariable(connection, configuration),
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    location / {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection "upgrade"; # <--
    }
}`,
      good: `
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      close;
}
server {
    listen 80;
    location / {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}`,
    },
  ],
};

const connectionFromClient: Rule = {
  name: "connection-from-client",
  severity: "warning",
  summary: "Connection is passed on as the client wrote it",
  why: 'Connection names the headers that the next hop has to drop. A client that may write it can have the backend drop what the proxy has set ("Connection: X-Forwarded-For"), and plain requests end or keep connections that are the proxy\'s.',
  check(configuration, report) {
    for (const { proxy } of configuration.locations) {
      const connection = proxy?.headers.get("connection");
      if (connection === undefined) continue;
      if (!variablesIn(connection.value).some(({ name }) => name.toLowerCase() === "http_connection"))
        continue;
      report({
        span: connection.directive.span,
        message: "the client says what the backend's Connection header holds",
        help: "write: proxy_set_header Connection $connection_upgrade; with a map of $http_upgrade that gives it",
        edits: useConnectionVariable(connection, configuration),
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection $http_connection; # <--
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

export const upgradeValueRules: readonly Rule[] = [
  upgradeHeadersSwapped,
  upgradeLiteral,
  connectionAlwaysUpgrade,
  connectionFromClient,
];
