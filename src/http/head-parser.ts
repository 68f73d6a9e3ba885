import type { ByteString } from "../base/bytes.ts";
import { declaredFraming, type Framing, NO_BODY, responseFraming } from "./framing.ts";
import { type HeadError, type HeadRule, headError } from "./head-error.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "./head-limits.ts";
import { type HeaderNameRules, HeadScanner, type ReceivedHead, type ScanState } from "./head-scanner.ts";
import type { HeaderList } from "./header-list.ts";
import { CONNECTION, EXPECT, HOST, SINGLE_IN_REQUESTS, TRANSFER_ENCODING, UPGRADE } from "./header-names.ts";
import { parseAuthority } from "./host.ts";
import { parseTarget, type TargetForm } from "./request-target.ts";
import { parseTokenList } from "./tokens.ts";

/** What a client asks for, as its head says it. */
export interface RequestHead {
  readonly method: ByteString;
  /** The request target as sent. */
  readonly target: ByteString;
  readonly form: TargetForm;
  /** In lower case; only in absolute form. */
  readonly scheme: ByteString | null;
  /** As sent; only in absolute and authority form. */
  readonly authority: ByteString | null;
  /** The path as sent, `/` if an absolute form has none, `*` in asterisk form, empty in authority form. */
  readonly rawPath: ByteString;
  /** What follows the first `?`; null without one. */
  readonly rawQuery: ByteString | null;
  readonly versionMajor: 1 | 2;
  /** 0 for HTTP/1.0 and 2.0; 1 for HTTP/1.1 and later 1.x, which are answered as 1.1 (RFC 9110 section 2.5). */
  readonly versionMinor: 0 | 1;
  readonly headers: HeaderList;
  /**
   * The authority's host in absolute form, otherwise that of the `Host` field, as nginx keeps it: in lower case, without
   * port and trailing dot. Null only in HTTP/1.0.
   */
  readonly host: ByteString | null;
  /** The port that stood beside {@link host}. */
  readonly port: number | null;
  readonly framing: Framing;
  /** Whether the client wants the connection to last (RFC 9112 section 9.3). */
  readonly keepAlive: boolean;
  /** What `Upgrade` lists, in lower case; empty unless `Connection` lists `upgrade`, and always in HTTP/1.0. */
  readonly upgrade: readonly ByteString[];
  /** Whether the client waits for 100 before it sends the body. */
  readonly expectContinue: boolean;
  /** Everything that was read for it: empty lines before, and the empty line at its end. */
  readonly headBytes: number;
}

/** How an upstream answers, as its head says it. */
export interface ResponseHead {
  readonly versionMinor: 0 | 1;
  /** From 100 to 999. */
  readonly status: number;
  /** As sent; may be empty. */
  readonly reason: ByteString;
  readonly headers: HeaderList;
  /** Depends on the request's method and on the status too. */
  readonly framing: Framing;
  /** Whether the connection can carry another request after the body. */
  readonly keepAlive: boolean;
  /** What `Upgrade` lists, in lower case; empty unless `Connection` lists `upgrade`. */
  readonly upgrade: readonly ByteString[];
  /** 1xx but not 101: the final answer is still to come. */
  readonly isInterim: boolean;
  readonly headBytes: number;
}

/** nginx's defaults for requests. */
export const REQUEST_NAME_RULES: HeaderNameRules = {
  ignoreInvalidHeaders: true,
  underscoresInHeaders: false,
};

/** Of a response, every name that is a token is passed on, and no other. */
const RESPONSE_NAME_RULES: HeaderNameRules = { ignoreInvalidHeaders: false, underscoresInHeaders: true };

/** Reads the heads of requests, one after the other; {@link reset} stands between two. */
export class RequestHeadParser {
  readonly #scanner: HeadScanner;
  /** Set when {@link state} is `done`. */
  head: RequestHead | null = null;
  /** Set when {@link state} is `error`. */
  error: HeadError | null = null;

  constructor(limits: HeadLimits = DEFAULT_HEAD_LIMITS, nameRules: HeaderNameRules = REQUEST_NAME_RULES) {
    this.#scanner = new HeadScanner("request", nameRules, limits);
  }

  get state(): ScanState {
    return this.error === null ? this.#scanner.state : "error";
  }

