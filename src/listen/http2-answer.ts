import type { OutgoingHttpHeaders } from "node:http2";
import type { ByteString } from "../base/bytes.ts";
import { VERSION } from "../base/version.ts";
import type { Request, Response } from "../compile/request.ts";
import type { HeaderList } from "../http/header-list.ts";
import { formatHttpDate } from "../http/http-date.ts";

/** Fields that have no place in an answer over HTTP/2 (RFC 9113 section 8.2.2), or that are written from `bodyLength`. */
const LEFT_OUT: ReadonlySet<ByteString> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "te",
  "http2-settings",
  "content-length",
]);

/** What an opening handshake's answer says over HTTP/1.1 alone (RFC 8441 section 5.1). */
const LEFT_OUT_OF_TUNNELS = "sec-websocket-accept";

/**
 * Fields that go out one by one: clients do not understand them otherwise. Others of one name are joined to a list, which
 * means the same (RFC 9110 section 5.3); of some Node takes no second one.
 */
const NEVER_JOINED: ReadonlySet<ByteString> = new Set([
  "set-cookie",
  "www-authenticate",
  "proxy-authenticate",
  "link",
]);

const WRITTEN_BEFORE: ReadonlySet<ByteString> = new Set(["server", "date", "content-type"]);

/** The head of a final answer, in nginx's order. */
export function answerHeaders(request: Request): OutgoingHttpHeaders {
  const { response } = request;
  const headers = beginHeaders(response, request.location.core.server_tokens);
  const contentType = response.headers.get("content-type");
  if (contentType !== undefined) headers["content-type"] = contentType;
  // RFC 9110 section 8.6: no Content-Length with 204.
  if (typeof response.bodyLength === "number" && response.status !== 204) {
    headers["content-length"] = String(response.bodyLength);
  }
  addFields(headers, response.headers, null);
  return headers;
}

/** The answer to an extended CONNECT that has become a tunnel: what the upstream's 101 says, as HTTP/2 says it. */
export function tunnelHeaders(request: Request): OutgoingHttpHeaders {
  const headers = beginHeaders(request.response, request.location.core.server_tokens);
  addFields(headers, request.response.headers, LEFT_OUT_OF_TUNNELS);
  return headers;
}

export function interimAnswerHeaders(status: number, fields: HeaderList): OutgoingHttpHeaders {
  const headers = emptyHeaders(status);
  addFields(headers, fields, null);
  return headers;
}

export function trailerHeaders(fields: HeaderList): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = Object.create(null);
  addFields(headers, fields, null);
  return headers;
}

/** The length of a head before its compression: what that leaves of it, Node does not tell. */
export function headBytes(headers: OutgoingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : [value]) bytes += name.length + String(each).length;
  }
  return bytes;
}

function beginHeaders(response: Response, serverTokens: "on" | "off" | "build"): OutgoingHttpHeaders {
  const headers = emptyHeaders(response.status);
  headers["server"] = serverTokens === "off" ? "wsgate" : `wsgate/${VERSION}`;
  headers["date"] = formatHttpDate(Date.now());
  return headers;
}

/** Without a prototype: a field may be called `__proto__`. */
function emptyHeaders(status: number): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = Object.create(null);
  headers[":status"] = status;
  return headers;
}

function addFields(headers: OutgoingHttpHeaders, fields: HeaderList, leftOut: ByteString | null): void {
  for (let i = 0; i < fields.length; i++) {
    const lower = fields.lowerNameAt(i);
    if (LEFT_OUT.has(lower) || lower === leftOut) continue;
    const value = fields.valueAt(i);
    const before = headers[lower];
    // Server and Date of the upstream's take the place of ours (proxy_pass_header); Content-Type stands there already.
    if (before === undefined || WRITTEN_BEFORE.has(lower)) headers[lower] = value;
    else if (NEVER_JOINED.has(lower)) headers[lower] = [before, value].flat().map(String);
    else headers[lower] = `${String(before)}, ${value}`;
  }
}
