/** The map that gives `Connection` its value. */
import { spanOver } from "../../../config/position.ts";
import type { Directive } from "../../../config/tree.ts";
import type { Configuration, MapBlock } from "../configuration.ts";
import {
  type Edit,
  insertAfter,
  insertBefore,
  insertInto,
  removeBlock,
  replaceSpan,
  replaceWord,
  textOf,
} from "../edits.ts";
import { entryFor, evaluate, HANDSHAKES, hasUpgradeToken, PLAIN_REQUEST, variablesIn } from "../evaluate.ts";
import { enclosing } from "../levels.ts";
import type { Rule } from "../rule.ts";
import { connectionVariable } from "../upgrade-headers.ts";

const WORKING_MAP = `
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
}`;
const SERVER = WORKING_MAP.slice(WORKING_MAP.indexOf("server {"));

/** The maps that stand in the value of a Connection header somewhere, or by their name are meant to. */
function connectionMaps({ locations, maps }: Configuration): readonly MapBlock[] {
  const names = locations.flatMap(({ proxy }) => {
    const line = proxy?.headers.get("connection");
    return line === undefined ? [] : variablesIn(line.value).map(({ name }) => name);
  });
  const meant = [...maps.keys()].filter((name) => /connection_?upgrade/i.test(name));
  return [...new Set([...names, ...meant])].flatMap((name) => maps.get(name) ?? []);
}

function isOfUpgrade({ source }: MapBlock): boolean {
  return variablesIn(source).some(({ name }) => name.toLowerCase() === "http_upgrade");
}

/** The name of the one variable that the map reads, or null. */
function sourceVariable({ source }: MapBlock): string | null {
  const [only, second] = variablesIn(source);
  return second === undefined ? (only?.name.toLowerCase() ?? null) : null;
}

function valueOf(
  map: MapBlock,
  request: (typeof HANDSHAKES)[number],
  configuration: Configuration,
): string | undefined {
  return evaluate(`$${map.variable}`, request, configuration);
}

const mapMisplaced: Rule = {
  name: "map-misplaced",
  severity: "error",
  summary: "a map stands in a server or a location",
  why: 'map belongs to http, beside the servers: nginx refuses it elsewhere with "\\"map\\" directive is not allowed here", and goes on with the old configuration.',
  check({ levels }, report) {
    for (const level of levels) {
      if (level.kind !== "entries" || level.directive?.name.text !== "map" || level.parent === null) continue;
      const server = enclosing(level.parent, "server")?.directive ?? null;
      if (server === null) continue;
      report({
        span: level.directive.span,
        message: `the map stands in ${level.parent.kind}; it belongs to http`,
        help: "move it out, before the server",
        edits: moveOut(level.directive, server),
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
server {
    listen 80;
    map $http_upgrade $connection_upgrade { # <--
        default upgrade;
        ''      close;
    }
    location / {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
    }
}`,
      good: WORKING_MAP,
    },
  ],
};

/** The map as it is written, with its lines moved to the indentation of the server. */
function moveOut(map: Directive, server: Directive): readonly Edit[] {
  if (map.closeBrace === null || map.closeBrace.file !== map.span.file || server.span.file !== map.span.file)
    return [];
  const lines = textOf(spanOver(map.span, map.closeBrace)).split(/\r?\n/);
  const shift = Math.max(0, map.span.column - server.span.column);
  const moved = lines.map((line) =>
    /^\s/.test(line) ? line.slice(Math.min(shift, line.search(/\S|$/))) : line,
  );
  const indent = " ".repeat(Math.max(0, server.span.column - 1));
  return [
    insertBefore(
      server,
      moved.map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line)),
    ),
    removeBlock(map),
  ];
}

const mapEntryWithoutQuotes: Rule = {
  name: "map-entry-without-quotes",
  severity: "error",
  summary: "an entry of a map has lost its empty key, or its quotes are a word processor's",
  why: "The entry for requests without Upgrade has the empty string as its key, written ''. Copied from a web page it loses its quotes, or gets typographic ones, which are letters like any other: nginx says \"invalid number of the map parameters\", or the entry never matches.",
  check({ maps }, report) {
    for (const { entries } of maps.values()) {
      for (const entry of entries) {
        const { name, args } = entry;
        if (args.length === 0 && name.quote === null && !["volatile", "hostnames"].includes(name.text)) {
          report({
            span: entry.span,
            message: `"${name.text}" is a key without a value here`,
            help: `write: '' ${name.text};`,
            edits: /^(close|keep-alive|upgrade)$/i.test(name.text)
              ? [replaceSpan(name.span, `'' ${textOf(name.span)}`)]
              : [],
          });
        } else if (name.quote === null && /^[‘’“”„‚´`]+$/.test(name.text)) {
          report({
            span: name.span,
            message: "the key is not the empty string but typographic quotes",
            help: "write two straight quotes: ''",
            edits: [replaceSpan(name.span, "''")],
          });
        } else if (name.quote !== null && name.text !== "" && name.text.trim() === "") {
          report({
            span: name.span,
            message: "the key is a space, not the empty string",
            help: "write two quotes with nothing between them: ''",
            edits: [replaceSpan(name.span, "''")],
          });
        }
      }
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
map $http_upgrade $connection_upgrade {
    default upgrade;
    close; # <--
}
${SERVER}`,
      good: WORKING_MAP,
    },
    {
      inside: "http",
      bad: `
map $http_upgrade $connection_upgrade {
    default upgrade;
    ‘’      close; # <--
}
${SERVER}`,
      good: WORKING_MAP,
    },
  ],
};

const mapWithoutDefault: Rule = {
  name: "map-without-default",
  severity: "error",
  summary: "the map for Connection has no entry that a handshake selects",
  why: "Without a default, the value for everything that no key names is the empty string, and a header with an empty value is not sent: handshakes lose their Connection header, and the backend answers 400 or 426.",
  check(configuration, report) {
    for (const map of connectionMaps(configuration).filter(isOfUpgrade)) {
      if (entryFor(map, "websocket") !== null) continue;
      const edit = insertInto(map.directive, ["default upgrade;"]);
      report({
        span: map.directive.span,
        message: `$${map.variable} is empty for a handshake`,
        help: "add: default upgrade;",
        edits: edit === null ? [] : [edit],
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
map $http_upgrade $connection_upgrade { # <--
    ''      close;
}
${SERVER}`,
      good: WORKING_MAP,
    },
  ],
};

