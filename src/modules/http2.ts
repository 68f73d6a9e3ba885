import type { Check } from "../compile/check.ts";
import { HTTP_SERVER, HTTP_SERVER_LOCATION } from "../compile/contexts.ts";
import type { Module } from "../compile/module.ts";
import type { Http2Settings } from "../compile/plan.ts";
import { type DirectiveRow, one, type RowsOf, settingsAt, withoutEffect } from "../compile/rows.ts";
import type { ValueType } from "../compile/rows.ts";
import { enumOf, flag, integer, MANY, size, timeMs, words } from "../compile/values.ts";
import type { Word } from "../config/tree.ts";

/** RFC 9113 section 6.5.2: no window is wider. */
const WINDOW_BYTES_MAX = 0x7fff_ffff;

const rows: RowsOf<Http2Settings> = {
  http2: one({
    in: HTTP_SERVER,
    type: flag(),
    default: false,
    doc: "Offers HTTP/2: by ALPN on TLS addresses, to clients that begin with its preface on others. WebSockets come over it by RFC 8441.",
  }),
  http2_max_concurrent_streams: one({
    in: HTTP_SERVER,
    type: integer(1, MANY),
    default: 128,
    doc: "Requests and tunnels that a connection may have under way at a time.",
  }),
  http2_body_preread_size: one({
    in: HTTP_SERVER,
    type: bounded(size(), WINDOW_BYTES_MAX),
    default: 65_536,
    defaultText: "64k",
    doc: "How much of a request's body a client may send before it is read: the window of a stream.",
  }),
};

const effectlessRows: Readonly<Record<string, DirectiveRow<undefined>>> = {
  http2_chunk_size: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: aboveZero(size(), "the http2 chunk size cannot be zero"),
    doc: "Frames are as long as what there is to send, and never longer than the client allows.",
  }),
  http2_recv_buffer_size: withoutEffect({ in: ["http"], type: size(), doc: "Memory is managed by Node." }),
  http2_idle_timeout: obsolete(timeMs(), HTTP_SERVER, "keepalive_timeout"),
  http2_recv_timeout: obsolete(timeMs(), HTTP_SERVER, "client_header_timeout"),
  http2_max_requests: obsolete(integer(0, MANY), HTTP_SERVER, "keepalive_requests"),
  http2_max_field_size: obsolete(size(), HTTP_SERVER, "large_client_header_buffers"),
  http2_max_header_size: obsolete(size(), HTTP_SERVER, "large_client_header_buffers"),
  http2_max_concurrent_pushes: obsolete(integer(0, MANY), HTTP_SERVER, null),
  http2_push: obsolete(words("uri | off", 1, 1), HTTP_SERVER_LOCATION, null, true),
  http2_push_preload: obsolete(enumOf("on", "off"), HTTP_SERVER_LOCATION, null),
};

/** HTTP/2 towards clients. */
export const http2Module: Module = {
  name: "ngx_http_v2_module",
  directives: { ...rows, ...effectlessRows },
  variables: [
    {
      name: "http2",
      family: false,
      doc: "`h2` for HTTP/2 over TLS, `h2c` for HTTP/2 without, else empty.",
      from: "request",
      changeable: false,
      nginx: true,
      get: () => (request) => {
        if (request.head.versionMajor !== 2) return "";
        return request.connection.scheme === "https" ? "h2" : "h2c";
      },
    },
  ],
  server: (scope) => ({ http2: settingsAt(rows, scope) }),
};

function bounded(type: ValueType<number>, max: number): ValueType<number> {
  return {
    ...type,
    parse(args, check, directive) {
      const value = type.parse(args, check, directive);
      if (value === undefined || value <= max) return value;
      check.error(args[0]?.span ?? null, `invalid value "${args[0]?.text ?? ""}"`, {
        code: "invalid-value",
        notes: [{ message: `it must not be more than ${max}` }],
      });
      return undefined;
    },
  };
}

function aboveZero(type: ValueType<number>, complaint: string): ValueType<number> {
  return {
    ...type,
    parse(args, check, directive) {
      const value = type.parse(args, check, directive);
      if (value !== 0) return value;
      check.error(args[0]?.span ?? null, complaint, { code: "invalid-value" });
      return undefined;
    },
  };
}

/** Says, in nginx's words, that a directive belongs to the past, and what has taken its place. */
function obsolete<T>(
  type: ValueType<T>,
  contexts: DirectiveRow["in"],
  successor: string | null,
  repeats = false,
): DirectiveRow<undefined> {
  const instead = successor === null ? "ignored" : `use the "${successor}" directive instead`;
  return withoutEffect({
    in: contexts,
    repeats,
    doc: successor === null ? "Obsolete: browsers know no push any more." : `Obsolete: use \`${successor}\`.`,
    type: {
      ...type,
      parse(args: readonly Word[], check: Check, directive) {
        const { name } = directive;
        check.warn(name.span, `the "${name.text}" directive is obsolete, ${instead}`, { code: "obsolete" });
        return type.parse(args, check, directive);
      },
    },
  });
}
