/** Which server and which location take a WebSocket's path. */
import type { Location, Server } from "../configuration.ts";
import { isWebSocket } from "../evidence.ts";
import { own, withDescendants } from "../levels.ts";
import { patternMatches } from "../patterns.ts";
import type { Rule } from "../rule.ts";
import { UPGRADE_LINES, UPGRADE_LINES_DEEPER } from "./snippets.ts";

const locationShadowed: Rule = {
  name: "location-shadowed",
  severity: "error",
  summary: "a regular expression takes the path of the socket's location",
  why: "nginx tries the regular expressions after it has found the longest prefix, and the first that matches wins. The socket's location is never reached: the answer is a page, 404, or whatever the other location makes of it.",
  check({ servers }, report) {
    for (const { locations } of servers) {
      for (const location of locations) {
        if (!isWebSocket(location) || location.match !== "prefix" || location.path === "/") continue;
        const shadow = locations.find(
          (other) =>
            other.match === "regex" &&
            other.outer === location.outer &&
            takes(other, location) &&
            other.evidence?.strength !== "certain",
        );
        if (shadow === undefined) continue;
        report({
          span: location.directive.span,
          message: `requests for ${location.path} are taken by the location ${shadow.path}`,
          notes: [{ message: "this one is tried first", span: shadow.directive.span }],
          help: `write: location ^~ ${location.path}, which keeps the regular expressions from being tried`,
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location ~ ^/[a-z]+/ {
    proxy_pass http://127.0.0.1:3001;
}
location /ws/ { # <--
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
location ~ ^/[a-z]+/ {
    proxy_pass http://127.0.0.1:3001;
}
location ^~ /ws/ {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** Whether a pattern takes the paths that a socket's location is asked for. */
function takes(regex: Location, { path }: Location): boolean {
  const samples = path.endsWith("/") ? [path, `${path}room`] : [path, `${path}/`];
  return samples.some((sample) => patternMatches(regex.path, regex.isCaseless, sample) === true);
}

const returnBeforeLocations: Rule = {
  name: "return-before-locations",
  severity: "error",
  summary: "a return of the server answers before the socket's location is asked",
  why: "A return beside the locations holds for every request and comes first, wherever it stands. The socket is answered with it, mostly with 301, which a browser does not follow for a WebSocket.",
  check({ servers }, report) {
    for (const { level, locations } of servers) {
      const answer = own(level, "return");
      const location = locations.find((each) => isWebSocket(each) && each.match !== "named");
      if (answer === null || location === undefined) continue;
      report({
        span: answer.span,
        message: `requests for ${location.path} are answered with this, too`,
        notes: [{ message: "never asked", span: location.directive.span }],
        help: "put the return into a location: location / { return 301 https://$host$request_uri; }",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
return 301 https://$host$request_uri; # <--
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
location / {
    return 301 https://$host$request_uri;
}
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const exactLocationOnly: Rule = {
  name: "exact-location-only",
  severity: "info",
  summary: "the socket's location takes one spelling of its path and no other",
  why: "An exact location takes its path alone: the same with a slash behind it, which libraries like to add, goes elsewhere and ends with 404.",
  check({ servers }, report) {
    for (const { locations } of servers) {
      for (const location of locations) {
        if (!isWebSocket(location) || location.match !== "exact" || location.path === "/") continue;
        const twin = location.path.endsWith("/") ? location.path.slice(0, -1) : `${location.path}/`;
        if (locations.some((other) => other.evidence !== null && other !== location && covers(other, twin)))
          continue;
        report({
          span: location.directive.span,
          message: `${twin} does not come here`,
          help: `add a location for ${twin}, or write "location ${location.path}" without the equals sign`,
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location = /ws { # <--
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

function covers({ match, path, isCaseless }: Location, request: string): boolean {
  if (match === "regex") return patternMatches(path, isCaseless, request) === true;
  return match === "exact" ? path === request : match !== "named" && request.startsWith(path);
}

const slashRedirect: Rule = {
  name: "slash-redirect",
  severity: "info",
  summary: "the socket's path without its last slash is answered with a redirect",
  why: 'Where a proxied location ends in a slash, nginx answers the path without it with 301. A page follows that; a WebSocket does not, and fails with "Unexpected response code: 301".',
  check({ servers }, report) {
    for (const { locations } of servers) {
      for (const location of locations) {
        const { path, match } = location;
        if (!isWebSocket(location) || match === "exact" || match === "regex" || match === "named") continue;
        if (path === "/" || !path.endsWith("/")) continue;
        const bare = path.slice(0, -1);
        if (locations.some((other) => other.match === "exact" && other.path === bare)) continue;
        report({
          span: location.directive.span,
          message: `a WebSocket to ${bare} is answered with 301`,
          help: `have clients ask for ${path}, or write "location ${bare}"`,
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ { # <--
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const websocketMissingOverTls: Rule = {
  name: "websocket-missing-over-tls",
  severity: "warning",
  summary: "the socket's location stands in the plain server and not in the one with TLS",
  why: "A page on https may open nothing but wss, which comes to the server with TLS: without the location it is answered there with 404 or a page, while ws on port 80 works in every test.",
  check({ servers }, report) {
    for (const plain of servers) {
      if (plain.listens.some(({ isTls }) => isTls)) continue;
      const twin = servers.find(
        (other) => other !== plain && other.listens.some(({ isTls }) => isTls) && shareName(plain, other),
      );
      if (twin === undefined) continue;
      for (const location of plain.locations) {
        if (!isWebSocket(location) || location.outer !== null || location.match === "named") continue;
        if (
          twin.locations.some((other) => other.proxy !== null && covers(other, location.path)) ||
          passesEverything(twin)
        )
          continue;
        report({
          span: location.directive.span,
          message: `wss for ${location.path} has no location in the server with TLS`,
          notes:
            twin.level.directive === null
              ? []
              : [{ message: "the server with TLS", span: twin.level.directive.span }],
          help: "put the location into the server with TLS as well",
        });
      }
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    server_name chat.example;
    location /ws { # <--
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}
server {
    listen 443 ssl;
    server_name chat.example;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
    root html;
}`,
      good: `
server {
    listen 80;
    server_name chat.example;
    return 301 https://$host$request_uri;
}
server {
    listen 443 ssl;
    server_name chat.example;
    ssl_certificate     cert.pem;
    ssl_certificate_key key.pem;
    root html;
    location /ws {
        proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES_DEEPER}
    }
}`,
    },
  ],
};

function shareName(a: Server, b: Server): boolean {
  return a.names.some((name) => name !== "" && name !== "_" && b.names.includes(name));
}

/** A return or a rewrite at the level of the server takes all requests, on purpose. */
function passesEverything({ level }: Server): boolean {
  return own(level, "return") !== null;
}

const aliasTraversal: Rule = {
  name: "alias-traversal",
  severity: "error",
  summary: "a location without a slash at its end has an alias with one",
  why: "What follows the location's path is appended to the alias: a request for /files../app.conf leaves the folder and reads what lies beside it, such as the application and its secrets.",
  check({ locations }, report) {
    for (const { match, path, level } of locations) {
      const alias = own(level, "alias");
      const folder = alias?.args[0]?.text ?? "";
      if (alias === null || (match !== "prefix" && match !== "prefix first") || path === "") continue;
      if (path.endsWith("/") || !folder.endsWith("/")) continue;
      report({
        span: alias.span,
        message: `a request for ${path}../ leaves ${folder}`,
        help: `write "location ${path}/"`,
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /files {
    alias /srv/files/; # <--
}`,
      good: `
location /files/ {
    alias /srv/files/;
}`,
    },
  ],
};

/** Directives that answer in a location; of several nginx keeps the last (`clcf->handler`). */
const HANDLERS: ReadonlySet<string> = new Set([
  "proxy_pass",
  "fastcgi_pass",
  "uwsgi_pass",
  "scgi_pass",
  "grpc_pass",
  "memcached_pass",
  "stub_status",
  "websocket_status",
  "empty_gif",
  "flv",
  "mp4",
]);

const handlerOverruled: Rule = {
  name: "handler-overruled",
  severity: "error",
  summary: "two directives of one location would answer, and one never does",
  why: "A location has one that answers. Of proxy_pass, fastcgi_pass, stub_status and their like nginx takes the one that is written last and says nothing about the others; a return beside them comes before all. Where proxy_pass is the one that loses, the socket is answered with something else.",
  check({ levels }, report) {
    for (const { kind, directives } of levels) {
      if (kind !== "location" && kind !== "if") continue;
      const handlers = directives.filter(({ name, block }) => block === null && HANDLERS.has(name.text));
      const early = directives.find(({ name }) => name.text === "return");
      const winner = early ?? handlers.at(-1);
      if (winner === undefined) continue;
      for (const loser of handlers) {
        if (loser.name.text === winner.name.text) continue;
        report({
          span: loser.span,
          message: `${loser.name.text} is never asked: ${winner.name.text} answers here`,
          severity: loser.name.text.endsWith("_pass") ? "error" : "warning",
          notes: [
            {
              message: early === undefined ? "the last one counts" : "a return comes first",
              span: winner.span,
            },
          ],
          help: "give each a location of its own, or take one away",
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location / {
    proxy_pass http://127.0.0.1:3000; # <--
    stub_status;
}
location /old/ {
    return 301 /new/;
    proxy_pass http://127.0.0.1:3000; # <--
}`,
      good: `
location = /status {
    stub_status;
}
location /old/ {
    return 301 /new/;
}`,
    },
  ],
};

/** What may stand in an \`if\` without surprises. */
const HARMLESS_IN_IF: ReadonlySet<string> = new Set(["return", "rewrite", "set", "break"]);

const ifInLocation: Rule = {
  name: "if-in-location",
  severity: "warning",
  summary: "an if inside a location does more than return, rewrite or set",
  why: "An if in a location is a location of its own that replaces the outer one for matching requests: other directives beside it, other ifs and the URI of proxy_pass stop having effect, in ways that change from version to version. A proxy_pass in an if on $http_upgrade is the usual case.",
  check({ levels }, report) {
    for (const level of levels) {
      if (level.kind !== "if" || level.parent?.kind !== "location" || level.directive === null) continue;
      const inside = withDescendants(level).flatMap(({ directives }) => directives);
      // Who returns an answer needs no proxy, and an if in a location of files is another story.
      if (inside.some(({ name }) => name.text === "return")) continue;
      if (![...inside, ...level.parent.directives].some(({ name }) => name.text === "proxy_pass")) continue;
      const surprising = inside.find(({ name, block }) => block === null && !HARMLESS_IN_IF.has(name.text));
      if (surprising === undefined) continue;
      report({
        span: level.directive.span,
        message: `${surprising.name.text} stands in an if inside a location`,
        notes: [{ message: "here", span: surprising.span }],
        help: "choose with a map, as in: map $http_upgrade $backend { default web; websocket sockets; }",
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
        if ($http_upgrade = "websocket") { # <--
            proxy_pass http://127.0.0.1:3001;
        }
        proxy_pass http://127.0.0.1:3000;
    }
}`,
      good: `
upstream web { server 127.0.0.1:3000; }
upstream sockets { server 127.0.0.1:3001; }
map $http_upgrade $backend {
    default   web;
    websocket sockets;
}
map $http_upgrade $connection_upgrade {
    default upgrade;
    ''      close;
}
server {
    listen 80;
    location / {
        proxy_pass http://$backend;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}`,
    },
  ],
};

export const locationRules: readonly Rule[] = [
  locationShadowed,
  returnBeforeLocations,
  exactLocationOnly,
  slashRedirect,
  websocketMissingOverTls,
  aliasTraversal,
  handlerOverruled,
  ifInLocation,
];
