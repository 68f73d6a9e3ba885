/** Takes out of a report what must not stand in a ticket: credentials, cookies, tokens, and values of queries. */
import type { WalkOptions } from "../probe/walk.ts";

export type Redact = (text: string) => string;

const HIDDEN = "***";
/** Shorter ones would blacken half of the report; they are found where they stand, by the patterns below. */
const KNOWN_CHARACTERS_MIN = 6;
/** Headers of our own request that the protocol needs, and that are no secret. */
const OPEN_HEADERS =
  /^(host|connection|upgrade|origin|user-agent|pragma|cache-control|accept|sec-websocket-(key|version|extensions|accept))$/i;
const SECRET_NAME = /cookie|auth|token|secret|password|passwd|api-?key|session|signature|credential/i;

const PATTERNS: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // Header lines, in the evidence and in quoted configuration.
  [
    /((?:set-)?cookie2?|(?:proxy-)?authorization|[\w-]*(?:token|secret|api-?key|session)[\w-]*):[ \t]*[^\r\n…]+/gi,
    `$1: ${HIDDEN}`,
  ],
  [/\b(bearer|basic|digest)\s+[A-Za-z0-9+/=._~-]{6,}/gi, `$1 ${HIDDEN}`],
  // JSON Web Tokens, wherever they stand.
  [/\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?/g, HIDDEN],
  // User name and password of a URL.
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"'<>]+@/gi, `$1${HIDDEN}@`],
  // Values of a query, but for those of Socket.IO's protocol. Names stay: they tell what is missing.
  [/([?&](?!(?:EIO|transport)=)[^=&\s#"'<>{}]{1,64}=)[^&\s#"'<>]*[^&\s#"'<>.,;:)]/g, `$1${HIDDEN}`],
];

/** A function that takes secrets out of any text about this walk. */
export function redactor(options: readonly WalkOptions[]): Redact {
  const known = [...new Set(options.flatMap(secretsOf))]
    .filter((secret) => secret.length >= KNOWN_CHARACTERS_MIN)
    .sort((one, other) => other.length - one.length);
  return (text) => {
    let clean = text;
    for (const secret of known) clean = clean.replaceAll(secret, HIDDEN);
    for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
    return clean;
  };
}

/** The same for every string in a value that JSON can hold. */
export function redactDeep(value: unknown, redact: Redact): unknown {
  if (typeof value === "string") return redact(value);
  if (Array.isArray(value)) {
    const [name, text] = value as readonly unknown[];
    const isPair = value.length === 2 && typeof name === "string" && typeof text === "string";
    if (isPair && SECRET_NAME.test(name)) return [name, HIDDEN];
    return value.map((item) => redactDeep(item, redact));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactDeep(item, redact)]));
}

function secretsOf({ url, page, headers, subprotocols }: WalkOptions): readonly string[] {
  const secrets = [...secretsOfUrl(url), ...(page === null ? [] : secretsOfUrl(page.href))];
  for (const [name, value] of headers) {
    if (!OPEN_HEADERS.test(name))
      secrets.push(value, ...value.split(/[;,]\s*/).map((part) => part.replace(/^[^=]*=/, "")));
  }
  // Pages pass tokens as subprotocols, since they can set no header.
  secrets.push(...subprotocols.filter((name) => name.length >= 20));
  return secrets;
}

function secretsOfUrl(text: string): readonly string[] {
  const query = /\?([^#]*)/.exec(text)?.[1] ?? "";
  const values = query.split("&").map((pair) => pair.slice(pair.indexOf("=") + 1));
  const credentials = /^[^/?#]*\/\/([^/?#@]*)@/.exec(text)?.[1]?.split(":") ?? [];
  return [...values, ...credentials].flatMap((value) => [value, decode(value)]);
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
