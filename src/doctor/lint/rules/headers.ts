/** What the backend is told about the client, and what the client may make it believe. */
import type { Configuration, Location } from "../configuration.ts";
import { insertAfter, textOf } from "../edits.ts";
import { evaluate, PLAIN_REQUEST, variablesIn } from "../evaluate.ts";
import { isWebSocket } from "../evidence.ts";
import { nearest, nearestList, own, ownAll, valueAt } from "../levels.ts";
import { headerLines } from "../proxy.ts";
import type { Rule } from "../rule.ts";
import { UPGRADE_LINES } from "./snippets.ts";

const forwardedHeadersWiped: Rule = {
  name: "forwarded-headers-wiped",
  severity: "warning",
  summary: "a proxy_set_header in a location hides those about the client that its server has",
  why: "proxy_set_header lines are inherited as a whole list. Without Host the backend sees the name of the upstream, and refuses the handshake since its Origin is another; without X-Forwarded-For every client is the proxy.",
  check({ locations }, report) {
    for (const { level, proxy } of locations) {
      const ownLine = own(level, "proxy_set_header");
      if (proxy === null || ownLine === null || level.parent === null) continue;
      const inherited = headerLines(nearestList(level.parent, "proxy_set_header"));
      const lost = [...inherited].filter(
        ([name, { value }]) =>
          /^(host|x-real-ip|forwarded|x-forwarded-\w+)$/.test(name) &&
          value !== "" &&
          !proxy.headers.has(name),
      );
      if (lost.length === 0) continue;
      const lines = lost.map(([, { directive }]) => directive);
      const last = level.directives.findLast(({ name }) => name.text === "proxy_set_header") ?? ownLine;
      report({
        span: ownLine.span,
        message: `this hides the outer level's ${lines.map(({ args }) => args[0]?.text ?? "").join(", ")}`,
        notes: lines.map(({ span }) => ({ message: "hidden", span })),
        help: "repeat the outer lines here",
        edits: [
          insertAfter(
            last,
            lines.map(({ span }) => textOf(span)),
          ),
        ],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
proxy_set_header Host $host;
location /ws {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade; # <--
    proxy_set_header Connection "upgrade";
}`,
      good: `
proxy_set_header Host $host;
location /ws {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Host       $host;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "upgrade";
}`,
    },
  ],
};

const addHeaderWiped: Rule = {
  name: "add-header-wiped",
  severity: "warning",
  summary: "an add_header hides those of the outer level",
  why: "add_header lines, too, are inherited as a whole list: one line of its own, and the location answers without Strict-Transport-Security, Content-Security-Policy and whatever else its server adds.",
  check({ levels }, report) {
    for (const level of levels) {
      const ownLine = own(level, "add_header");
      if (ownLine === null || level.parent === null || valueAt(level, "add_header_inherit", "on") === "merge")
        continue;
      const names = new Set(ownAll(level, "add_header").map(nameOf));
      const lost = nearestList(level.parent, "add_header").filter(
        (line) => isOfSecurity(nameOf(line)) && !names.has(nameOf(line)),
      );
      if (lost.length === 0) continue;
      const last = level.directives.findLast(({ name }) => name.text === "add_header") ?? ownLine;
      report({
        span: ownLine.span,
        message: `this hides the outer level's ${lost.map(({ args }) => args[0]?.text ?? "").join(", ")}`,
        notes: lost.map(({ span }) => ({ message: "hidden", span })),
        help: "repeat the outer lines here",
        edits: [
          insertAfter(
            last,
            lost.map(({ span }) => textOf(span)),
          ),
        ],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
add_header Content-Security-Policy "connect-src 'self' wss://chat.example";
location /page {
    add_header Cache-Control no-store; # <--
}`,
      good: `
add_header Content-Security-Policy "connect-src 'self' wss://chat.example";
location /page {
    add_header Cache-Control no-store;
    add_header Content-Security-Policy "connect-src 'self' wss://chat.example";
}`,
    },
  ],
};

function nameOf({ args }: { readonly args: readonly { readonly text: string }[] }): string {
  return (args[0]?.text ?? "").toLowerCase();
}

function isOfSecurity(name: string): boolean {
  return /^(strict-transport-security|content-security-policy|x-frame-options|x-content-type-options|referrer-policy|permissions-policy|access-control-\S+)$/.test(
    name,
  );
}

/** Locations of WebSockets that say what they pass on; what a bare proxy_pass sends is upgrade-headers-missing's. */
function telling({
  locations,
}: Configuration): readonly (Location & { proxy: NonNullable<Location["proxy"]> })[] {
  return locations.filter(isWebSocket).filter(({ evidence }) => evidence.strength === "certain");
}

const hostHeaderMissing: Rule = {
  name: "host-header-missing",
  severity: "info",
  summary: "the backend sees the name of the upstream in place of the site's",
  why: "Without a line of its own, Host is what stands in proxy_pass. Backends that compare Origin with Host (Socket.IO, Rails, Django Channels, Jupyter and others) then refuse handshakes with 403.",
  check(configuration, report) {
    for (const { proxy, path } of telling(configuration)) {
      if (proxy.headers.has("host")) continue;
      report({
        span: proxy.directive.span,
        message: `for ${path || "this location"} the backend is sent "Host: ${proxy.hostHeader}"`,
        help: "add: proxy_set_header Host $host;",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_set_header Host       $host;
}`,
    },
  ],
};

const forwardedHeadersMissing: Rule = {
  name: "forwarded-headers-missing",
  severity: "info",
  summary: "the backend learns neither the client's address nor whether it came by TLS",
  why: "To the backend every WebSocket seems to come from the proxy, by plain ws: limits for an address hit everybody, logs are of no use, and links and cookies are made for http.",
  check(configuration, report) {
    for (const { proxy, server, path } of telling(configuration)) {
      const has = (...names: string[]): boolean => names.some((name) => proxy.headers.has(name));
      const missing: string[] = [];
      if (!has("x-forwarded-for", "x-real-ip", "forwarded"))
        missing.push("X-Forwarded-For $proxy_add_x_forwarded_for");
      if (
        server?.listens.some(({ isTls }) => isTls) &&
        !has("x-forwarded-proto", "forwarded", "x-forwarded-scheme", "x-forwarded-ssl", "x-scheme")
      )
        missing.push("X-Forwarded-Proto $scheme");
      if (missing.length === 0) continue;
      const lines = missing.map((header) => `proxy_set_header ${header};`);
      report({
        span: proxy.directive.span,
        message: `for ${path || "this location"} the backend is not sent ${missing.map((header) => header.split(" ")[0] ?? "").join(" and ")}`,
        help: `add: ${lines.join(" ")}`,
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000; # <--
${UPGRADE_LINES}
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
}`,
    },
  ],
};

const TRUSTED_HEADERS =
  /^(x-forwarded-(for|proto|host|port|server|ssl)|x-real-ip|x-client-ip|forwarded|true-client-ip|x-remote-user|remote-user)$/;

const forwardedFromClient: Rule = {
  name: "forwarded-from-client",
  severity: "warning",
  summary: "what the backend is told about the client is what the client says of itself",
  why: "Anyone may send X-Forwarded-For: 127.0.0.1. A backend that believes the proxy then lets in whom it keeps out, counts limits for addresses that do not exist, and logs them.",
  check({ locations }, report) {
    for (const { proxy, level } of locations) {
      if (proxy === null || nearest(level, "set_real_ip_from") !== null) continue;
      for (const [name, { directive, value }] of proxy.headers) {
        if (!TRUSTED_HEADERS.test(name)) continue;
        const variables = variablesIn(value);
        const fromClient = variables.find((each) =>
          /^http_(x_|forwarded|true_client_ip|client_ip|remote_user)/i.test(each.name),
        );
        if (fromClient === undefined || variables.some((each) => /remote_addr$|^scheme$/.test(each.name)))
          continue;
        report({
          span: directive.span,
          message: `the client says what ${directive.args[0]?.text ?? name} holds`,
          help: `write ${rightValue(name)}; behind another proxy, name that one with set_real_ip_from`,
        });
      }
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_set_header X-Forwarded-For $http_x_forwarded_for; # <--
    proxy_set_header X-Real-IP       $http_x_real_ip; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Real-IP       $remote_addr;
}`,
    },
  ],
};

function rightValue(name: string): string {
  if (name === "x-forwarded-for")
    return "$proxy_add_x_forwarded_for, or $remote_addr where nobody stands in front";
  if (name === "x-forwarded-proto") return "$scheme";
  if (name === "x-forwarded-host") return "$host";
  return name.endsWith("-user") ? "what your own check has found" : "$remote_addr";
}

const realIpFromAnyone: Rule = {
  name: "real-ip-from-anyone",
  severity: "error",
  summary: "everybody may say which address they come from",
  why: "set_real_ip_from names the proxies whose word is taken. With all addresses, whoever sends the header is whom it says: allow and deny, limits and logs go by it.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "set_real_ip_from"))) {
      const network = directive.args[0]?.text ?? "";
      if (!/^(0\.0\.0\.0\/[0-7]|::\/[0-7]|0\/0)$/.test(network)) continue;
      report({
        span: directive.span,
        message: `${network} is everybody`,
        help: "name the addresses of the proxies in front, as in: set_real_ip_from 10.0.0.0/24;",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
set_real_ip_from 0.0.0.0/0; # <--
real_ip_header X-Forwarded-For;`,
      good: `
set_real_ip_from 10.0.0.0/24;
real_ip_header X-Forwarded-For;`,
    },
  ],
};

const framingHeaderSet: Rule = {
  name: "framing-header-set",
  severity: "error",
  summary: "a line writes the header that says where a body ends",
  why: "nginx writes Content-Length and Transfer-Encoding itself. A second word on it, above all the client's, lets proxy and backend disagree about where a request ends, which is how requests are smuggled in.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "proxy_set_header"))) {
      const [name, value] = directive.args;
      if (
        !/^(transfer-encoding|content-length)$/i.test(name?.text ?? "") ||
        value === undefined ||
        value.text === ""
      )
        continue;
      report({
        span: directive.span,
        message: `${name?.text ?? ""} is nginx's to write`,
        help: "take the line away",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /api {
    proxy_pass http://127.0.0.1:3000;
    proxy_set_header Transfer-Encoding $http_transfer_encoding; # <--
}`,
      good: `
location = /auth {
    internal;
    proxy_pass http://127.0.0.1:3000;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
}`,
    },
  ],
};

/** The fields of a handshake, RFC 6455 section 4. */
const HANDSHAKE_FIELDS = /^sec-websocket-(key|version|accept|protocol)$/i;

const handshakeHeadersRemoved: Rule = {
  name: "handshake-headers-removed",
  severity: "error",
  summary: "a field that the handshake needs is taken away or overwritten",
  why: "The key is new for each handshake and its answer is computed from it; the version has to be 13; without the subprotocol that it asked for a browser closes the connection (\"Sent non-empty 'Sec-WebSocket-Protocol' header but no response was received\").",
  check(configuration, report) {
    for (const location of configuration.locations.filter(isWebSocket)) {
      const { level, proxy } = location;
      for (const [name, { directive, value }] of proxy.headers) {
        if (!HANDSHAKE_FIELDS.test(name) || value.toLowerCase() === `$http_${name.replaceAll("-", "_")}`)
          continue;
        // A version of 13 does no harm; neither does a subprotocol that is looked up.
        if (value === "13" || evaluate(value, PLAIN_REQUEST, configuration) === undefined) continue;
        report({
          span: directive.span,
          message: `the backend is sent "${directive.args[0]?.text ?? name}: ${value}"`,
          help: "take the line away: the client's own field is passed on",
        });
      }
      for (const directive of nearestList(level, "proxy_hide_header")) {
        if (
          !/^(sec-websocket-(accept|protocol|extensions)|upgrade|connection)$/i.test(
            directive.args[0]?.text ?? "",
          )
        )
          continue;
        report({
          span: directive.span,
          message: `the client is not sent the backend's ${directive.args[0]?.text ?? ""}`,
          help: "take the line away",
        });
      }
      const off = nearest(level, "proxy_pass_request_headers");
      if (off?.args[0]?.text === "off")
        report({
          span: off.span,
          message: "none of the client's fields reaches the backend, the handshake's key included",
          help: "take the line away, or say on in this location",
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
    proxy_set_header Sec-WebSocket-Protocol ""; # <--
    proxy_hide_header Sec-WebSocket-Accept; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_set_header Sec-WebSocket-Protocol $http_sec_websocket_protocol;
    proxy_set_header Sec-WebSocket-Extensions "";
}`,
    },
  ],
};

const underscoresInHeaders: Rule = {
  name: "underscores-in-headers",
  severity: "warning",
  summary: "headers with an underscore in their name pass",
  why: "Most backends take X_Forwarded_For and X-Forwarded-For for one header (CGI and WSGI turn both into HTTP_X_FORWARDED_FOR): a client adds what the proxy believes to have set itself.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "underscores_in_headers"))) {
      if (directive.args[0]?.text !== "on") continue;
      report({
        span: directive.span,
        message: "a client's X_Real_IP passes for the X-Real-IP that the proxy sets",
        help: "take the line away, and have clients use hyphens",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
underscores_in_headers on; # <--`,
      good: `
underscores_in_headers off;`,
    },
  ],
};

const invalidHeadersPassed: Rule = {
  name: "invalid-headers-passed",
  severity: "warning",
  summary: "headers whose names are malformed reach the backend",
  why: "A name with a space or a control character in it is read differently by different programs, which is how a second Content-Length or Transfer-Encoding is smuggled past the proxy.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "ignore_invalid_headers"))) {
      if (directive.args[0]?.text !== "off") continue;
      report({
        span: directive.span,
        message: "malformed headers are passed on",
        help: "take the line away",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
ignore_invalid_headers off; # <--`,
      good: `
ignore_invalid_headers on;`,
    },
  ],
};

export const headerRules: readonly Rule[] = [
  handshakeHeadersRemoved,
  forwardedHeadersWiped,
  addHeaderWiped,
  hostHeaderMissing,
  forwardedHeadersMissing,
  forwardedFromClient,
  realIpFromAnyone,
  framingHeaderSet,
  underscoresInHeaders,
  invalidHeadersPassed,
];
