import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import type { RequestHead } from "../http/head-parser.ts";
import { parseAuthority } from "../http/host.ts";

/*
 * Which pages may open a WebSocket. A browser lets any page connect to any host and sends the cookies along, so that
 * the server alone can tell a page of its own by its Origin (RFC 6455 section 10.2). A handshake without Origin is none
 * of a page: browsers always send it, and a program could write whatever is asked for. So it passes.
 */

/** Where a page comes from (RFC 6454 section 7). */
export interface Origin {
  /** In lower case. */
  readonly scheme: ByteString;
  /** In lower case, without a dot at its end; empty in `file://`. */
  readonly host: ByteString;
  /** The default of the scheme where none is written; null where the scheme has none. */
  readonly port: number | null;
}

/** One argument of websocket_allowed_origins. */
export type OriginPattern =
  /** Scheme, host and port of the request itself. */
  | { readonly kind: "same" }
  /** What pages send that may not say where they come from: sandboxed ones, those of `data:` addresses. */
  | { readonly kind: "null" }
  | {
      readonly kind: "place";
      readonly schemes: readonly ByteString[];
      /** The host, or, with a dot at its beginning, what stands behind one or more labels. */
      readonly host: ByteString;
      /** With a leading dot in {@link host}: whether the host without it is meant, too. */
      readonly andItself: boolean;
      /** null: the default of the scheme. */
      readonly port: number | "any" | null;
    }
  /** Sees the field as it was sent. */
  | { readonly kind: "regex"; readonly matches: (origin: ByteString) => boolean };

export type AllowedOrigins = "any" | readonly OriginPattern[];

/** Why a handshake is refused. */
export interface OriginFault {
  /** The name by which log and body tell it. */
  readonly rule: "origin" | "one-origin";
  readonly message: string;
  /** What was sent, for the log. */
  readonly origin: ByteString;
}

const DEFAULT_PORTS: ReadonlyMap<ByteString, number> = new Map([
  ["http", 80],
  ["https", 443],
  ["ws", 80],
  ["wss", 443],
]);
/** RFC 3986 section 3.1, and what RFC 6454 section 6.2 puts behind it: no path, no slash at the end. */
const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i;

/** Null for what no page's origin looks like: with userinfo, a path, a space, or a port that is none. */
export function parseOrigin(text: ByteString): Origin | null {
  const [, written, rest] = ORIGIN.exec(text) ?? [];
  if (written === undefined || rest === undefined) return null;
  const scheme = asciiLowerCase(written);
  if (rest === "") return { scheme, host: "", port: null };
  const authority = parseAuthority(rest);
  if (authority === null) return null;
  return { scheme, host: authority.host, port: authority.port ?? defaultPort(scheme) };
}

/** The rule that a handshake's Origin breaks, or null. `scheme`: how the request came to us. */
export function originFault(
  head: RequestHead,
  scheme: "http" | "https",
  allowed: AllowedOrigins,
): OriginFault | null {
  if (allowed === "any") return null;
  const fields = head.headers.getAll("origin");
  const [origin] = fields;
  if (origin === undefined) return null;
  // Somebody behind us might go by another one than we do.
  if (fields.length > 1) {
    return { rule: "one-origin", message: "there must be one Origin", origin: fields.join(", ") };
  }
  const place = parseOrigin(origin);
  const isAllowed = allowed.some((pattern) => matches(pattern, origin, place, head, scheme));
  return isAllowed
    ? null
    : { rule: "origin", message: "its Origin is not one of websocket_allowed_origins", origin };
}

function matches(
  pattern: OriginPattern,
  origin: ByteString,
  place: Origin | null,
  head: RequestHead,
  scheme: "http" | "https",
): boolean {
  switch (pattern.kind) {
    case "null":
      return origin === "null";
    case "regex":
      return pattern.matches(origin);
    case "same":
      return place !== null && isSame(place, head, scheme);
    case "place":
      return (
        place !== null &&
        pattern.schemes.includes(place.scheme) &&
        isHost(place.host, pattern.host, pattern.andItself) &&
        (pattern.port === "any" || place.port === (pattern.port ?? defaultPort(place.scheme)))
      );
  }
}

/**
 * Host and port are those of the request, with the default port of the page's scheme where Host has none. The scheme is
 * that of our own connection, or https: behind somebody else's TLS the client's pages are https and our connection is
 * not. Nobody has to be believed for that, since nobody can answer for an https page but who holds its certificate. The
 * other way round, a page that came over http may be anybody's, and may not reach what is served over TLS.
 */
function isSame(place: Origin, head: RequestHead, scheme: "http" | "https"): boolean {
  if (place.scheme !== "https" && place.scheme !== scheme) return false;
  return place.host === head.host && place.port === (head.port ?? defaultPort(place.scheme));
}

function isHost(host: ByteString, wanted: ByteString, andItself: boolean): boolean {
  if (!wanted.startsWith(".")) return host === wanted;
  return (host.length > wanted.length && host.endsWith(wanted)) || (andItself && host === wanted.slice(1));
}

function defaultPort(scheme: ByteString): number | null {
  return DEFAULT_PORTS.get(scheme) ?? null;
}
