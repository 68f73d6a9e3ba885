import { realpathSync } from "node:fs";
import { hostname } from "node:os";
import type { ByteString } from "../../base/bytes.ts";
import { asciiLowerCase, byteStringFromText } from "../../base/bytes.ts";
import { formatSeconds } from "../../base/units.ts";
import { VERSION } from "../../base/version.ts";
import { documentRoot, filePath } from "../../compile/file-path.ts";
import { headerGetter } from "../../compile/header-getter.ts";
import type { VariableRow } from "../../compile/module.ts";
import type { Request } from "../../compile/request.ts";
import type { Getter } from "../../compile/template.ts";
import type { HeaderList } from "../../http/header-list.ts";
import { protocolOf, requestLine } from "../../http/request-line.ts";
import { addressBytes } from "../../base/address-bytes.ts";
import { iso8601, localTime } from "./time-format.ts";

type Row = Omit<VariableRow, "get" | "family" | "changeable" | "nginx">;

function value(row: Row, get: Getter, options: { readonly changeable?: boolean } = {}): VariableRow {
  return { ...row, family: false, changeable: options.changeable ?? false, nginx: true, get: () => get };
}

function family(row: Row, get: (argument: string) => Getter): VariableRow {
  return { ...row, family: true, changeable: false, nginx: true, get };
}

const HOSTNAME = byteStringFromText(hostname());

