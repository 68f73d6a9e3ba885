import { domainToASCII } from "node:url";
import { asciiLowerCase } from "../../base/bytes.ts";
import type { Check } from "../../compile/check.ts";
import type { Word } from "../../config/tree.ts";
import { type AllowedOrigins, type OriginPattern, parseOrigin } from "../../websocket/origins.ts";

/** A name without a scheme stands for the pages of the web. */
const WEB_SCHEMES: readonly string[] = ["https", "http"];
const PARTS = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*?\.)?(.*?)(:\*)?$/i;

/** `same | any | pattern …`: exact origins, `*.name` and `.name` as in server_name, `null`, `~regex` and `~*regex`. */
export function parseAllowedOrigins(args: readonly Word[], check: Check): AllowedOrigins | undefined {
  const any = args.find((word) => word.text === "any" || word.text === "*");
  if (any !== undefined && args.length > 1) {
    return invalid(any, check, "where any origin may connect, the others need no mention");
  }
  if (any?.text === "any") return "any";
  const patterns = args.map((word) => parsePattern(word, check));
  const known = patterns.filter((pattern) => pattern !== undefined);
  return known.length === patterns.length ? known : undefined;
}

function parsePattern(word: Word, check: Check): OriginPattern | undefined {
  const { text } = word;
  if (text === "same" || text === "null") return { kind: text };
  if (text.startsWith("~")) return parseRegex(word, check);
  if (text === "none") {
    return invalid(word, check, "a handshake without Origin comes from no page, and always passes");
  }
  if (text === "*") return invalid(word, check, 'to let all pages connect, write "any"');
  if (text.includes("$")) return invalid(word, check, "variables may not stand here");
  return parsePlace(word, check);
}

function parsePlace(word: Word, check: Check): OriginPattern | undefined {
  const [, scheme, wildcard, written = "", anyPort] = PARTS.exec(word.text) ?? [];
  const ascii = /^[\x00-\x7f]*$/.test(written) ? written : internationalized(written);
  const place = parseOrigin(`${scheme ?? "https"}://${ascii}`);
  if (place === null || ascii.includes("*") || (place.host === "" && scheme !== "file")) {
    return invalid(
      word,
      check,
      'an origin is "https://app.example.com", "https://*.example.com" or "http://localhost:*", without a path',
    );
  }
  const hasPort = /:\d+$/.test(ascii);
  return {
    kind: "place",
    schemes: scheme === undefined ? WEB_SCHEMES : [asciiLowerCase(scheme)],
    host: wildcard === undefined ? place.host : `.${place.host}`,
    andItself: wildcard === ".",
    port: anyPort === undefined ? (hasPort ? place.port : null) : "any",
  };
}

/** In the form in which browsers send it (`xn--…`); the port stays. */
function internationalized(authority: string): string {
  const [name = "", ...port] = authority.split(":");
  return [domainToASCII(name), ...port].join(":");
}

function parseRegex(word: Word, check: Check): OriginPattern | undefined {
  const caseInsensitive = word.text.startsWith("~*");
  const source = word.text.slice(caseInsensitive ? 2 : 1);
  if (source === "") return invalid(word, check, "the regular expression is empty");
  if (!source.startsWith("^") || !source.endsWith("$")) {
    check.warn(word.span, `"${word.text}" in "websocket_allowed_origins" matches within an origin`, {
      code: "open-origin-regex",
      notes: [{ message: '"~example\\.com" lets pages of https://example.com.evil.net connect, too' }],
      suggestion: "begin it with ^ and end it with $",
    });
  }
  const regex = check.regex(source, word.span, { caseInsensitive });
  if (regex === undefined) return undefined;
  return { kind: "regex", matches: (origin) => regex.regexp.test(origin) };
}

function invalid(word: Word, check: Check, message: string): undefined {
  check.error(word.span, `invalid value "${word.text}"`, { code: "invalid-value", notes: [{ message }] });
  return undefined;
}
