/** Directives in the wrong place or misspelt, and what nginx and wsgate do not have in common. */
import { moduleOfNginxDirective } from "../../../compile/nginx-names.ts";
import { type Context, describeContext } from "../../../compile/contexts.ts";
import type { DirectiveRow } from "../../../compile/rows.ts";
import { RowIndex } from "../../../compile/walk.ts";
import type { Directive } from "../../../config/tree.ts";
import { nearestName } from "../../../config/typos.ts";
import { replaceSpan } from "../edits.ts";
import type { Level } from "../levels.ts";
import type { Rule, Setting } from "../rule.ts";
import { UPGRADE_LINES } from "./snippets.ts";

/** The name that rows have for a level, or null where nobody here knows what may stand on it. */
function contextOf(level: Level): Context | null {
  switch (level.kind) {
    case "main":
    case "events":
    case "http":
    case "server":
    case "location":
    case "limit_except":
    case "upstream":
      return level.kind;
    case "if":
      return level.parent?.kind === "server" ? "if in server" : "if in location";
    default:
      return null;
  }
}

/** Places that nginx has and the rows of wsgate do not. */
const ALSO_ALLOWED: Readonly<Record<string, readonly Context[]>> = {
  resolver: ["upstream"],
  resolver_timeout: ["upstream"],
  stall_threshold: ["events"],
};

/** Each directive of the file with the rows of its name, where it stands on a level that rows know. */
function known(
  levels: readonly Level[],
  { modules }: Setting,
): readonly { directive: Directive; context: Context; rows: readonly DirectiveRow[] }[] {
  const index = new RowIndex(modules);
  return levels.flatMap((level) => {
    const context = contextOf(level);
    if (context === null) return [];
    return level.directives.map((directive) => ({
      directive,
      context,
      rows: index.rowsOf(directive.name.text),
    }));
  });
}

