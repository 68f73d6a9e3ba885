import { textFromByteString } from "../../base/bytes.ts";
import type { Span } from "../../config/position.ts";
import type { Candidate } from "./candidates.ts";
import type { Explanation } from "./explain.ts";

/** A place as programs take it. */
interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** An explanation as plain data. */
export function explanationToJson(explanation: Exclude<Explanation, { kind: "refused" }>): object {
  const { url, clientAddress } = explanation.question;
  if (explanation.kind === "unheard") {
    const { kind, reason, help } = explanation;
    return { url, clientAddress, kind, reason, help };
  }
  const { listener, otherListeners, servers, searches, happenings, result } = explanation;
  return {
    url,
    clientAddress,
    kind: explanation.kind,
    listener: { address: listener.key, ssl: listener.ssl, place: placeOf(listener.span) },
    otherListeners: otherListeners.map(({ key }) => key),
    servers: servers.map((each) => ({ names: each.place.names, ...verdictOf(each) })),
    searches: searches.map(({ path, locations }) => ({
      path,
      locations: locations.map((each) => ({
        name: each.place.name,
        match: each.place.match,
        ...verdictOf(each),
      })),
    })),
    happenings: happenings.map((each) => {
      switch (each.kind) {
        case "location":
          return {
            kind: each.kind,
            name: each.location.name,
            path: textFromByteString(each.path),
            place: placeOf(each.location.span),
          };
        case "rewrite":
          return {
            kind: each.kind,
            from: each.from,
            to: each.to,
            place: placeOf(each.scope.directive?.name.span ?? null),
          };
        case "log":
          return each;
      }
    }),
    result: withPlaces(result),
  };
}

function verdictOf({ place, isChosen, why }: Candidate<{ readonly span: Span | null }>): object {
  return { isChosen, why, place: placeOf(place.span) };
}

/** The same data with places for spans, which hold the text of whole files. */
function withPlaces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withPlaces);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) =>
      name === "span" || name === "passSpan"
        ? ["place", isSpan(inner) ? placeOf(inner) : null]
        : [name, withPlaces(inner)],
    ),
  );
}

function isSpan(value: unknown): value is Span {
  return (
    typeof value === "object" && value !== null && "file" in value && "line" in value && "column" in value
  );
}

function placeOf(span: Span | null): Place | null {
  return span === null ? null : { file: span.file.name, line: span.line, column: span.column };
}
