/** How long a silent tunnel lives, and streams that are held back. */
import { formatDurationMs, parseTimeMs } from "../../../base/units.ts";
import type { Location } from "../configuration.ts";
import { insertAfter, replaceWord } from "../edits.ts";
import { isWebSocket } from "../evidence.ts";
import { nearest, own, ownAll, valueAt } from "../levels.ts";
import type { Rule } from "../rule.ts";
import { UPGRADE_LINES } from "./snippets.ts";

/** nginx's own, of proxy_read_timeout. */
const DEFAULT_READ_TIMEOUT_MS = 60_000;
const HOUR_MS = 3_600_000;

function readTimeoutMs({ level }: Location): number {
  return parseTimeMs(valueAt(level, "proxy_read_timeout", "60s")) ?? DEFAULT_READ_TIMEOUT_MS;
}

const readTimeoutShort: Rule = {
  name: "read-timeout-short",
  severity: "warning",
  summary: "proxy_read_timeout ends a silent tunnel within a minute",
  why: "nginx closes a tunnel in which no byte has passed, either way, for so long; the browser sees 1006 without a reason. Heartbeats are often every 25 to 60 seconds, so that one late beat is enough.",
  only: "nginx",
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      const directive = nearest(location.level, "proxy_read_timeout");
      const [value] = directive?.args ?? [];
      const timeoutMs = readTimeoutMs(location);
      if (directive === null || value === undefined || timeoutMs > DEFAULT_READ_TIMEOUT_MS || timeoutMs === 0)
        continue;
      report({
        span: directive.span,
        message: `a tunnel of ${location.path} that is silent for ${formatDurationMs(timeoutMs)} is closed`,
        help: "write a time well above the heartbeat's, as in: proxy_read_timeout 1h;",
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
    proxy_read_timeout 30s; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_read_timeout 10m;
}`,
    },
  ],
};

const readTimeoutZero: Rule = {
  name: "read-timeout-zero",
  severity: "error",
  summary: "proxy_read_timeout 0 is meant to be no limit, and is one of no time at all",
  why: 'nginx knows no "off" here: with 0 it gives up on a backend at once, and every request ends with 504.',
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "proxy_read_timeout"))) {
      const [value] = directive.args;
      if (value === undefined || parseTimeMs(value.text) !== 0) continue;
      report({
        span: directive.span,
        message: "no backend is so quick: every request ends with 504",
        help: "write a long time, as in: proxy_read_timeout 1d;",
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
    proxy_read_timeout 0; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_read_timeout 1d;
    proxy_socket_keepalive on;
}`,
    },
  ],
};

const readTimeoutDefault: Rule = {
  name: "read-timeout-default",
  severity: "info",
  summary: "a silent tunnel is closed after nginx's default of 60 seconds",
  why: "Without proxy_read_timeout a tunnel in which nothing has passed for 60 seconds is closed, and the browser sees 1006. Either side may keep it open by a heartbeat that is more frequent; a longer time here helps where none does.",
  only: "nginx",
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      if (location.evidence.strength !== "certain") continue;
      if (nearest(location.level, "proxy_read_timeout") !== null || wrongTimeout(location) !== null) continue;
      report({
        span: location.proxy.directive.span,
        message: `a tunnel of ${location.path} that is silent for 60s is closed`,
        help: "have the application ping more often than that, or add: proxy_read_timeout 1h;",
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
    proxy_read_timeout 10m;
}`,
    },
  ],
};

/** Timeouts that people raise in the hope of a longer life for tunnels, and above which they count as raised. */
const OTHER_TIMEOUTS: readonly (readonly [name: string, usualMs: number])[] = [
  ["proxy_send_timeout", 60_000],
  ["send_timeout", 60_000],
  ["keepalive_timeout", 75_000],
  ["proxy_connect_timeout", 75_000],
];

/** The first of them that stands in the location itself with more than that. */
function wrongTimeout({ level }: Location): ReturnType<typeof own> {
  for (const [name, usualMs] of OTHER_TIMEOUTS) {
    const directive = own(level, name);
    if (directive !== null && (parseTimeMs(directive.args[0]?.text ?? "") ?? 0) > usualMs) return directive;
  }
  return null;
}

const timeoutWithoutEffect: Rule = {
  name: "timeout-without-effect",
  severity: "warning",
  summary: "another timeout was raised, and proxy_read_timeout was not",
  why: "How long a silent tunnel lives is decided by proxy_read_timeout alone. proxy_send_timeout and send_timeout speak of a peer that does not take what is sent, proxy_connect_timeout of the connection's making, and keepalive_timeout of the pause between two requests.",
  only: "nginx",
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      const directive = wrongTimeout(location);
      if (directive === null || nearest(location.level, "proxy_read_timeout") !== null) continue;
      const value = directive.args[0]?.text ?? "";
      report({
        span: directive.span,
        message: `${directive.name.text} does not keep a silent tunnel open: it is closed after 60s`,
        help: `add: proxy_read_timeout ${value};`,
        edits: [insertAfter(directive, [`proxy_read_timeout ${value};`])],
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
    proxy_send_timeout 10m; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_send_timeout 10m;
    proxy_read_timeout 10m;
}`,
    },
  ],
};