const semicolonMissing: Rule = {
  name: "semicolon-missing",
  severity: "error",
  summary: "a directive without its semicolon has swallowed the next one",
  why: 'nginx takes the next line for arguments, and says only "invalid number of arguments", with the number of the later line.',
  check({ missingSemicolons }, report) {
    for (const { directive, hint } of missingSemicolons) {
      const last = hint.repaired[0]?.args.at(-1) ?? directive.name;
      // A lookalike, as ；, has to be replaced by hand.
      const isPlain = hint.suggestion.startsWith("add");
      report({
        span: last.span,
        message: `"${directive.name.text}" is not ended`,
        notes: hint.notes,
        help: hint.suggestion,
        edits: isPlain ? [replaceSpan(hint.span, ";")] : [],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade "$http_upgrade" # <--
    proxy_set_header Connection "upgrade";
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const directiveMisplaced: Rule = {
  name: "directive-misplaced",
  severity: "error",
  summary: "a directive stands where nginx does not allow it",
  why: 'nginx refuses the file: "… directive is not allowed here". A proxy_set_header inside an if is the usual case: what is to depend on the request belongs into a map.',
  check({ levels, main, isFragment }, report, setting) {
    for (const { directive, context, rows } of known(levels, setting)) {
      // What a fragment stands in is guessed.
      if (isFragment && main.directives.includes(directive)) continue;
      if (rows.length === 0 || directive.name.text === "map") continue;
      const allowed = [...rows.flatMap((row) => row.in), ...(ALSO_ALLOWED[directive.name.text] ?? [])];
      if (allowed.includes(context)) continue;
      report({
        span: directive.span,
        message: `"${directive.name.text}" directive is not allowed here`,
        notes: [{ message: `it stands in ${describeContext(context)}` }],
        help: `put it into ${[...new Set(allowed)].map(describeContext).join(", or ")}`,
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    if ($http_upgrade) {
        proxy_set_header Upgrade $http_upgrade; # <--
    }
    proxy_pass http://127.0.0.1:3000;
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const directiveMisspelt: Rule = {
  name: "directive-misspelt",
  severity: "error",
  summary: "a directive that nobody has is one letter away from one that nginx has",
  why: 'nginx refuses the file: unknown directive "…". A configuration that does not load leaves the old one in force, so that a mend seems not to help.',
  check({ levels }, report, setting) {
    const index = new RowIndex(setting.modules);
    for (const { directive, context, rows } of known(levels, setting)) {
      const { name } = directive;
      if (rows.length > 0 || moduleOfNginxDirective(name.text) !== null || name.text.length < 5) continue;
      const nearest = nearestName(name.text, index.namesIn(context));
      if (nearest === null) continue;
      report({
        span: name.span,
        message: `unknown directive "${name.text}"`,
        help: `did you mean "${nearest}"?`,
        edits: isOneLetterAway(name.text, nearest) ? [replaceSpan(name.span, nearest)] : [],
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_headers Upgrade   $http_upgrade; # <--
    proxy_set_header Connection "upgrade";
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

/** Only then is the guess good enough to be written. */
function isOneLetterAway(a: string, b: string): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  if (long.length !== short.length + 1) return false;
  const at = Array.from(long).findIndex((letter, i) => letter !== short[i]);
  return long.slice(0, at) + long.slice(at + 1) === short;
}

const argumentCount: Rule = {
  name: "argument-count",
  severity: "error",
  summary: "a directive has more or fewer arguments than nginx takes",
  why: 'nginx refuses the file: invalid number of arguments in "…" directive.',
  check({ levels }, report, setting) {
    for (const { directive, context, rows } of known(levels, setting)) {
      const row = rows.find((candidate) => candidate.in.includes(context));
      if (row === undefined || (row.block === "required") !== (directive.block !== null)) continue;
      const [min, max] = row.arity;
      const count = directive.args.length;
      if (count >= min && count <= max) continue;
      report({
        span: directive.span,
        message: `invalid number of arguments in "${directive.name.text}" directive`,
        help: `write: ${directive.name.text} ${row.syntax}`,
      });
    }
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection keep-alive, upgrade; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
    proxy_http_version 1.1;
    proxy_set_header Upgrade    $http_upgrade;
    proxy_set_header Connection "keep-alive, upgrade";
}`,
    },
  ],
};

const unknownToNginx: Rule = {
  name: "unknown-to-nginx",
  severity: "info",
  summary: "the file has directives that wsgate adds to nginx's language",
  why: 'wsgate runs the file; stock nginx refuses it with "unknown directive".',
  check({ levels }, report, setting) {
    const own = known(levels, setting).filter(
      ({ directive, rows }) =>
        directive.name.text.startsWith("websocket_") || (rows.length > 0 && rows.every((row) => !row.nginx)),
    );
    const [first, ...others] = own;
    if (first === undefined) return;
    report({
      span: first.directive.name.span,
      message: `stock nginx would refuse ${namesOf(own.map(({ directive }) => directive))}`,
      severity: setting.target === "nginx" ? "error" : "info",
      notes: others.map(({ directive }) => ({ message: "here too", span: directive.name.span })),
      help: "nothing, unless nginx is to run the file",
    });
  },
  examples: [
    {
      inside: "server",
      bad: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
    websocket_ping_interval 30s; # <--
}`,
      good: `
location /ws {
    proxy_pass http://127.0.0.1:3000;
${UPGRADE_LINES}
}`,
    },
  ],
};

const withoutEffectInWsgate: Rule = {
  name: "without-effect-in-wsgate",
  severity: "info",
  summary: "the file has directives that mean nothing to wsgate",
  why: "wsgate accepts and checks them, and does without: they speak of how nginx works inside. Under nginx they are as good as ever.",
  only: "wsgate",
  check({ levels }, report, setting) {
    const idle = known(levels, setting).filter(
      ({ rows }) => rows.length > 0 && rows.every((row) => !row.effect),
    );
    const [first] = idle;
    if (first === undefined) return;
    report({
      span: first.directive.name.span,
      message: `under wsgate, without effect: ${namesOf(idle.map(({ directive }) => directive))}`,
      help: "nothing",
    });
  },
  examples: [
    {
      inside: "server",
      bad: `
tcp_nopush on; # <--`,
      good: `
keepalive_timeout 75s;`,
    },
  ],
};

/** Each name once, with the line of its first use. */
function namesOf(directives: readonly Directive[]): string {
  const lines = new Map<string, number>();
  for (const { name } of directives) if (!lines.has(name.text)) lines.set(name.text, name.span.line);
  return [...lines].map(([name, line]) => `${name} (line ${line})`).join(", ");
}

export const languageRules: readonly Rule[] = [
  semicolonMissing,
  directiveMisplaced,
  directiveMisspelt,
  argumentCount,
  unknownToNginx,
  withoutEffectInWsgate,
];
