import { type ByteString, asciiLowerCase } from "../base/bytes.ts";
import type { Request } from "../compile/request.ts";
import type { Template } from "../compile/template.ts";
import { parseTokenList, withoutControls } from "../http/tokens.ts";
import { escapeTarget } from "../http/uri.ts";
import { withoutDeflate } from "../websocket/deflate-parameters.ts";

/** `proxy_set_header`, one line of it. An empty value sends no header. */
export interface SetHeader {
  readonly name: ByteString;
  readonly value: Template;
}

/** How the end of the request's body is told upstream: a length, chunks, or nothing because there is no body. */
export type SentBodyLength = number | "chunked" | "none";

/** The values of Upgrade and Connection in a request; empty ones are not sent. */
export interface SentUpgrade {
  readonly upgrade: ByteString;
  readonly connection: ByteString;
  /** Whatever proxy_http_version says: HTTP/1.0 has no upgrades. */
  readonly needsHttp11: boolean;
  /** The client's offer to compress a WebSocket is not the upstream's to accept. */
  readonly withholdsDeflate: boolean;
}

export const NO_UPGRADE: SentUpgrade = {
  upgrade: "",
  connection: "",
  needsHttp11: false,
  withholdsDeflate: false,
};

const HTTP_11 = " HTTP/1.1\r\n";

/**
 * Fields that concern one connection, or that this proxy writes itself: what a client sends under these names goes no
 * further. `HTTP2-Settings` belongs to h2c, which is never passed on.
 */
const NEVER_PASSED: readonly ByteString[] = [
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "content-length",
  "expect",
  "upgrade",
  "http2-settings",
];

/** Fields that a location may set and that are written by rules of their own. */
const WRITTEN_ELSEWHERE: ReadonlySet<ByteString> = new Set([
  "connection",
  "upgrade",
  "content-length",
  "transfer-encoding",
]);

/** What a Connection field says besides names of fields. */
const CONNECTION_OPTIONS: ReadonlySet<ByteString> = new Set(["keep-alive", "close", "upgrade"]);
const NO_NAMES: readonly ByteString[] = [];

/** A stretch of lines without variables, or one line with them. */
type Part =
  | { readonly kind: "constant"; readonly lines: ByteString }
  | { readonly kind: "variable"; readonly name: ByteString; readonly value: Template };

/**
 * The heads that a location sends upstream, prepared at load: what is constant is one string, what the client's own
 * fields must not override is one set.
 *
 * The order is nginx's: what proxy_set_header sets, the defaults that it does not replace, then the client's fields.
 */
export class RequestHeadPlan {
  /** What the location says about these two, which an upgrade needs; null where it says nothing. */
  readonly connection: Template | null;
  readonly upgrade: Template | null;

  readonly #versionLine: ByteString;
  readonly #parts: readonly Part[];
  readonly #notPassed: ReadonlySet<ByteString>;
  readonly #passesClientHeaders: boolean;

  constructor(settings: {
    readonly proxy_set_header: readonly SetHeader[];
    readonly proxy_pass_request_headers: boolean;
    readonly proxy_http_version: "1.0" | "1.1";
    /** `$proxy_host`, sent as Host where the location does not say otherwise. */
    readonly host: Template;
  }) {
    const set = settings.proxy_set_header;
    this.connection = lastValue(set, "connection");
    this.upgrade = lastValue(set, "upgrade");
    const lines = set.filter(({ name }) => !WRITTEN_ELSEWHERE.has(asciiLowerCase(name)));
    const hasHost = lines.some(({ name }) => asciiLowerCase(name) === "host");
    this.#parts = joinConstants(hasHost ? lines : [...lines, { name: "Host", value: settings.host }]);
    this.#notPassed = new Set([...NEVER_PASSED, ...set.map(({ name }) => hyphenated(asciiLowerCase(name)))]);
    this.#versionLine = ` HTTP/${settings.proxy_http_version}\r\n`;
    this.#passesClientHeaders = settings.proxy_pass_request_headers;
  }

  /** The whole head, its empty line included. */
  render(
    request: Request,
    method: ByteString,
    target: ByteString,
    bodyLength: SentBodyLength,
    { upgrade, connection, needsHttp11, withholdsDeflate }: SentUpgrade,
  ): ByteString {
    let head = `${method} ${escapeTarget(target)}${needsHttp11 ? HTTP_11 : this.#versionLine}`;
    for (const part of this.#parts) {
      head += part.kind === "constant" ? part.lines : headerLine(part.name, part.value.render(request));
    }
    if (upgrade !== "") head += headerLine("Upgrade", upgrade);
    if (connection !== "") head += headerLine("Connection", connection);
    if (bodyLength === "chunked") head += "Transfer-Encoding: chunked\r\n";
    else if (bodyLength !== "none") head += `Content-Length: ${bodyLength}\r\n`;
    if (this.#passesClientHeaders) head += this.#clientLines(request, withholdsDeflate);
    return `${head}\r\n`;
  }

  #clientLines(request: Request, withholdsDeflate: boolean): ByteString {
    const { headers } = request.head;
    const connection = headers.get("connection");
    const named = connection === undefined ? NO_NAMES : namedByConnection(headers.getAll("connection"));
    let lines = "";
    for (let i = 0; i < headers.length; i++) {
      const lower = headers.lowerNameAt(i);
      if (this.#notPassed.has(hyphenated(lower)) || (named.length > 0 && named.includes(lower))) continue;
      const value = headers.valueAt(i);
      if (withholdsDeflate && lower === "sec-websocket-extensions")
        lines += headerLine(headers.nameAt(i), withoutDeflate(value));
      else lines += `${headers.nameAt(i)}: ${value}\r\n`;
    }
    return lines;
  }
}

/**
 * The name that a program behind CGI or WSGI makes of both `X-Real-IP` and `X_Real_IP`: where underscores are allowed in
 * names, a client's alias must not stand beside what the location sets (GHSA-5m6w-wvh7-57vm).
 */
function hyphenated(lower: ByteString): ByteString {
  return lower.includes("_") ? lower.replaceAll("_", "-") : lower;
}

/**
 * The fields that a client's Connection names, which go no further than this hop (RFC 9110 section 7.6.1). What the
 * location sets is not the client's to take away (CVE-2024-45410): those lines do not come from here.
 */
function namedByConnection(values: readonly ByteString[]): readonly ByteString[] {
  const [only = ""] = values;
  if (values.length === 1 && CONNECTION_OPTIONS.has(asciiLowerCase(only))) return NO_NAMES;
  return values.flatMap(parseTokenList).filter((name) => !CONNECTION_OPTIONS.has(name));
}

function lastValue(set: readonly SetHeader[], lower: ByteString): Template | null {
  return set.findLast(({ name }) => asciiLowerCase(name) === lower)?.value ?? null;
}

function joinConstants(lines: readonly SetHeader[]): readonly Part[] {
  const parts: Part[] = [];
  let constant = "";
  for (const { name, value } of lines) {
    if (value.constant !== null) {
      constant += headerLine(name, value.constant);
      continue;
    }
    if (constant !== "") parts.push({ kind: "constant", lines: constant });
    constant = "";
    parts.push({ kind: "variable", name, value });
  }
  if (constant !== "") parts.push({ kind: "constant", lines: constant });
  return parts;
}

/** A line, or nothing for an empty value. A variable may hold any byte, but must not begin a line of its own. */
function headerLine(name: ByteString, value: ByteString): ByteString {
  return value === "" ? "" : `${name}: ${withoutControls(value)}\r\n`;
}
