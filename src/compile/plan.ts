import type { SecureContextOptions } from "node:tls";
import type { ByteString } from "../base/bytes.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import type { Span } from "../config/position.ts";
import type { ErrorLog } from "../observe/error-log.ts";
import type { LogFile } from "../observe/log-file.ts";
import type { HeadFilter, LogStep, Step } from "./outcome.ts";
import type { PcreRegExp } from "./pcre/compile-pcre.ts";
import type { Template } from "./template.ts";

/**
 * The frozen result of compiling a configuration: all that the data plane reads. Settings are spelled as their
 * directives, so that a search for `proxy_read_timeout` finds everything about it.
 */
export interface Plan {
  /** The main configuration file, or a label for text that came from elsewhere. */
  readonly file: string;
  readonly main: MainPlan;
  readonly listeners: readonly ListenerPlan[];
  readonly servers: readonly ServerPlan[];
  /** Groups of peers and other things with a state of their own that a reload carries over. */
  readonly stateful: readonly Stateful[];
  /** Every log file that the configuration writes, each once; opened when the plan is activated. */
  readonly logFiles: readonly LogFile[];
  /** Directives that were accepted although they mean nothing here, for `wsgate lint`. */
  readonly withoutEffect: readonly { readonly name: string; readonly span: Span }[];
  readonly warnings: readonly Diagnostic[];
}

/** Something in a plan that has a life: peers with their health and connections, counters. */
export interface Stateful {
  /** Same kind and key in the next plan: that one may take over what this one knows. */
  readonly key: string;
  /** Takes over from its predecessor in the plan before, before the first request of the new plan. */
  adopt(previous: Stateful): void;
  /** The plan has been replaced, or the process ends: idle connections and timers go. Work in flight goes on. */
  retire(): void;
}

export interface MainPlan {
  readonly worker_processes: number;
  /** Connections, both sides counted, that one worker may hold. */
  readonly worker_connections: number;
  readonly worker_shutdown_timeout: number | null;
  readonly daemon: boolean;
  readonly master_process: boolean;
  /** Absolute path of the pid file. */
  readonly pid: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string } | null;
  readonly working_directory: string | null;
  readonly error_log: ErrorLog;
}

