import { HTTP_SERVER, HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF } from "../../compile/contexts.ts";
import { block, many, one } from "../../compile/rows.ts";
import type { BlockHead } from "../../compile/scope.ts";
import {
  custom,
  enumOf,
  flag,
  integer,
  MANY,
  offset,
  plainHead,
  size,
  template,
  text,
  timeMs,
} from "../../compile/values.ts";
import type { Template } from "../../compile/template.ts";
import { parseSize, parseTimeMs } from "../../base/units.ts";
import type { DirectiveRow, RowsOf } from "../../compile/rows.ts";
import type { CoreLocation, CoreServer, ErrorPage } from "../../compile/plan.ts";
import type { ListenSpec } from "../../compile/module.ts";
import type { Scope } from "../../compile/scope.ts";
import { parseErrorPage } from "./error-page.ts";
import { parseListen } from "./listen.ts";
import { parseLocationHead } from "./location-head.ts";
import { parseServerNames, type ServerNames } from "./server-name.ts";
import { DEFAULT_TYPES, parseTypes } from "./types.ts";

export const blockRows: Readonly<
  Record<"http" | "server" | "location" | "limit_except", DirectiveRow<readonly Scope[]>>
> = {
  http: block({
    in: ["main"],
    type: plainHead(),
    opens: () => "http",
    repeats: false,
    doc: "Holds everything about HTTP.",
  }),
  server: block({
    in: ["http"],
    type: plainHead(),
    opens: () => "server",
    repeats: true,
    doc: "A virtual server, chosen by address and by Host.",
  }),
  location: block({
    in: ["server", "location"],
    type: custom("[ = | ~ | ~* | ^~ ] uri | @name", [1, 2], parseLocationHead),
    opens: () => "location",
    repeats: true,
    doc: "Settings for a part of the paths: = exactly this path, ^~ this prefix without a look at regular expressions, ~ and ~* a regular expression with and without regard to case, @ a name for internal redirects.",
  }),
  limit_except: block({
    in: ["location"],
    type: custom<BlockHead>("method …", [1, MANY], (args) => {
      const methods = args.map((word) => word.text.toUpperCase());
      // nginx: allowing GET allows HEAD as well.
      return { kind: "limit_except", methods: methods.includes("GET") ? [...methods, "HEAD"] : methods };
    }),
    opens: () => "limit_except",
    repeats: false,
    doc: "What holds for all methods but these.",
  }),
};

interface ServerRowSettings extends CoreServer {
  readonly listen: readonly (readonly ListenSpec[])[];
  readonly server_name: readonly ServerNames[];
}

export const serverRows: RowsOf<ServerRowSettings> = {
  listen: many({
    in: ["server"],
    type: custom(
      "address[:port] [parameter …] | port [parameter …] | unix:path [parameter …]",
      [1, MANY],
      parseListen,
    ),
    inherit: "none",
    defaultText: "*:80 | *:8000",
    doc: "An address on which the server takes connections. Port 0 takes any free port.",
  }),
  server_name: many({
    in: ["server"],
    type: custom("name …", [1, MANY], parseServerNames),
    inherit: "none",
    defaultText: '""',
    doc: "Names by which Host chooses the server. Internationalized names match in their UTF-8 and their punycode form.",
  }),
  client_header_timeout: one({
    in: HTTP_SERVER,
    type: timeMs(),
    default: 60_000,
    defaultText: "60s",
    doc: "The time a client has for a whole request head.",
  }),
  client_header_buffer_size: one({
    in: HTTP_SERVER,
    type: size(),
    default: 1024,
    defaultText: "1k",
    doc: "The buffer a request head is read into first.",
  }),
  large_client_header_buffers: one({
    in: HTTP_SERVER,
    type: custom("number size", [2, 2], ([count, bytes], check, directive) => {
      const number = /^\d+$/.test(count?.text ?? "") ? Number(count?.text) : 0;
      const length = parseSize(bytes?.text ?? "");
      if (number > 0 && length !== null && length > 0) return { count: number, size: length };
      check.error(
        (number > 0 ? bytes : count)?.span ?? null,
        `invalid parameter "${(number > 0 ? bytes : count)?.text ?? ""}"`,
        {
          code: "invalid-value",
          notes: [{ message: `${directive.name.text} takes a number of buffers and their size: 4 8k` }],
        },
      );
      return undefined;
    }),
    default: { count: 4, size: 8192 },
    defaultText: "4 8k",
    doc: "Number and size of the buffers for request heads that are longer. One line may fill one buffer: a longer request line is answered with 414, a longer header line with 400.",
  }),
  max_headers: one({
    in: HTTP_SERVER,
    type: integer(1, 100_000),
    default: 1000,
    doc: "Number of header lines a request may have.",
  }),
  ignore_invalid_headers: one({
    in: HTTP_SERVER,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether header lines with invalid names are left out instead of refused.",
  }),
  underscores_in_headers: one({
    in: HTTP_SERVER,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether a header name with an underscore is valid.",
  }),
  merge_slashes: one({
    in: HTTP_SERVER,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether neighbouring slashes of a path count as one.",
  }),
};

type LocationRowSettings = Omit<CoreLocation, "root"> & {
  readonly root: Template | null;
  readonly alias: Template | null;
};

