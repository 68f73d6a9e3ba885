import { randomBytes } from "node:crypto";
import type { ByteString } from "../base/bytes.ts";
import type { CoreServer } from "../compile/plan.ts";
import { CHUNKED, type Framing, NO_BODY, parseContentLength } from "../http/framing.ts";
import type { RequestHead } from "../http/head-parser.ts";
import { HeaderList } from "../http/header-list.ts";
import { KNOWN_HEADERS, SINGLE_IN_REQUESTS } from "../http/header-names.ts";
import { type Authority, parseAuthority } from "../http/host.ts";
import { parseTarget } from "../http/request-target.ts";
import { isToken, trimWhitespace } from "../http/tokens.ts";
import { unreadableHead } from "./unreadable-head.ts";

/** Why a head is refused; the message continues "client sent ". */
export interface HeadFault {
  readonly status: number;
  readonly message: string;
}

/** What a HEADERS frame with its CONTINUATIONs says. */
export interface Http2Head {
  /** Of a head at fault, what the logs can be told. */
  readonly head: RequestHead;
  readonly fault: HeadFault | null;
  /** Extended CONNECT (RFC 8441): a head that reads as the opening handshake it stands for. */
  readonly isTunnel: boolean;
}

/** What large heads and unusual names are held against. */
export type HeadSettings = Pick<
  CoreServer,
  "large_client_header_buffers" | "max_headers" | "ignore_invalid_headers" | "underscores_in_headers"
>;

/** nginx's inner status, shown as 400, for what RFC 6585 calls 431. */
const HEADER_TOO_LARGE = 494;
const NOT_IMPLEMENTED = 501;
const KEY_BYTES = 16;

const PSEUDO_NAMES = [":method", ":scheme", ":authority", ":path", ":protocol"] as const;
type PseudoName = (typeof PSEUDO_NAMES)[number];

/** RFC 9113 section 8.2.2: they are about a connection of HTTP/1.1, and have no meaning in HTTP/2. */
const CONNECTION_SPECIFIC: ReadonlySet<ByteString> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

const SINGLE_NAMES: ReadonlySet<ByteString> = new Set(
  KNOWN_HEADERS.filter(({ role }) => (role & SINGLE_IN_REQUESTS) !== 0).map(({ lower }) => lower),
);