/** Variables about the connection and the request as it came. */
const requestVariables: readonly VariableRow[] = [
  family(
    { name: "arg_", doc: "An argument of the query string.", from: "request" },
    (name) => (request) => queryArgument(request.args, name),
  ),
  value({ name: "args", doc: "The query string.", from: "request" }, queryString, { changeable: true }),
  value({ name: "query_string", doc: "The query string.", from: "request" }, queryString),
  value(
    { name: "is_args", doc: "`?` if there is a query string, else empty.", from: "request" },
    (request) => (request.args === "" ? "" : "?"),
  ),
  value(
    { name: "binary_remote_addr", doc: "The client's address in 4 or 16 bytes.", from: "connection" },
    (request) => addressBytes(request.connection.remoteAddress),
  ),
  value({ name: "connection", doc: "Serial number of the connection.", from: "connection" }, (request) =>
    String(request.connection.serial),
  ),
  value(
    { name: "connection_requests", doc: "Requests made on the connection so far.", from: "request" },
    (request) => String(request.connection.requests),
  ),
  value(
    {
      name: "connection_time",
      doc: "Age of the connection in seconds, to the millisecond.",
      from: "request",
    },
    (request) => formatSeconds(performance.now() - request.connection.openedAtMs),
  ),
  value({ name: "content_length", doc: "Content-Length of the request.", from: "request" }, (request) =>
    request.head.headers.get("content-length"),
  ),
  value({ name: "content_type", doc: "Content-Type of the request.", from: "request" }, (request) =>
    request.head.headers.get("content-type"),
  ),
  family(
    { name: "cookie_", doc: "A cookie of the request.", from: "request" },
    (name) => (request) => cookie(request.head.headers, name),
  ),
  value(
    { name: "document_root", doc: "What root or alias give for the request.", from: "access" },
    documentRoot,
  ),
  value(
    { name: "realpath_root", doc: "The same with symbolic links resolved.", from: "access" },
    realpathRoot,
  ),
  value({ name: "request_filename", doc: "The file that the path stands for.", from: "access" }, (request) =>
    filePath(request),
  ),
  value(
    { name: "uri", doc: "The path, decoded and normalized, as rewrites have left it.", from: "request" },
    (request) => request.path,
  ),
  value({ name: "document_uri", doc: "The same as $uri.", from: "request" }, (request) => request.path),
  value(
    {
      name: "host",
      doc: "The host of the request line or of the Host header, in lower case without port; else the server's name.",
      from: "request",
    },
    (request) => (request.host === "" ? request.server.name : request.host),
  ),
  family(
    {
      name: "http_",
      doc: "A header of the request, its name in lower case with underscores.",
      from: "request",
    },
    headerGetter((request) => request.head.headers),
  ),
  value({ name: "https", doc: "`on` on a TLS connection, else empty.", from: "connection" }, (request) =>
    request.connection.scheme === "https" ? "on" : "",
  ),
  value(
    { name: "is_request_port", doc: "`:` if the request names a port, else empty.", from: "request" },
    (request) => (request.head.port === null ? "" : ":"),
  ),
  value({ name: "request_port", doc: "The port that the request names.", from: "request" }, (request) =>
    request.head.port === null ? "" : String(request.head.port),
  ),
  value(
    { name: "limit_rate", doc: "The rate limit of the answer in bytes per second.", from: "request" },
    (request) => request.location.core.limit_rate?.render(request) ?? "0",
  ),
  value(
    { name: "remote_addr", doc: "The client's address.", from: "connection" },
    (request) => request.connection.remoteAddress,
  ),
  value({ name: "remote_port", doc: "The client's port.", from: "connection" }, (request) =>
    String(request.connection.remotePort),
  ),
  value({ name: "remote_user", doc: "The user name of Basic authentication.", from: "request" }, remoteUser),
  value({ name: "request", doc: "The request line as it came.", from: "request" }, (request) =>
    requestLine(request.head),
  ),
  value(
    { name: "request_id", doc: "32 random hexadecimal digits.", from: "request" },
    (request) => request.id,
  ),
  value(
    {
      name: "request_length",
      doc: "Bytes of the request with its head, without those of a tunnel.",
      from: "request",
    },
    (request) => String(request.bytesReceived),
  ),
  value({ name: "request_method", doc: "The method.", from: "request" }, (request) => request.method),
  value(
    {
      name: "request_uri",
      doc: "The target of the request as it came, with its query string.",
      from: "request",
    },
    (request) => originTarget(request),
  ),
  value(
    { name: "scheme", doc: "`http` or `https`.", from: "connection" },
    (request) => request.connection.scheme,
  ),
  value(
    { name: "server_addr", doc: "The address on which the connection came.", from: "connection" },
    (request) => request.connection.localAddress,
  ),
  value(
    { name: "server_port", doc: "The port on which the connection came.", from: "connection" },
    (request) => String(request.connection.localPort),
  ),
  value(
    { name: "server_name", doc: "The first name of the server that was chosen.", from: "request" },
    (request) => request.server.name,
  ),
  value({ name: "server_protocol", doc: "The protocol of the request.", from: "request" }, (request) =>
    protocolOf(request.head),
  ),
  value(
    {
      name: "proxy_protocol_addr",
      doc: "The client's address as the PROXY protocol gives it.",
      from: "connection",
    },
    (request) => request.connection.proxyProtocol?.sourceAddress ?? undefined,
  ),
  value(
    {
      name: "proxy_protocol_port",
      doc: "The client's port as the PROXY protocol gives it.",
      from: "connection",
    },
    (request) => text(request.connection.proxyProtocol?.sourcePort),
  ),
  value(
    {
      name: "proxy_protocol_server_addr",
      doc: "The server's address as the PROXY protocol gives it.",
      from: "connection",
    },
    (request) => request.connection.proxyProtocol?.destinationAddress ?? undefined,
  ),
  value(
    {
      name: "proxy_protocol_server_port",
      doc: "The server's port as the PROXY protocol gives it.",
      from: "connection",
    },
    (request) => text(request.connection.proxyProtocol?.destinationPort),
  ),
];