export const locationRows: RowsOf<LocationRowSettings> = {
  internal: one({
    in: ["location"],
    type: custom("", [0, 0], () => true),
    default: false,
    inherit: "none",
    doc: "The location is for internal redirects only; others are answered with 404.",
  }),
  client_max_body_size: one({
    in: HTTP_SERVER_LOCATION,
    type: offset(),
    default: 1024 * 1024,
    defaultText: "1m",
    doc: "The largest request body; a larger one is answered with 413. 0 for no limit.",
  }),
  client_body_buffer_size: one({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    default: 16_384,
    defaultText: "16k",
    doc: "How much of a request body is kept in memory; more goes to a temporary file.",
  }),
  client_body_temp_path: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("path [level1 [level2 [level3]]]", [1, 4], ([directory], check) =>
      check.path(directory?.text ?? "", "prefix"),
    ),
    default: "",
    defaultText: "the system's folder for temporary files",
    doc: "The folder for request bodies that do not fit into memory.",
  }),
  client_body_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 60_000,
    defaultText: "60s",
    doc: "The longest pause between two pieces of a request body.",
  }),
  send_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 60_000,
    defaultText: "60s",
    doc: "The longest time in which a client takes nothing of an answer.",
  }),
  keepalive_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("timeout [header_timeout]", [1, 2], ([timeout, header], check, directive) => {
      const timeoutMs = parseTimeMs(timeout?.text ?? "");
      const headerMs = header === undefined ? null : parseTimeMs(header.text);
      if (timeoutMs !== null && (header === undefined || headerMs !== null)) {
        return { timeout: timeoutMs, header: headerMs === null ? null : Math.floor(headerMs / 1000) };
      }
      check.error(
        (timeoutMs === null ? timeout : header)?.span ?? null,
        `"${directive.name.text}" directive invalid value`,
        { code: "invalid-value" },
      );
      return undefined;
    }),
    default: { timeout: 75_000, header: null },
    defaultText: "75s",
    doc: "How long an idle connection is kept for another request, 0 for not at all; and what the Keep-Alive header says.",
  }),
  keepalive_requests: one({
    in: HTTP_SERVER_LOCATION,
    type: integer(0, MANY),
    default: 1000,
    doc: "Requests that one connection may carry.",
  }),
  keepalive_time: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 3_600_000,
    defaultText: "1h",
    doc: "How long one connection may carry requests.",
  }),
  lingering_close: one({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("off", "on", "always"),
    default: "on",
    doc: "Whether what a client still sends is read and dropped before its connection is closed.",
  }),
  lingering_time: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 30_000,
    defaultText: "30s",
    doc: "How long it is read and dropped at most.",
  }),
  lingering_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 5000,
    defaultText: "5s",
    doc: "How long the next piece of it is waited for.",
  }),
  reset_timedout_connection: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether connections that timed out are reset instead of closed.",
  }),
  tcp_nodelay: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether small packets are sent at once.",
  }),
  chunked_transfer_encoding: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether answers of unknown length are chunked for HTTP/1.1 clients; off closes the connection at their end.",
  }),
  server_tokens: one({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("on", "off", "build"),
    default: "on",
    doc: "Whether the version stands in the Server header and on error pages.",
  }),
  absolute_redirect: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether redirects that wsgate makes carry scheme and host.",
  }),
  server_name_in_redirect: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether they carry the server's first name instead of the request's Host.",
  }),
  port_in_redirect: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether they carry the port where it is not the scheme's own.",
  }),
  recursive_error_pages: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether an error on the way to an error page leads to its own error page.",
  }),
  error_page: many<ErrorPage>({
    in: HTTP_SERVER_LOCATION_IF,
    type: custom("code … [=[response]] uri", [2, MANY], parseErrorPage),
    inherit: "list",
    doc: "What is served for these statuses: a path, a named location, or a redirect to another place.",
  }),
  log_not_found: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether missing files are noted in the error log.",
  }),
  etag: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether files are served with an ETag.",
  }),
  types: one({
    in: HTTP_SERVER_LOCATION,
    block: "required",
    type: custom("{ … }", [0, 0], parseTypes),
    default: DEFAULT_TYPES,
    defaultText: "text/html html; image/gif gif; image/jpeg jpg;",
    doc: "The content types of file extensions.",
  }),
  default_type: one({
    in: HTTP_SERVER_LOCATION,
    type: text("mime-type"),
    default: "text/plain",
    doc: "The content type where types has none.",
  }),
  root: one({
    in: HTTP_SERVER_LOCATION_IF,
    type: pathTemplate(),
    default: null,
    defaultText: "html",
    doc: "The folder that paths are looked up in.",
  }),
  alias: one({
    in: ["location"],
    type: pathTemplate(),
    default: null,
    inherit: "none",
    doc: "The folder that stands in place of the location's own path.",
  }),
  limit_rate: one({
    in: HTTP_SERVER_LOCATION_IF,
    type: template("rate"),
    default: null,
    defaultText: "0",
    doc: "Bytes per second in which an answer is sent; 0 for no limit.",
  }),
  limit_rate_after: one({
    in: HTTP_SERVER_LOCATION_IF,
    type: size(),
    default: 0,
    doc: "So much of an answer is sent before limit_rate holds.",
  }),
};

/** A path that may hold variables; without any it is made absolute at load. */
function pathTemplate(): ReturnType<typeof template> {
  return custom("path", [1, 1], ([word], check) => {
    if (word === undefined) return undefined;
    const written = check.template(word);
    if (written.variables.length > 0) return written;
    return check.templateOf(check.path(word.text, "prefix"), word.span);
  });
}
