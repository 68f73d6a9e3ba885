import { reasonPhrase } from "../../http/status.ts";
import type { Scope } from "../../compile/scope.ts";
import type { Span } from "../../config/position.ts";
import type { Directive } from "../../config/tree.ts";
import type { Candidate } from "./candidates.ts";
import { type Explanation, isSearched, type Result, type Search } from "./explain.ts";

type Explained = Extract<Explanation, { kind: "explained" }>;
type Passed = Extract<Result, { kind: "passed" }>;

/** A line of text, and the place in the configuration that it is about. */
type Line = readonly [text: string, span?: Span | null];

/** How far to the right places stand, where the text leaves room. */
const PLACE_COLUMN = 72;

/** An explanation as a person reads it: the end first, then how it came to that. */
export function renderExplanation(explanation: Exclude<Explanation, { kind: "refused" }>): string {
  const lines: Line[] = [[explanation.question.url], [""]];
  if (explanation.kind === "unheard") {
    lines.push([`  ${explanation.reason}`], [`  help: ${explanation.help}`]);
  } else {
    lines.push(...summary(explanation), [""], ...way(explanation));
    if (explanation.result.kind === "passed") lines.push(...passedLines(explanation.result));
    else if (explanation.result.kind === "answered") lines.push(...answeredLines(explanation.result));
  }
  return `${lines.map(([text, span]) => withPlace(text, span ?? null)).join("\n")}\n`;
}

function withPlace(text: string, span: Span | null): string {
  if (span === null) return text;
  const where = placeOf(span);
  return `${text.padEnd(PLACE_COLUMN)}  ${where}`;
}

/** `nginx.conf:18`; the command line has no lines. */
export function placeOf({ file, line }: Span): string {
  return file.isCommandLine ? "command line" : `${file.name}:${line}`;
}

function summary({ result }: Explained): readonly Line[] {
  switch (result.kind) {
    case "passed":
      return [[`  goes to ${result.url}${result.isUpgrade ? " as a WebSocket" : ""}`, result.passSpan]];
    case "refused":
      return [[`  is refused with ${result.status}: ${result.reason}`]];
    case "answered":
      return [
        [
          `  is answered with ${result.status} ${reasonPhrase(result.status)}, and goes to no backend`,
          result.span,
        ],
      ];
  }
}

function way(explained: Explained): readonly Line[] {
  const { listener, otherListeners, servers } = explained;
  const others = otherListeners.map(({ key }) => key).join(", ");
  return [
    [`listener   ${listener.key}${listener.ssl ? " ssl" : ""}`, listener.span],
    ...(others === "" ? [] : [[`           the same port is listened to on ${others}`] as const]),
    ...candidateLines("server", servers, ({ names }) => (names.length === 0 ? "(no name)" : names.join(" "))),
    ...eventLines(explained),
  ];
}

/** What happened, in its order; a search stands where its location was chosen. */
function eventLines({ happenings, searches }: Explained): readonly Line[] {
  const rest = [...searches];
  const lines = happenings.flatMap((each): readonly Line[] => {
    switch (each.kind) {
      case "rewrite":
        return [[`rewrite    ${each.from} becomes ${each.to}`, rewriteSpan(each.scope)]];
      case "log":
        return [[`log        [${each.level}] ${each.message}`]];
      case "location": {
        if (each.location.match === "if")
          return [[`if         ${each.location.name} holds`, each.location.span]];
        const search = isSearched(each.location) ? rest.shift() : undefined;
        return search === undefined
          ? [[`location   ${each.location.name} without a search`, each.location.span]]
          : searchLines(search);
      }
    }
  });
  return [...lines, ...rest.flatMap(searchLines)];
}

/** The line that rewrites, where a level has only one; else the level. */
function rewriteSpan({ directive }: Scope): Span | null {
  const lines = rewritesIn(directive?.block ?? []);
  return lines.length === 1 ? (lines[0]?.span ?? null) : (directive?.name.span ?? null);
}

function rewritesIn(block: readonly Directive[]): readonly Directive[] {
  return block.flatMap((each) => {
    if (each.name.text === "rewrite") return [each];
    return each.name.text === "if" ? rewritesIn(each.block ?? []) : [];
  });
}

function searchLines({ path, locations }: Search): readonly Line[] {
  const lines: Line[] = [
    [`path       ${path}`],
    ...candidateLines("location", locations, ({ name }) => name),
  ];
  const hasEnd = locations.some(({ isChosen, why }) => isChosen || why.includes("(301)"));
  if (!hasEnd) lines.push(["           no location: the server's own level answers"]);
  return lines;
}

function candidateLines<T extends { readonly span: Span | null }>(
  title: string,
  candidates: readonly Candidate<T>[],
  nameOf: (place: T) => string,
): readonly Line[] {
  return candidates.map(({ place, isChosen, why }, index) => [
    `${(index === 0 ? title : "").padEnd(9)}${isChosen ? "=>" : "  "}${nameOf(place)}: ${why}`,
    place.span,
  ]);
}

function passedLines({ requestLine, targetWhy, headers, peers, settings }: Passed): readonly Line[] {
  return [
    [`target     ${requestLine.split(" ", 2)[1] ?? ""}: ${targetWhy}`],
    ...peers.map(
      ({ name, server, note }, index): Line => [
        `${(index === 0 ? "peers" : "").padEnd(11)}${index + 1}. ${name}${server === "" || server === name ? "" : ` (${server})`}${note === "" ? "" : `, ${note}`}`,
      ],
    ),
    [""],
    ["what reaches the backend:"],
    [""],
    [`    ${requestLine}`],
    ...headers.map(({ name, value, origin, span }): Line => {
      const text = `    ${name}: ${value}`;
      return span === null ? [`${text.padEnd(PLACE_COLUMN)}  ${origin}`] : [text, span];
    }),
    [""],
    ["in force there:"],
    [""],
    ...settings.map(({ name, value, span }): Line => {
      const text = `    ${name} ${value}`;
      return span === null ? [`${text.padEnd(PLACE_COLUMN)}  default`] : [text, span];
    }),
  ];
}

function answeredLines({ by, headers }: Extract<Result, { kind: "answered" }>): readonly Line[] {
  return [[`answer     by ${by}`], ...headers.map(([name, value]): Line => [`           ${name}: ${value}`])];
}