const mapWithoutEmptyEntry: Rule = {
  name: "map-without-empty-entry",
  severity: "warning",
  summary: "the map for Connection says upgrade to requests without Upgrade, too",
  why: 'Plain requests go to the backend with "Connection: upgrade" and without Upgrade, which some backends answer with 400 or 426, and which keeps no connection alive.',
  check(configuration, report) {
    for (const map of connectionMaps(configuration).filter(isOfUpgrade)) {
      const plain = valueOf(map, PLAIN_REQUEST, configuration);
      const last = map.entries.at(-1);
      if (plain === undefined || !hasUpgradeToken(plain) || last === undefined) continue;
      // A key that was meant to be the empty string is map-entry-without-quotes's to mend.
      const isMissing = !map.entries.some(({ name, args }) => !/\w/.test(name.text) || args.length === 0);
      report({
        span: map.directive.span,
        message: `$${map.variable} is "${plain}" for plain requests, too`,
        help: "add: '' close;",
        edits: isMissing ? [insertAfter(last, ["''      close;"])] : [],
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
map $http_upgrade $connection_upgrade { # <--
    default upgrade;
}
${SERVER}`,
      good: WORKING_MAP,
    },
  ],
};

const mapWrongVariable: Rule = {
  name: "map-wrong-variable",
  severity: "error",
  summary: "the map for Connection reads another variable than $http_upgrade",
  why: 'Whether a request is a handshake stands in its Upgrade header. $http_connection is "keep-alive" in nearly every request, so that a map with "default upgrade" makes upgrades of them all; a variable that is empty makes one of none.',
  check(configuration, report) {
    for (const map of connectionMaps(configuration)) {
      const variable = sourceVariable(map);
      if (variable === null || variable === "http_upgrade" || !isWrong(map, variable, configuration))
        continue;
      const [source] = map.directive.args;
      report({
        span: source?.span ?? map.directive.span,
        message: `$${map.variable} depends on $${variable}, which does not tell a handshake from other requests`,
        help: "write: map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
        edits: source !== undefined && wouldWork(map) ? [replaceWord(source, "$http_upgrade")] : [],
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
map $http_connection $connection_upgrade { # <--
    default upgrade;
    ''      close;
}
${SERVER}`,
      good: `
map $http_connection $connection_upgrade {
    default       close;
    "~*\\bupgrade" upgrade;
}
${SERVER}`,
    },
  ],
};

function isWrong(map: MapBlock, variable: string, configuration: Configuration): boolean {
  const values = HANDSHAKES.map((request) => valueOf(map, request, configuration));
  const plain = valueOf(map, PLAIN_REQUEST, configuration);
  // Headers that no handshake has, and a misspelt one.
  if (plain === undefined)
    return variable === "upgrade" || /^http_(?!sec_websocket|x_|origin)/.test(variable);
  return hasUpgradeToken(plain) || values.some((value) => value !== undefined && !hasUpgradeToken(value));
}

function wouldWork(map: MapBlock): boolean {
  const read = { ...map, source: "$http_upgrade" };
  const definitions = { maps: new Map([[map.variable, read]]), sets: new Map() };
  const [handshake, plain] = [HANDSHAKES[0] ?? PLAIN_REQUEST, PLAIN_REQUEST].map((request) =>
    evaluate(`$${map.variable}`, request, definitions),
  );
  return (
    handshake !== undefined && hasUpgradeToken(handshake) && plain !== undefined && !hasUpgradeToken(plain)
  );
}

const mapWrongValue: Rule = {
  name: "map-wrong-value",
  severity: "error",
  summary: "the map for Connection gives handshakes another value than upgrade",
  why: 'A backend upgrades only what says "Connection: upgrade". The key is the value of the client\'s Upgrade header: "websocket" for handshakes, the empty string for everything else.',
  check(configuration, report) {
    for (const map of connectionMaps(configuration).filter(isOfUpgrade)) {
      const entry = entryFor(map, "websocket");
      const value = valueOf(map, HANDSHAKES[0] ?? PLAIN_REQUEST, configuration);
      if (entry === null || entry === "unknown" || value === undefined || hasUpgradeToken(value)) continue;
      report({
        span: entry.span,
        message: `with a handshake goes "Connection: ${value}"`,
        help: "write: default upgrade; '' close;",
      });
    }
  },
  examples: [
    {
      inside: "http",
      bad: `
map $http_upgrade $connection_upgrade {
    default close; # <--
    ''      upgrade;
}
${SERVER}`,
      good: `
map $http_upgrade $connection_upgrade {
    default   close;
    websocket upgrade;
}
${SERVER}`,
    },
  ],
};

const connectionVariableUndefined: Rule = {
  name: "connection-variable-undefined",
  severity: "error",
  summary: "the variable for Connection is defined nowhere",
  why: 'The line was copied without its map. nginx refuses to start or to reload: unknown "connection_upgrade" variable.',
  check(configuration, report) {
    if (configuration.isPartial) return;
    const { locations, maps, sets } = configuration;
    for (const { proxy } of locations) {
      const line = proxy?.headers.get("connection");
      for (const { name } of line === undefined ? [] : variablesIn(line.value)) {
        if (!/upgrade/i.test(name) || name.startsWith("http_") || maps.has(name) || sets.has(name)) continue;
        if (isDefinedOtherwise(name, configuration)) continue;
        const variable = connectionVariable(configuration);
        const word = line?.directive.args[1];
        if (line === undefined || word === undefined) continue;
        report({
          span: word.span,
          message: `unknown "${name}" variable`,
          help: "add to http: map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
          edits: variable === null ? [] : [replaceWord(word, `$${variable.name}`), ...variable.edits],
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
    location / {
        proxy_pass http://127.0.0.1:3000;
        proxy_http_version 1.1;
        proxy_set_header Upgrade    $http_upgrade;
        proxy_set_header Connection $connection_upgrade; # <--
    }
}`,
      good: WORKING_MAP,
    },
  ],
};

/** By geo, split_clients, auth_request_set and their like, in modules of whoever it may be. */
function isDefinedOtherwise(name: string, { levels }: Configuration): boolean {
  return levels.some(({ directives }) =>
    directives.some(
      (directive) =>
        !directive.name.text.startsWith("proxy_") &&
        directive.args.some(({ text }) => text === `$${name}` || text.includes(`<${name}>`)),
    ),
  );
}

export const mapRules: readonly Rule[] = [
  mapMisplaced,
  mapEntryWithoutQuotes,
  mapWithoutDefault,
  mapWithoutEmptyEntry,
  mapWrongVariable,
  mapWrongValue,
  connectionVariableUndefined,
];
