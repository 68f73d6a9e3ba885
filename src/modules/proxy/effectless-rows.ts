import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { type DirectiveRow, withoutEffect } from "../../compile/rows.ts";
import { enumOf, MANY, offset, size, words } from "../../compile/values.ts";

const NO_FILES =
  "Answers are never written to files: what does not fit into proxy_buffers waits in the upstream.";
const NO_CACHE = "wsgate has no cache.";

/** Directives that tune what works differently here: accepted, checked, and listed by `wsgate lint`. */
export const effectlessRows: Readonly<Record<string, DirectiveRow<undefined>>> = {
  proxy_headers_hash_bucket_size: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Tables grow as they need.",
  }),
  proxy_headers_hash_max_size: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Tables grow as they need.",
  }),
  proxy_socket_rcvbuf: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Node leaves the buffers of sockets to the system.",
  }),
  proxy_socket_sndbuf: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Node leaves the buffers of sockets to the system.",
  }),
  proxy_send_lowat: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Not a setting of the kernels wsgate runs on.",
  }),
  proxy_busy_buffers_size: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "What has been read ahead is sent as soon as the client takes it.",
  }),
  proxy_max_temp_file_size: withoutEffect({ in: HTTP_SERVER_LOCATION, type: offset(), doc: NO_FILES }),
  proxy_temp_file_write_size: withoutEffect({ in: HTTP_SERVER_LOCATION, type: size(), doc: NO_FILES }),
  proxy_temp_path: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("path [level1 [level2 [level3]]]", 1, 4),
    doc: NO_FILES,
  }),
  proxy_cache: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("off"),
    doc: `Only off is accepted: ${NO_CACHE}`,
  }),
  proxy_cache_bypass: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("string …", 1, MANY),
    repeats: true,
    doc: NO_CACHE,
  }),
  proxy_no_cache: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("string …", 1, MANY),
    repeats: true,
    doc: NO_CACHE,
  }),
  proxy_store: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("off"),
    doc: "Only off is accepted: answers are not stored in files.",
  }),
  proxy_ssl_certificate_cache: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("off | max=N [inactive=time] [valid=time]", 1, 3),
    doc: "Certificates are read once, when the configuration is loaded.",
  }),
};
