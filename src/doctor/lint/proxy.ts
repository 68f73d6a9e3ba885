/** What a location's `proxy_pass` and the directives around it amount to. */
import type { Directive } from "../../config/tree.ts";
import type { Configuration, Upstream } from "./configuration.ts";
import { type Level, nearest, nearestList, own } from "./levels.ts";

export interface Proxy {
  readonly directive: Directive;
  /** In lower case; it may be a variable, and is empty where the URL has none that can be read, as in `$backend`. */
  readonly scheme: string;
  /** Host, or the name of an upstream group, without the port; it may hold variables. */
  readonly host: string;
  /** nginx's `$proxy_host`: with the port, unless it is the one that the scheme stands for. */
  readonly hostHeader: string;
  /** What stands behind the address: the part that takes the place of the location's path. null where there is none. */
  readonly uri: string | null;
  readonly hasVariables: boolean;
  readonly upstream: Upstream | null;
  /** The `proxy_set_header` lines in force, by header name in lower case; the first of several. */
  readonly headers: ReadonlyMap<string, HeaderLine>;
  /** The line with proxy_http_version, or null where the default counts. */
  readonly httpVersion: Directive | null;
}

export interface HeaderLine {
  readonly directive: Directive;
  readonly value: string;
}

/** Reads the proxy of a location's level; null where it passes nothing on by HTTP. */
export function readProxy(level: Level, configuration: Pick<Configuration, "upstreams">): Proxy | null {
  const directive = own(level, "proxy_pass");
  const url = directive?.args[0]?.text;
  if (directive === null || url === undefined) return null;
  const { scheme, host, hostHeader, uri } = readUrl(url);
  return {
    directive,
    scheme,
    host,
    hostHeader,
    uri,
    hasVariables: url.includes("$"),
    upstream: configuration.upstreams.get(host) ?? null,
    headers: headersAt(level),
    httpVersion: nearest(level, "proxy_http_version"),
  };
}

/** The `proxy_set_header` lines in force at a level. */
function headersAt(level: Level): ReadonlyMap<string, HeaderLine> {
  return headerLines(nearestList(level, "proxy_set_header"));
}

/** Header lines by name in lower case. */
export function headerLines(directives: readonly Directive[]): ReadonlyMap<string, HeaderLine> {
  const lines = new Map<string, HeaderLine>();
  for (const directive of directives) {
    const [name, value] = directive.args;
    if (name === undefined || value === undefined || lines.has(name.text.toLowerCase())) continue;
    lines.set(name.text.toLowerCase(), { directive, value: value.text });
  }
  return lines;
}

function readUrl(url: string): Pick<Proxy, "scheme" | "host" | "hostHeader" | "uri"> {
  const parts = /^([^:/]*):\/\/(.*)$/.exec(url);
  const scheme = (parts?.[1] ?? "").toLowerCase();
  const rest = parts?.[2] ?? url;
  if (rest.startsWith("unix:")) {
    const end = rest.indexOf(":", 5);
    return {
      scheme,
      host: end === -1 ? rest : rest.slice(0, end),
      hostHeader: "localhost",
      uri: end === -1 ? null : rest.slice(end + 1),
    };
  }
  const slash = rest.search(/[/?]|\$\{?(?:request_uri|uri|document_uri|is_args)\b/);
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  return {
    scheme,
    host: authority.startsWith("[") ? authority.replace(/\]:\S*$/, "]") : authority.replace(/:[^:]*$/, ""),
    hostHeader: authority.replace(scheme === "https" ? /:443$/ : /:80$/, ""),
    uri: slash === -1 ? null : rest.slice(slash),
  };
}