  /** Whether nothing of a head has arrived yet: a connection that ends here ends in good order. */
  get idle(): boolean {
    return this.#scanner.idle;
  }

  /** What has arrived: for the logs, where a head is no good or never comes whole. */
  received(): ReceivedHead {
    return this.#scanner.received();
  }

  /** Makes ready for the next request on the connection. */
  reset(limits?: HeadLimits): void {
    this.#scanner.reset(limits);
    this.head = null;
    this.error = null;
  }

  /**
   * Reads from `buffer[start, end)` up to the end of the head and returns how many bytes belong to it; what follows is
   * body, or the next request. Keeps no reference to `buffer`. To be called while {@link state} is `more`.
   */
  execute(buffer: Buffer, start: number, end: number): number {
    const scanner = this.#scanner;
    const used = scanner.execute(buffer, start, end);
    if (scanner.state === "done") {
      const result = readRequestHead(scanner);
      if (typeof result === "string") this.error = headError(result, 0);
      else this.head = result;
    } else {
      this.error = scanner.error;
    }
    return used;
  }
}

/** Reads the heads of the answers to one request after the other, interim ones included. */
export class ResponseHeadParser {
  readonly #scanner: HeadScanner;
  #requestMethod: ByteString;
  /** Set when {@link state} is `done`. */
  head: ResponseHead | null = null;
  /** Set when {@link state} is `error`; its status is 502. */
  error: HeadError | null = null;

  /** For responses `limits` usually has one buffer (`proxy_buffer_size`) and no large ones. */
  constructor(requestMethod: ByteString, limits: HeadLimits = DEFAULT_HEAD_LIMITS) {
    this.#scanner = new HeadScanner("response", RESPONSE_NAME_RULES, limits);
    this.#requestMethod = requestMethod;
  }

  get state(): ScanState {
    return this.error === null ? this.#scanner.state : "error";
  }

  /** Makes ready for the next head: the final one after an interim one, or the answer to another request. */
  reset(requestMethod: ByteString = this.#requestMethod, limits?: HeadLimits): void {
    this.#scanner.reset(limits);
    this.#requestMethod = requestMethod;
    this.head = null;
    this.error = null;
  }

