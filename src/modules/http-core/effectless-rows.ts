import { HTTP_SERVER, HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { type DirectiveRow, withoutEffect } from "../../compile/rows.ts";
import { anyOf, enumOf, flag, integer, MANY, size, timeMs, words } from "../../compile/values.ts";

const NO_POOLS = "Memory is managed by Node.";
const NO_HASHES = "Tables grow as they need.";
const NO_FILE_CACHE = "The kernel caches files.";
const NO_SENDFILE = "Node has no sendfile for sockets; files are read and written.";

/** Directives that tune what works differently here: accepted, checked, and listed by `wsgate lint`. */
export const effectlessRows: Readonly<Record<string, DirectiveRow<undefined>>> = {
  aio: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("on | off | threads[=pool]", 1, 1),
    doc: "Files are always read without blocking.",
  }),
  aio_write: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    doc: "Files are always written without blocking.",
  }),
  client_body_in_single_buffer: withoutEffect({ in: HTTP_SERVER_LOCATION, type: flag(), doc: NO_POOLS }),
  connection_pool_size: withoutEffect({ in: HTTP_SERVER, type: size(), doc: NO_POOLS }),
  directio: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("size | off", 1, 1),
    doc: "Files are read through the kernel's cache.",
  }),
  directio_alignment: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Files are read through the kernel's cache.",
  }),
  keepalive_disable: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: anyOf("none", "msie6", "safari"),
    doc: "The browsers that needed it are gone.",
  }),
  msie_padding: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    doc: "The browsers that needed it are gone.",
  }),
  msie_refresh: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    doc: "The browsers that needed it are gone.",
  }),
  open_file_cache: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("off | max=N [inactive=time]", 1, 2),
    doc: NO_FILE_CACHE,
  }),
  open_file_cache_errors: withoutEffect({ in: HTTP_SERVER_LOCATION, type: flag(), doc: NO_FILE_CACHE }),
  open_file_cache_min_uses: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: integer(1, MANY),
    doc: NO_FILE_CACHE,
  }),
  open_file_cache_valid: withoutEffect({ in: HTTP_SERVER_LOCATION, type: timeMs(), doc: NO_FILE_CACHE }),
  output_buffers: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: words("number size", 2, 2),
    doc: NO_POOLS,
  }),
  postpone_output: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Heads and first pieces go out together as it is.",
  }),
  read_ahead: withoutEffect({ in: HTTP_SERVER_LOCATION, type: size(), doc: "The kernel reads ahead." }),
  request_pool_size: withoutEffect({ in: HTTP_SERVER, type: size(), doc: NO_POOLS }),
  send_lowat: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: size(),
    doc: "Not a setting of the kernels wsgate runs on.",
  }),
  sendfile: withoutEffect({
    in: [...HTTP_SERVER_LOCATION, "if in location"],
    type: flag(),
    doc: NO_SENDFILE,
  }),
  sendfile_max_chunk: withoutEffect({ in: HTTP_SERVER_LOCATION, type: size(), doc: NO_SENDFILE }),
  server_names_hash_bucket_size: withoutEffect({ in: ["http"], type: size(), doc: NO_HASHES }),
  server_names_hash_max_size: withoutEffect({ in: ["http"], type: size(), doc: NO_HASHES }),
  subrequest_output_buffer_size: withoutEffect({ in: HTTP_SERVER_LOCATION, type: size(), doc: NO_POOLS }),
  tcp_nopush: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    doc: "Heads and first pieces go out together as it is.",
  }),
  types_hash_bucket_size: withoutEffect({ in: HTTP_SERVER_LOCATION, type: size(), doc: NO_HASHES }),
  types_hash_max_size: withoutEffect({ in: HTTP_SERVER_LOCATION, type: size(), doc: NO_HASHES }),
  variables_hash_bucket_size: withoutEffect({ in: ["http"], type: size(), doc: NO_HASHES }),
  variables_hash_max_size: withoutEffect({ in: ["http"], type: size(), doc: NO_HASHES }),
  disable_symlinks: withoutEffect({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("off"),
    doc: "Only off is accepted: symbolic links are followed.",
  }),
};
