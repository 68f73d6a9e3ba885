import type { Span } from "../config/position.ts";
import type { ErrorLog } from "../observe/error-log.ts";
import type { Check } from "./check.ts";
import type { HeadFilter, LogStep, Step } from "./outcome.ts";
import type {
  CoreLocation,
  CoreServer,
  Http2Settings,
  ListenAddress,
  MainPlan,
  PlanRegex,
  TlsSettings,
} from "./plan.ts";
import type { Rows } from "./rows.ts";
import type { Scope } from "./scope.ts";
import type { Getter } from "./template.ts";

/** A built-in variable as a row. */
export interface VariableRow {
  /** Without the dollar sign; for a family (`http_`, `arg_`) its prefix. */
  readonly name: string;
  /** True: a family; the rest of the name is the argument of `get`. */
  readonly family: boolean;
  readonly doc: string;
  /** The phase from which it has a value. */
  readonly from: "connection" | "request" | "rewrite" | "access" | "upstream" | "response" | "log";
  /** True: `set`, `map` and the like may define it anew. */
  readonly changeable: boolean;
  readonly nginx: boolean;
  /** Makes the getter; `argument` is the rest of a family's name, else "". */
  readonly get: (argument: string) => Getter;
}

/** One `listen` directive, read. */
export interface ListenSpec {
  readonly address: ListenAddress;
  readonly ssl: boolean;
  readonly http2: boolean;
  readonly proxy_protocol: boolean;
  readonly default_server: boolean;
  /** null where the directive does not say: one `listen` of an address decides for all. */
  readonly backlog: number | null;
  readonly ipv6only: boolean | null;
  readonly reuseport: boolean;
  readonly so_keepalive: number | null;
  readonly span: Span;
}

/** One name of a `server_name` directive. `*.x`, `.x` and `x.*` are wildcards; text as IDNA's A-labels, lower case. */
export type ServerNameSpec =
  | { readonly kind: "exact"; readonly name: string; readonly span: Span }
  | {
      readonly kind: "leading-wildcard";
      readonly suffix: string;
      readonly andItself: boolean;
      readonly span: Span;
    }
  | { readonly kind: "trailing-wildcard"; readonly prefix: string; readonly span: Span }
  | { readonly kind: "regex"; readonly regex: PlanRegex; readonly span: Span };

/** What modules give for one server; each field is given by one module. */
export interface ServerParts {
  readonly core?: CoreServer;
  /** null: it was configured, and could not be made. */
  readonly tls?: TlsSettings | null;
  readonly http2?: Http2Settings;
  readonly rewrite?: Step | null;
  readonly listens?: readonly ListenSpec[];
  readonly names?: readonly ServerNameSpec[];
  /** `$server_name`. */
  readonly name?: string;
}

/** What a module adds to one location; what is not configured there is left out and costs nothing. */
export interface LocationParts {
  readonly core?: CoreLocation;
  readonly rewrite?: Step | null;
  readonly preaccess?: Step | null;
  readonly access?: Step | null;
  readonly precontent?: Step | null;
  readonly content?: Step | null;
  readonly headFilter?: HeadFilter | null;
  readonly log?: LogStep | null;
  /** A proxied prefix location: its path without the final slash is redirected. */
  readonly redirectsToSlash?: boolean;
  /** A WebSocket's opening handshake goes on to an upstream from here. */
  readonly passesWebSockets?: boolean;
  readonly errorLog?: ErrorLog;
}

/** One nginx module: rows and hooks. The module list stands in execution order in modules/index.ts. */
export interface Module {
  /** nginx's name: `ngx_http_proxy_module`. */
  readonly name: string;
  readonly directives: Rows;
  readonly variables?: readonly VariableRow[];
  readonly main?: (scope: Scope, check: Check) => Partial<MainPlan>;
  readonly http?: (scope: Scope, check: Check) => void;
  /** Called for each upstream block before any location is built. */
  readonly upstream?: (scope: Scope, check: Check) => void;
  readonly server?: (scope: Scope, check: Check) => ServerParts;
  /**
   * Called for each location, for `if` blocks in locations, and once per server for the server's own level
   * (`scope.context` is "server" then).
   */
  readonly location?: (scope: Scope, check: Check) => LocationParts;
}