/** Variables about the answer, and about time and place. */
const answerVariables: readonly VariableRow[] = [
  value({ name: "body_bytes_sent", doc: "Bytes of the answer without its head.", from: "log" }, (request) =>
    String(request.response.bodyBytesSent),
  ),
  value({ name: "bytes_sent", doc: "Bytes of the answer with its head.", from: "log" }, (request) =>
    String(request.response.bytesSent),
  ),
  value(
    { name: "request_completion", doc: "`OK` if the request was answered completely.", from: "log" },
    (request) => (request.isFinished && !request.isClientLost ? "OK" : ""),
  ),
  value(
    {
      name: "request_time",
      doc: "Seconds since the first byte of the request, to the millisecond.",
      from: "request",
    },
    (request) => formatSeconds(performance.now() - request.startedAtMs),
  ),
  family(
    { name: "sent_http_", doc: "A header of the answer.", from: "response" },
    headerGetter((request) => request.response.headers),
  ),
  family(
    { name: "sent_trailer_", doc: "A trailer of the answer.", from: "log" },
    headerGetter((request) => request.response.trailers),
  ),
  value({ name: "status", doc: "The status of the answer.", from: "response" }, (request) =>
    // nginx prints the status of a request that ended without an answer as three digits, too.
    String(request.response.status).padStart(3, "0"),
  ),
  value({ name: "hostname", doc: "The name of this machine.", from: "connection" }, () => HOSTNAME),
  value(
    { name: "msec", doc: "The time in seconds since 1970, to the millisecond.", from: "connection" },
    () => formatSeconds(Date.now()),
  ),
  value(
    { name: "nginx_version", doc: "The version of wsgate, which takes nginx's place.", from: "connection" },
    () => VERSION,
  ),
  value({ name: "pid", doc: "Process ID of the worker.", from: "connection" }, () => String(process.pid)),
  value(
    {
      name: "pipe",
      doc: "`p` if the request was one of several sent without waiting, else `.`.",
      from: "connection",
    },
    () => ".",
  ),
  value(
    { name: "time_iso8601", doc: "Local time as in 2026-11-21T09:00:00+01:00.", from: "connection" },
    () => iso8601(Date.now()),
  ),
  value({ name: "time_iso8601_ms", doc: "The same with milliseconds.", from: "connection" }, () =>
    iso8601(Date.now(), true),
  ),
  value({ name: "time_local", doc: "Local time as in 21/Nov/2026:09:00:00 +0100.", from: "connection" }, () =>
    localTime(Date.now()),
  ),
];

export const coreVariables: readonly VariableRow[] = [...requestVariables, ...answerVariables];

function text(port: number | undefined): string | undefined {
  return port === undefined ? undefined : String(port);
}

/** To nginx a query string that is empty is not there, with a question mark or without. */
function queryString({ args }: Request): ByteString | undefined {
  return args === "" ? undefined : args;
}

/** The request target without scheme and authority, which an absolute form has in front. */
function originTarget(request: Request): ByteString {
  const { head } = request;
  if (head.form !== "absolute") return head.target;
  return head.rawQuery === null ? head.rawPath : `${head.rawPath}?${head.rawQuery}`;
}

function queryArgument(args: ByteString, name: string): ByteString | undefined {
  if (args === "") return undefined;
  const wanted = asciiLowerCase(name);
  for (const part of args.split("&")) {
    const equals = part.indexOf("=");
    if (equals >= 0 && asciiLowerCase(part.slice(0, equals)) === wanted) return part.slice(equals + 1);
  }
  return undefined;
}

function cookie(headers: HeaderList, name: string): ByteString | undefined {
  for (const line of headers.getAll("cookie")) {
    for (const pair of line.split(";")) {
      const equals = pair.indexOf("=");
      if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    }
  }
  return undefined;
}

function remoteUser(request: Request): ByteString | undefined {
  const credentials = /^basic +(\S+)/i.exec(request.head.headers.get("authorization") ?? "")?.[1];
  if (credentials === undefined) return undefined;
  const decoded = Buffer.from(credentials, "base64").toString("latin1");
  const colon = decoded.indexOf(":");
  return colon < 0 ? undefined : decoded.slice(0, colon);
}

function realpathRoot(request: Request): ByteString | undefined {
  try {
    return realpathSync(Buffer.from(documentRoot(request), "latin1"), "latin1");
  } catch {
    return undefined;
  }
}
