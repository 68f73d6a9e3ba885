/** What becomes of a WebSocket's path on the way to the backend. */
import { offsetOf, spanBetween } from "../../../config/position.ts";
import type { Configuration, Location } from "../configuration.ts";
import { type Edit, replaceSpan } from "../edits.ts";
import { variablesIn } from "../evaluate.ts";
import { isNamedForWebSockets } from "../evidence.ts";
import { ownAll } from "../levels.ts";
import type { Proxy } from "../proxy.ts";
import type { Rule } from "../rule.ts";
import { UPGRADE_LINES } from "./snippets.ts";

/** Locations whose prefix is replaced by the URI part of their proxy_pass. */
function rewritten({
  locations,
}: Configuration): readonly { location: Location; proxy: Proxy; uri: string }[] {
  return locations.flatMap((location) => {
    const { proxy, match } = location;
    if (proxy === null || proxy.uri === null || proxy.hasVariables || proxy.uri.includes("?")) return [];
    return match === "prefix" || match === "prefix first" ? [{ location, proxy, uri: proxy.uri }] : [];
  });
}

const proxyPassSlash: Rule = {
  name: "proxy-pass-slash",
  severity: "warning",
  summary: "of the location and the URI of its proxy_pass only one ends in a slash",
  why: "A URI behind the address of proxy_pass takes the place of the location's own path, letter by letter: a slash that one of them lacks is missing at the backend, or there twice, and the WebSocket ends with 404. Where the location lacks it, paths outside of what was meant reach the backend, too.",
  check(configuration, report) {
    for (const { location, proxy, uri } of rewritten(configuration)) {
      const { path } = location;
      if (path === "" || path.endsWith("/") === uri.endsWith("/")) continue;
      const request = path.endsWith("/") ? `${path}room` : `${path}/room`;
      const passed = uri + request.slice(path.length);
      report({
        span: proxy.directive.span,
        message: `a request for ${request} reaches the backend as ${passed}`,
        notes: [{ message: `the location is ${path}`, span: location.directive.span }],
        help: path.endsWith("/")
          ? `end the URI with a slash, ${uri}/, or write no URI at all`
          : `end the location with a slash, ${path}/, or the URI without one`,
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000/socket; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000/socket/;
${UPGRADE_LINES}
}`,
    },
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000/; # <--
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

const proxyPassPathLost: Rule = {
  name: "proxy-pass-path-lost",
  severity: "error",
  summary: "proxy_pass has a variable and a fixed URI, so that every request asks for the same path",
  why: "With a variable in proxy_pass nginx no longer replaces the location's path: the URI, even a single slash, is sent as it is, whatever the client asked for. Query strings are lost, too, with the tokens in them.",
  check({ locations }, report) {
    for (const { proxy, match, directive } of locations) {
      if (proxy === null || !proxy.hasVariables || proxy.uri === null || match === "exact") continue;
      if (variablesIn(proxy.uri).length > 0) continue;
      report({
        span: proxy.directive.span,
        message: `every request to ${directive.args.at(-1)?.text ?? "the location"} reaches the backend as ${proxy.uri}`,
        help: "take the URI away, or write what is to be passed on: $request_uri, or a rewrite … break before it",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    set $backend 127.0.0.1:3000;
    proxy_pass http://$backend/; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws/ {
    set $backend 127.0.0.1:3000;
    proxy_pass http://$backend;
${UPGRADE_LINES}
}`,
    },
  ],
};

const pathDoubled: Rule = {
  name: "path-doubled",
  severity: "warning",
  summary: "the URI of proxy_pass repeats the path that the location adds",
  why: "The URI takes the place of the location's path, and what follows is appended: a URI that holds the path twice, or that names the socket in a location for everything, gives the backend a path that it does not have.",
  check(configuration, report) {
    for (const { location, proxy, uri } of rewritten(configuration)) {
      const bare = location.path.replace(/\/$/, "");
      const isTwice = bare !== "" && uri.startsWith(`${bare}${bare}`);
      const isSocketForAll = bare === "" && isNamedForWebSockets({ path: uri }) && uri.endsWith("/");
      if (!isTwice && !isSocketForAll) continue;
      const request = isTwice ? `${bare}/` : uri;
      report({
        span: proxy.directive.span,
        message: `a request for ${request} reaches the backend as ${uri}${request.slice(location.path.length)}`,
        severity: isTwice ? "warning" : "info",
        help: "write proxy_pass without a URI: the path is then passed on as it is",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000/ws/ws/; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000/ws/;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** Libraries whose server listens for one path, unless it is told otherwise. */
const LIBRARY_PATH = /\/(socket\.io|engine\.io)(?=\/|$)/;

const libraryPathLost: Rule = {
  name: "library-path-lost",
  severity: "warning",
  summary: "the path that Socket.IO asks for does not reach the backend",
  why: "A Socket.IO server answers under /socket.io/ and nowhere else, unless its option path says so. A URI of proxy_pass that takes this part away makes the backend answer 404, or with a page.",
  check(configuration, report) {
    for (const { location, proxy, uri } of rewritten(configuration)) {
      const library = LIBRARY_PATH.exec(location.path)?.[1];
      if (library === undefined || uri.includes(library)) continue;
      report({
        span: proxy.directive.span,
        message: `a request for ${location.path} reaches the backend as ${uri}`,
        help: `write proxy_pass without a URI, or end it in /${library}/`,
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /socket.io/ {
    proxy_pass http://127.0.0.1:3000/; # <--
${UPGRADE_LINES}
}`,
      good: `
location /app/socket.io/ {
    proxy_pass http://127.0.0.1:3000/socket.io/;
${UPGRADE_LINES}
}`,
    },
  ],
};

const proxyPassUriInRegex: Rule = {
  name: "proxy-pass-uri-in-regex",
  severity: "error",
  summary: "proxy_pass has a URI where there is no path that it could replace",
  why: 'nginx refuses it: "proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block.',
  check({ locations, levels }, report) {
    const complain = (proxyPass: Proxy["directive"], uri: string, place: string): void =>
      report({
        span: proxyPass.span,
        message: `proxy_pass has the URI ${uri} in ${place}`,
        help: "take the URI away, and change the path with a rewrite … break",
      });
    for (const { proxy, match } of locations) {
      if (proxy === null || proxy.uri === null || proxy.hasVariables) continue;
      if (match === "regex") complain(proxy.directive, proxy.uri, "a location given by a regular expression");
      if (match === "named") complain(proxy.directive, proxy.uri, "a named location");
    }
    for (const level of levels) {
      if (level.kind !== "if" && level.kind !== "limit_except") continue;
      for (const directive of ownAll(level, "proxy_pass")) {
        const uri = /^https?:\/\/[^/$]+(\/[^$]*)$/.exec(directive.args[0]?.text ?? "")?.[1];
        if (uri !== undefined) complain(directive, uri, `"${level.kind}"`);
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location ~ ^/ws/(room|lobby)$ {
    proxy_pass http://127.0.0.1:3000/; # <--
${UPGRADE_LINES}
}`,
      good: `
location ~ ^/ws/(room|lobby)$ {
    rewrite ^/ws(/.*)$ $1 break;
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const proxyPassScheme: Rule = {
  name: "proxy-pass-scheme",
  severity: "error",
  summary: "proxy_pass names ws or wss",
  why: 'A WebSocket begins as an HTTP request, and that is what proxy_pass passes on: nginx refuses ws:// and wss:// with "invalid URL prefix". http:// is what a backend of ws:// speaks, https:// what one of wss:// does.',
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "proxy_pass"))) {
      const [url] = directive.args;
      const scheme = /^["']?(wss?):\/\//i.exec(url?.text ?? "")?.[1];
      if (url === undefined || scheme === undefined) continue;
      const start = offsetOf(url.span) + (url.quote === null ? 0 : 1);
      const edit: Edit = replaceSpan(
        spanBetween(url.span.file, start, start + scheme.length),
        scheme.toLowerCase() === "ws" ? "http" : "https",
      );
      report({
        span: url.span,
        message: "invalid URL prefix: a WebSocket is passed on as the HTTP request that it begins as",
        help: `write ${edit.text}://`,
        edits: [edit],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws/ {
    proxy_pass ws://127.0.0.1:3000; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws/ {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

export const pathRules: readonly Rule[] = [
  proxyPassSlash,
  proxyPassPathLost,
  pathDoubled,
  libraryPathLost,
  proxyPassUriInRegex,
  proxyPassScheme,
];
