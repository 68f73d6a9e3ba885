/** What a WebSocket URL says, and what browsers would not take of it. */
import { isIP } from "node:net";

export type UrlFault =
  | "unparsable"
  /** `example.com/chat`: the walk goes on with a scheme that is guessed. */
  | "no-scheme"
  /** A scheme that no WebSocket has, such as ftp: the walk ends here. */
  | "foreign-scheme"
  /** http or https, which stand for ws and wss in new browsers alone. */
  | "http-scheme"
  | "fragment"
  | "credentials"
  /** A port that browsers refuse to connect to. */
  | "blocked-port";

/** Where the walk goes. */
export interface Target {
  readonly scheme: "ws" | "wss";
  /** In lower case and ASCII (punycode), an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** As the Host header has it: with brackets, and with the port unless it is the scheme's own. */
  readonly authority: string;
  /** Path and query, as they go into the request line. */
  readonly path: string;
  /** The page's origin that is assumed where none is given. */
  readonly origin: string;
}

export interface UrlStep {
  readonly given: string;
  readonly faults: readonly UrlFault[];
  /** Null where there is nothing to connect to. */
  readonly target: Target | null;
}

/** The "bad ports" of the Fetch standard, section 2.9, which Chrome, Firefox and Safari share. */
const BLOCKED_PORTS: ReadonlySet<number> = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
  109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
  526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
  3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

export function readUrl(given: string): UrlStep {
  const faults: UrlFault[] = [];
  const text = given.trim();
  const misspelt = MISSPELT_SCHEME.exec(text);
  if (misspelt !== null) {
    const [start, scheme = ""] = misspelt;
    return { ...readUrl(`${scheme}://${text.slice(start.length)}`), given, faults: ["no-scheme"] };
  }
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text);
  if (!hasScheme) faults.push("no-scheme");
  const url = parse(hasScheme ? text : `${guessScheme(text)}://${text.replace(/^\/+/, "")}`);
  if (url === null || url.hostname === "") return { given, faults: [...faults, "unparsable"], target: null };

  const scheme = SCHEMES[url.protocol];
  if (scheme === undefined) return { given, faults: [...faults, "foreign-scheme"], target: null };
  if (url.protocol.startsWith("http")) faults.push("http-scheme");
  if (text.includes("#")) faults.push("fragment");
  if (url.username !== "" || url.password !== "") faults.push("credentials");
  const target = targetOf(url, scheme);
  if (BLOCKED_PORTS.has(target.port)) faults.push("blocked-port");
  return { given, faults, target };
}

/** Whether a page may speak to this host without TLS, even a page that came over https. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "::1" || host.startsWith("127.");
}

const SCHEMES: Readonly<Record<string, Target["scheme"]>> = {
  "ws:": "ws",
  "wss:": "wss",
  "http:": "ws",
  "https:": "wss",
};

/** `ws//host`, `wss:/host`, `ws:host`: nothing but the scheme can be meant. */
const MISSPELT_SCHEME = /^(wss?|https?)(?::\/(?!\/)|\/\/|:(?=[^\d/]))/i;

function parse(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

function guessScheme(text: string): Target["scheme"] {
  const host = text.replace(/^\/+/, "").split(/[:/]/)[0] ?? "";
  return isLoopback(host) || isIP(host) !== 0 ? "ws" : "wss";
}

function targetOf(url: URL, scheme: Target["scheme"]): Target {
  const defaultPort = scheme === "wss" ? 443 : 80;
  const port = url.port === "" ? defaultPort : Number(url.port);
  const authority = port === defaultPort ? url.hostname : `${url.hostname}:${port}`;
  return {
    scheme,
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port,
    authority,
    path: `${url.pathname}${url.search}`,
    origin: `${scheme === "wss" ? "https" : "http"}://${authority}`,
  };
}