export type ListenAddress =
  | { readonly kind: "inet"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface ListenerPlan {
  /** Identity across reloads and in messages: `0.0.0.0:80`, `[::]:80`, `unix:/run/x.sock`. */
  readonly key: string;
  readonly address: ListenAddress;
  readonly ssl: boolean;
  /** Some `listen` of the address says http2, which then holds for all of its servers. */
  readonly http2: boolean;
  /** Some location of its servers would pass a WebSocket on to an upstream. */
  readonly passesWebSockets: boolean;
  readonly proxy_protocol: boolean;
  readonly backlog: number;
  readonly ipv6only: boolean;
  readonly reuseport: boolean;
  /** TCP keepalive: null leaves the system's default; a delay in milliseconds, 0 for off. */
  readonly so_keepalive: number | null;
  /** Where the first `listen` of this address stands. */
  readonly span: Span | null;
  readonly defaultServer: ServerPlan;
  readonly names: ServerNames;
  /**
   * For a wildcard address: the plans of addresses that share its port, by the local address of a connection. The system
   * cannot bind both, so the wildcard takes their connections and they are told apart here, as nginx does it.
   */
  readonly specific: ReadonlyMap<string, ListenerPlan>;
}

/** Server names of one listener, arranged for the search in nginx's order: exact, `*.suffix`, `prefix.*`, regexes. */
export interface ServerNames {
  readonly exact: ReadonlyMap<string, ServerPlan>;
  /** Key: the suffix with its leading dot. Longest wins. */
  readonly leadingWildcard: ReadonlyMap<string, ServerPlan>;
  /** Key: the prefix with its trailing dot. Longest wins. */
  readonly trailingWildcard: ReadonlyMap<string, ServerPlan>;
  /** In the order of the configuration. */
  readonly regexes: readonly { readonly regex: PlanRegex; readonly server: ServerPlan }[];
}

/** A translated regular expression with the variables that its named groups set. */
export interface PlanRegex {
  readonly source: string;
  readonly regexp: PcreRegExp;
  /** Slots that named groups write, with the PCRE group number. */
  readonly named: readonly { readonly slot: number; readonly group: number }[];
}

export interface ServerPlan {
  /** The first server_name, `$server_name`; empty where there is none. */
  readonly name: ByteString;
  readonly names: readonly string[];
  readonly core: CoreServer;
  readonly tls: TlsSettings | null;
  readonly http2: Http2Settings;
  /** Some location passes WebSockets on. */
  readonly passesWebSockets: boolean;
  /** The server-rewrite phase: `set`, `if`, `return`, `rewrite` at server level. */
  readonly rewrite: Step | null;
  /** Settings of the server level itself, in force until a location has been chosen. */
  readonly root: LocationPlan;
  readonly locations: LocationTree;
  readonly named: ReadonlyMap<string, LocationPlan>;
  readonly span: Span | null;
}

/** What a connection needs to know before a location is chosen. Times in milliseconds, sizes in bytes. */
export interface CoreServer {
  readonly client_header_timeout: number;
  readonly client_header_buffer_size: number;
  readonly large_client_header_buffers: { readonly count: number; readonly size: number };
  readonly max_headers: number;
  readonly ignore_invalid_headers: boolean;
  readonly underscores_in_headers: boolean;
  readonly merge_slashes: boolean;
}

/** What a connection of clients goes by that speaks HTTP/2. */
export interface Http2Settings {
  readonly http2: boolean;
  readonly http2_max_concurrent_streams: number;
  /** Bytes of a request's body that may come before somebody reads it: the window of a stream. */
  readonly http2_body_preread_size: number;
}

export interface TlsSettings {
  /**
   * What the server's context is made of: all its keys and certificates, protocols, ciphers, the authorities of clients.
   * Tried out (tls.createSecureContext) when the configuration was compiled, so that it cannot fail later.
   * listen/ adds what belongs to sessions.
   */
  readonly contextOptions: SecureContextOptions;
  readonly ssl_reject_handshake: boolean;
  readonly ssl_verify_client: "off" | "on" | "optional" | "optional_no_ca";
  readonly ssl_verify_depth: number;
  readonly ssl_session_tickets: boolean;
  /** Seconds. */
  readonly ssl_session_timeout: number;
  /** 48 bytes; null: made by the process and kept for its life. */
  readonly ticketKeys: Buffer | null;
  readonly ssl_prefer_server_ciphers: boolean;
}

/** Locations of one level, arranged for nginx's search. */
export interface LocationTree {
  readonly exact: ReadonlyMap<ByteString, LocationPlan>;
  /** Sorted by path, so that the longest prefix of a path is found by bisection and a walk along `shorter`. */
  readonly prefixes: readonly PrefixEntry[];
  /** In the order of the configuration. */
  readonly regexes: readonly { readonly regex: PlanRegex; readonly location: LocationPlan }[];
}

export interface PrefixEntry {
  readonly path: ByteString;
  readonly location: LocationPlan;
  /** Index of the longest other entry that is a prefix of this one, -1 for none. */
  readonly shorter: number;
}

export type LocationMatch =
  | "exact"
  | "prefix"
  | "prefix-no-regex"
  | "regex"
  | "named"
  | "if"
  | "server"
  | "limit_except";

export interface LocationPlan {
  /** As written: `/chat/`, `~ \.php$`, `@fallback`. */
  readonly name: string;
  /** The prefix, path or name that is compared; for a regular expression its source. */
  readonly path: ByteString;
  readonly match: LocationMatch;
  /** Prefix location whose path ends in a slash and whose content is a proxy: without the slash, 301. */
  readonly redirectsToSlash: boolean;
  readonly locations: LocationTree;
  /** What is in force for methods that `limit_except` does not name; null without one. */
  readonly limitExcept: { readonly methods: readonly string[]; readonly location: LocationPlan } | null;
  readonly core: CoreLocation;
  readonly rewrite: Step | null;
  /** Phases preaccess, access and precontent, in this order, each in the order of the module list. */
  readonly steps: readonly Step[];
  /** Asked in turn until one does not decline. */
  readonly content: readonly Step[];
  readonly headFilters: readonly HeadFilter[];
  readonly logSteps: readonly LogStep[];
  readonly errorLog: ErrorLog;
  readonly span: Span | null;
}

/** Core settings of a location that listen/ and route/ read. Times in milliseconds, sizes in bytes. */
export interface CoreLocation {
  readonly internal: boolean;
  /** 0: unlimited. */
  readonly client_max_body_size: number;
  readonly client_body_buffer_size: number;
  readonly client_body_temp_path: string;
  readonly client_body_timeout: number;
  readonly send_timeout: number;
  /** 0: keep-alive off. `header` is what the Keep-Alive header announces, seconds, null for none. */
  readonly keepalive_timeout: { readonly timeout: number; readonly header: number | null };
  readonly keepalive_requests: number;
  readonly keepalive_time: number;
  readonly lingering_close: "on" | "off" | "always";
  readonly lingering_time: number;
  readonly lingering_timeout: number;
  readonly reset_timedout_connection: boolean;
  readonly tcp_nodelay: boolean;
  readonly chunked_transfer_encoding: boolean;
  readonly server_tokens: "on" | "off" | "build";
  readonly absolute_redirect: boolean;
  readonly server_name_in_redirect: boolean;
  readonly port_in_redirect: boolean;
  readonly recursive_error_pages: boolean;
  readonly error_page: readonly ErrorPage[];
  readonly log_not_found: boolean;
  readonly etag: boolean;
  /** Extension, lower case, without dot -> type. */
  readonly types: ReadonlyMap<string, ByteString>;
  readonly default_type: ByteString;
  /** The directory part of a file's path: root, or alias in place of the location's own prefix. */
  readonly root: { readonly template: Template; readonly isAlias: boolean };
  /** Bytes per second, 0: no limit. */
  readonly limit_rate: Template | null;
  readonly limit_rate_after: number;
}

export interface ErrorPage {
  readonly statuses: readonly number[];
  /** `=200`: this status; `=`: the status of the page itself; neither: the original status. */
  readonly overwrite: number | "page" | null;
  readonly target: Template;
}