  /** As {@link RequestHeadParser.execute}. */
  execute(buffer: Buffer, start: number, end: number): number {
    const scanner = this.#scanner;
    const used = scanner.execute(buffer, start, end);
    if (scanner.state === "done") {
      const result = readResponseHead(scanner, this.#requestMethod);
      if (typeof result === "string") this.error = { ...headError(result, 0), status: 502 };
      else this.head = result;
    } else if (scanner.error !== null) {
      this.error = { ...scanner.error, status: 502 };
    }
    return used;
  }
}

/** What the scanned lines mean, or the rule they break. */
function readRequestHead(scanner: HeadScanner): RequestHead | HeadRule {
  const { text, methodEnd, targetEnd, versionMinor } = scanner;
  const method = text.slice(0, methodEnd);
  const target = parseTarget(method, text.slice(methodEnd + 1, targetEnd));
  if (typeof target === "string") return target;

  const headers = scanner.headers();
  const { seen, repeated } = scanner;
  if ((repeated & SINGLE_IN_REQUESTS) !== 0) return "duplicate-header";
  const host = readHost(headers, seen, repeated, versionMinor);
  if (typeof host === "string") return host;
  const hasTransferEncoding = (seen & TRANSFER_ENCODING) !== 0;
  if (hasTransferEncoding && versionMinor === 0) return "transfer-encoding-in-http-1.0";
  const declared = declaredFraming(headers, seen, repeated);
  if (typeof declared === "string") return declared;

  const connection = (seen & CONNECTION) === 0 ? NO_TOKENS : connectionTokens(headers, repeated);
  const named = target.host === null ? host : target;
  return {
    method,
    target: target.raw,
    form: target.form,
    scheme: target.scheme,
    authority: target.authority,
    rawPath: target.rawPath,
    rawQuery: target.rawQuery,
    versionMajor: 1,
    versionMinor,
    headers,
    host: named?.host ?? null,
    port: named?.port ?? null,
    framing: declared ?? NO_BODY,
    keepAlive: isKeptAlive(connection, versionMinor),
    upgrade: (seen & UPGRADE) === 0 || versionMinor === 0 ? NO_TOKENS : upgradeTokens(headers, connection),
    expectContinue:
      (seen & EXPECT) !== 0 && versionMinor === 1 && headers.get("expect")?.toLowerCase() === "100-continue",
    headBytes: scanner.bytes,
  };
}

function readResponseHead(scanner: HeadScanner, requestMethod: ByteString): ResponseHead | HeadRule {
  const { text, startLineEnd } = scanner;
  const status = parseStatus(text, startLineEnd);
  if (status === null) return "invalid-status-line";
  const versionMinor = text.charCodeAt(VERSION_MINOR_AT) === 0x30 ? 0 : 1;

  const headers = scanner.headers();
  const { seen, repeated } = scanner;
  const declared = declaredFraming(headers, seen, repeated);
  if (typeof declared === "string") return declared;

  const framing = responseFraming(requestMethod, status, declared);
  const connection = (seen & CONNECTION) === 0 ? NO_TOKENS : connectionTokens(headers, repeated);
  // RFC 9112 section 6.1: of an HTTP/1.0 server that sends chunks nobody knows what it does next.
  const isFaulty = versionMinor === 0 && (seen & TRANSFER_ENCODING) !== 0;
  return {
    versionMinor,
    status,
    reason: text.slice(REASON_AT, startLineEnd),
    headers,
    framing,
    keepAlive: framing.kind !== "until-close" && !isFaulty && isKeptAlive(connection, versionMinor),
    upgrade: (seen & UPGRADE) === 0 ? NO_TOKENS : upgradeTokens(headers, connection),
    isInterim: status < 200 && status !== 101,
    headBytes: scanner.bytes,
  };
}

/** Where the parts of `HTTP/1.1 200 OK` stand; its first seven bytes are the scanner's to check. */
const VERSION_MINOR_AT = 7;
const STATUS_AT = 9;
const REASON_AT = 13;

/** The status in a status line that ends at `end`; null if the line is malformed. The reason may be missing, with its space. */
function parseStatus(text: ByteString, end: number): number | null {
  const status = parseDigits(text, STATUS_AT, STATUS_AT + 3);
  const isFormed =
    parseDigits(text, VERSION_MINOR_AT, VERSION_MINOR_AT + 1) >= 0 &&
    text.charCodeAt(STATUS_AT - 1) === 0x20 &&
    (end === REASON_AT - 1 || (end >= REASON_AT && text.charCodeAt(REASON_AT - 1) === 0x20));
  return isFormed && status >= 100 ? status : null;
}

/** The number in `text[start, end)`, or -1 if there is a byte among them that is no digit. */
function parseDigits(text: ByteString, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** RFC 9112 section 3.2: exactly one valid `Host` in HTTP/1.1, at most one in 1.0, whatever the target's form. */
function readHost(
  headers: HeaderList,
  seen: number,
  repeated: number,
  versionMinor: 0 | 1,
): ReturnType<typeof parseAuthority> | HeadRule {
  if ((seen & HOST) === 0) return versionMinor === 0 ? null : "missing-host";
  if ((repeated & HOST) !== 0) return "duplicate-host";
  return parseAuthority(headers.get("host") ?? "") ?? "invalid-host";
}

const NO_TOKENS: readonly ByteString[] = [];
/** What nearly every Upgrade lists: one list for all tunnels, which keep it for as long as they live. */
const WEBSOCKET: readonly ByteString[] = ["websocket"];

function connectionTokens(headers: HeaderList, repeated: number): readonly ByteString[] {
  if ((repeated & CONNECTION) === 0) return parseTokenList(headers.get("connection") ?? "");
  return headers.getAll("connection").flatMap(parseTokenList);
}

function upgradeTokens(headers: HeaderList, connection: readonly ByteString[]): readonly ByteString[] {
  if (!connection.includes("upgrade")) return NO_TOKENS;
  const tokens = headers.getAll("upgrade").flatMap(parseTokenList);
  return tokens.length === 1 && tokens[0] === WEBSOCKET[0] ? WEBSOCKET : tokens;
}

function isKeptAlive(connection: readonly ByteString[], versionMinor: 0 | 1): boolean {
  if (connection.includes("close")) return false;
  return versionMinor === 1 || connection.includes("keep-alive");
}