const longTimeoutWithoutKeepalive: Rule = {
  name: "long-timeout-without-keepalive",
  severity: "info",
  summary: "a very long proxy_read_timeout, and nothing that finds out that a backend is gone",
  why: "A backend whose machine was switched off, or a firewall that has forgotten the connection, sends no FIN: the tunnel stays until the timeout, with a connection on each side. TCP keepalive finds out, on the systems' schedule.",
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      const directive = nearest(location.level, "proxy_read_timeout");
      if (directive === null || readTimeoutMs(location) <= HOUR_MS) continue;
      if (valueAt(location.level, "proxy_socket_keepalive", "off") === "on") continue;
      report({
        span: directive.span,
        message: `a dead backend is noticed after ${formatDurationMs(readTimeoutMs(location))}`,
        help: "add: proxy_socket_keepalive on;",
        edits: [insertAfter(directive, ["proxy_socket_keepalive on;"])],
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
    proxy_read_timeout 1d; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
    proxy_read_timeout 1d;
    proxy_socket_keepalive on;
}`,
    },
  ],
};

/** Paths that only event streams have. */
const EVENT_STREAM =
  /(?:^|[/_.\-^(|])(?:sse|event-?stream|event-?source|server-sent-events)(?:$|[/_.\-)|$?])/i;

const eventStreamBuffered: Rule = {
  name: "event-stream-buffered",
  severity: "warning",
  summary: "the fallback for WebSockets, an event stream, is buffered",
  why: "With proxy_buffering, nginx collects what the backend sends before it passes it on: events come late and in bursts. A backend may also say so itself, with the header X-Accel-Buffering: no.",
  check({ locations }, report) {
    for (const { level, path, proxy } of locations) {
      if (proxy === null || !EVENT_STREAM.test(path)) continue;
      const buffering = nearest(level, "proxy_buffering");
      if (buffering?.args[0]?.text === "off") continue;
      const ownValue = own(level, "proxy_buffering")?.args[0];
      report({
        span: proxy.directive.span,
        message: `events of ${path} are held back until a buffer is full`,
        help: "add: proxy_buffering off;",
        edits: [
          ownValue === undefined
            ? insertAfter(proxy.directive, ["proxy_buffering off;"])
            : replaceWord(ownValue, "off"),
        ],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /sse {
    proxy_pass http://127.0.0.1:3000; # <--
}`,
      good: `
location /sse {
    proxy_pass http://127.0.0.1:3000;
    proxy_buffering off;
}`,
    },
  ],
};

const chunkedEncodingOff: Rule = {
  name: "chunked-encoding-off",
  severity: "info",
  summary: "chunked_transfer_encoding is off for a stream",
  why: "Without chunks an answer of unknown length ends with its connection: the polling transports of Socket.IO and SockJS, and event streams, open a new one for each answer, and cannot tell an end from a break.",
  check({ levels }, report) {
    for (const directive of levels.flatMap((level) => ownAll(level, "chunked_transfer_encoding"))) {
      if (directive.args[0]?.text !== "off") continue;
      report({
        span: directive.span,
        message: "the end of a stream cannot be told from a connection that broke",
        help: "take the line away: what it was for, buffering, is switched off by proxy_buffering off",
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /sse {
    proxy_pass http://127.0.0.1:3000;
    proxy_buffering off;
    chunked_transfer_encoding off; # <--
}`,
      good: `
location /sse {
    proxy_pass http://127.0.0.1:3000;
    proxy_buffering off;
}`,
    },
  ],
};

const clientAbortIgnored: Rule = {
  name: "client-abort-ignored",
  severity: "info",
  summary: "a handshake goes on at the backend when its client has left",
  why: "With proxy_ignore_client_abort, nginx waits for the backend's answer although nobody is there any more: when clients reconnect in a hurry, each attempt holds a connection to the backend until its timeout.",
  check({ locations }, report) {
    for (const location of locations.filter(isWebSocket)) {
      const directive = nearest(location.level, "proxy_ignore_client_abort");
      if (directive?.args[0]?.text !== "on") continue;
      report({
        span: directive.span,
        message: `handshakes for ${location.path} outlive their clients`,
        help: "take the line away, or say off in this location",
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
    proxy_ignore_client_abort on; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

export const timeoutRules: readonly Rule[] = [
  readTimeoutZero,
  readTimeoutShort,
  readTimeoutDefault,
  timeoutWithoutEffect,
  longTimeoutWithoutKeepalive,
  eventStreamBuffered,
  chunkedEncodingOff,
  clientAbortIgnored,
];