const METHOD = /^[A-Z_-]+$/;
/** What may not stand in a target; more than RFC 9113 section 8.3.1 asks, as much as HTTP/1.1 can carry. */
const NOT_IN_TARGETS = /[\x00-\x20\x7f#]/;
const NOT_IN_VALUES = /[\x00-\x08\x0a-\x1f\x7f]/;
const USUAL_NAME = /^[a-z0-9-]+$/;

/**
 * Reads a request's head as RFC 9113 section 8 has it. `fields` are names and values in turn, as they came; `endsStream`
 * is true where no body follows. Node's HTTP/2 refuses most of what is malformed before it gets here, by resetting the
 * stream; nothing here relies on it.
 */
export function readHttp2Head(
  fields: readonly ByteString[],
  endsStream: boolean,
  settings: HeadSettings,
): Http2Head {
  const reader = new FieldReader(settings);
  const fault = reader.readAll(fields);
  if (fault !== null) return { head: reader.unreadable(), fault, isTunnel: false };
  const read = reader.toHead(endsStream);
  if (isFault(read)) return { head: reader.unreadable(), fault: read, isTunnel: false };
  return { ...read, fault: null };
}

type WholeHead = Pick<Http2Head, "head" | "isTunnel">;

/** Collects the fields of one head. */
class FieldReader {
  readonly #settings: HeadSettings;
  readonly #pseudo = new Map<PseudoName, ByteString>();
  readonly #headers = new HeaderList();
  readonly #cookies: ByteString[] = [];
  #isPastPseudo = false;
  #bytes = 0;

  constructor(settings: HeadSettings) {
    this.#settings = settings;
  }

  readAll(fields: readonly ByteString[]): HeadFault | null {
    const { size, count } = this.#settings.large_client_header_buffers;
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const name = fields[i] ?? "";
      const value = fields[i + 1] ?? "";
      this.#bytes += name.length + value.length;
      if (name.length > size || value.length > size) return tooLarge("too long header field");
      if (this.#bytes > size * count) return tooLarge("too large header");
      const fault = name.startsWith(":") ? this.#readPseudo(name, value) : this.#readField(name, value);
      if (fault !== null) return fault;
      if (this.#headers.length > this.#settings.max_headers) return tooLarge("too many header fields");
    }
    // RFC 9113 section 8.2.3: HTTP/1.1 knows one Cookie only.
    if (this.#cookies.length > 0) this.#append("cookie", this.#cookies.join("; "));
    return null;
  }

  toHead(endsStream: boolean): WholeHead | HeadFault {
    const method = this.#pseudo.get(":method");
    if (method === undefined) return bad("no :method header");
    if (!METHOD.test(method)) return bad("invalid method");
    const protocol = this.#pseudo.get(":protocol");
    if (protocol !== undefined) {
      if (method !== "CONNECT") return bad("a :protocol header without CONNECT");
      if (protocol.toLowerCase() !== "websocket") {
        return { status: NOT_IMPLEMENTED, message: "an unknown :protocol" };
      }
    }
    const named = this.#readAuthority();
    if (isFault(named)) return named;
    if (method === "CONNECT" && protocol === undefined) return this.#connectHead(named);
    if (this.#pseudo.get(":scheme") === undefined) return bad("no :scheme header");
    const path = this.#pseudo.get(":path");
    if (path === undefined) return bad("no :path header");
    const target = NOT_IN_TARGETS.test(path)
      ? "invalid-target"
      : parseTarget(method === "CONNECT" ? "GET" : method, path);
    if (typeof target === "string" || (target.form !== "origin" && target.form !== "asterisk")) {
      return bad("invalid :path header");
    }
    const framing = protocol === undefined ? this.#framing(endsStream) : NO_BODY;
    if (isFault(framing)) return framing;
    if (protocol !== undefined) this.#writeHandshake();
    const head: RequestHead = {
      ...this.#common(),
      method: protocol === undefined ? method : "GET",
      target: path,
      form: target.form,
      rawPath: target.rawPath,
      rawQuery: target.rawQuery,
      host: named.host,
      port: named.port,
      framing,
      upgrade: protocol === undefined ? [] : ["websocket"],
      expectContinue: this.#headers.get("expect")?.toLowerCase() === "100-continue",
    };
    return { head, isTunnel: protocol !== undefined };
  }

  /** As much of the head as has been read, for the logs. */
  unreadable(): RequestHead {
    const method = this.#pseudo.get(":method");
    const path = this.#pseudo.get(":path");
    const startLine = method === undefined || path === undefined ? "" : `${method} ${path} HTTP/2.0`;
    const head = unreadableHead({ startLine, headers: this.#headers }, this.#bytes);
    return { ...head, versionMajor: 2, versionMinor: 0 };
  }

  #readPseudo(name: ByteString, value: ByteString): HeadFault | null {
    const known = PSEUDO_NAMES.find((pseudo) => pseudo === name);
    if (known === undefined) return bad("unknown pseudo-header");
    if (this.#isPastPseudo) return bad("out of order pseudo-headers");
    if (this.#pseudo.has(known)) return bad(`duplicate ${known} header`);
    if (value === "") return bad(`empty ${known} header`);
    this.#pseudo.set(known, value);
    return null;
  }

  #readField(name: ByteString, value: ByteString): HeadFault | null {
    this.#isPastPseudo = true;
    if (!isToken(name) || name !== name.toLowerCase()) return bad("invalid header name");
    if (NOT_IN_VALUES.test(value)) return bad("a control byte in a header value");
    if (CONNECTION_SPECIFIC.has(name)) return bad(`the connection-specific header "${name}"`);
    if (name === "te" && value.toLowerCase() !== "trailers")
      return bad('a "te" header other than "trailers"');
    if (this.#isIgnored(name)) return null;
    if (name === "cookie") this.#cookies.push(trimWhitespace(value));
    else if (SINGLE_NAMES.has(name) && this.#headers.has(name)) return bad("duplicate header line");
    else this.#append(name, value);
    return null;
  }

  /** As with HTTP/1.1: `ignore_invalid_headers` and `underscores_in_headers`. */
  #isIgnored(name: ByteString): boolean {
    const { ignore_invalid_headers, underscores_in_headers } = this.#settings;
    if (!ignore_invalid_headers) return false;
    return !USUAL_NAME.test(underscores_in_headers ? name.replaceAll("_", "-") : name);
  }

  #append(name: ByteString, value: ByteString): void {
    this.#headers.appendParsed(name, name, trimWhitespace(value));
  }

  /**
   * `:authority` takes the place of Host (RFC 9113 section 8.3.1), and is one here. Where both are there they have to be
   * the same, or two programs would see two different hosts.
   */
  #readAuthority(): Authority | HeadFault {
    const authority = this.#pseudo.get(":authority");
    const hosts = this.#headers.getAll("host");
    if (hosts.length > 1) return bad("duplicate host header");
    const [host] = hosts;
    if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
      return bad('a "Host" header that differs from :authority');
    }
    const text = authority ?? host;
    if (text === undefined) return bad("neither :authority nor Host header");
    const named = parseAuthority(text);
    if (named === null) return bad(`invalid ${authority === undefined ? "host" : ":authority"} header`);
    this.#headers.set("host", text);
    return named;
  }

  /** Without Content-Length a body is as long as it turns out to be, as one in chunks. */
  #framing(endsStream: boolean): Framing | HeadFault {
    const lengths = this.#headers.getAll("content-length");
    if (lengths.length > 1) return bad('duplicate "Content-Length" header');
    const [text] = lengths;
    if (text === undefined) return endsStream ? NO_BODY : CHUNKED;
    const length = parseContentLength(text);
    if (length === null) return bad('invalid "Content-Length" header');
    if (endsStream && length > 0) return bad('a "Content-Length" header without a body');
    return { kind: "length", length };
  }

  #connectHead(named: Pick<RequestHead, "host" | "port">): WholeHead | HeadFault {
    if (this.#pseudo.has(":scheme") || this.#pseudo.has(":path")) {
      return bad("a CONNECT with :scheme or :path");
    }
    const authority = this.#pseudo.get(":authority") ?? "";
    const head: RequestHead = {
      ...this.#common(),
      method: "CONNECT",
      target: authority,
      form: "authority",
      authority,
      rawPath: "",
      host: named.host,
      port: named.port,
      framing: NO_BODY,
    };
    return { head, isTunnel: false };
  }

  /** What RFC 8441 section 5 leaves out of an opening handshake. The key is ours, and so is checking what answers it. */
  #writeHandshake(): void {
    this.#headers.set("upgrade", "websocket");
    this.#headers.set("connection", "Upgrade");
    this.#headers.set("sec-websocket-key", randomBytes(KEY_BYTES).toString("base64"));
  }

  #common(): RequestHead {
    return {
      ...this.unreadable(),
      // A stream's end says nothing about its connection's.
      keepAlive: true,
    };
  }
}

function isFault(read: object): read is HeadFault {
  return "message" in read;
}

function bad(message: string): HeadFault {
  return { status: 400, message };
}

function tooLarge(message: string): HeadFault {
  return { status: HEADER_TOO_LARGE, message };
}

/** The trailers of a request; what HTTP/2 has no room for, and what is no field, is left out. */
export function readHttp2Trailers(fields: readonly ByteString[]): HeaderList {
  const trailers = new HeaderList();
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const isField = isToken(name) && !NOT_IN_VALUES.test(value) && !CONNECTION_SPECIFIC.has(name);
    if (isField) trailers.appendParsed(name, name.toLowerCase(), trimWhitespace(value));
  }
  return trailers;
}
