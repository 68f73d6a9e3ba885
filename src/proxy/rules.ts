import type { ByteString } from "../base/bytes.ts";
import type { Request } from "../compile/request.ts";
import type { Template } from "../compile/template.ts";
import type { PeerGroup } from "../upstream/peer-group.ts";
import type { FlowLimits } from "./answer-flow.ts";
import type { CookieRules } from "./cookies.ts";
import type { DialRoute, DialSettings } from "./dial.ts";
import type { PlanTunnels } from "./plan-tunnels.ts";
import type { RedirectRule } from "./redirects.ts";
import type { UpgradeRules } from "./upgrade.ts";
import type { UpstreamReader } from "./upstream-reader.ts";

/** Where a request goes, once that is known. */
export interface Destination {
  readonly scheme: "http" | "https";
  readonly group: PeerGroup<UpstreamReader>;
  /** `$proxy_host`: the host as written, with its port unless that is the scheme's own. */
  readonly host: ByteString;
  /** `$proxy_port`. */
  readonly port: ByteString;
}

/** A destination that variables decide may need a look into the DNS, or turn out to be none. */
export type DestinationResult =
  | { readonly ok: true; readonly destination: Destination; readonly target: ByteString | null }
  /** In nginx's words, for the error log; the answer is `status`. */
  | { readonly ok: false; readonly status: number; readonly message: string };

/** `proxy_pass`, read: a destination known at load, or one that has to be found for each request. */
export type ProxyPass =
  | { readonly kind: "constant"; readonly destination: Destination }
  | {
      readonly kind: "variables";
      readonly find: (request: Request, found: (result: DestinationResult) => void) => void;
    };

/** What nginx calls an unsuccessful attempt, as the words of `proxy_next_upstream` name them. */
const NEXT_CONDITIONS = [
  "error",
  "timeout",
  "invalid_header",
  "http_500",
  "http_502",
  "http_503",
  "http_504",
  "http_403",
  "http_404",
  "http_429",
] as const;
export type NextCondition = (typeof NEXT_CONDITIONS)[number];

export function isNextCondition(word: string): word is NextCondition {
  return NEXT_CONDITIONS.some((condition) => condition === word);
}

/** What `proxy_ignore_headers` can name. */
export const IGNORABLE_HEADERS = [
  "X-Accel-Redirect",
  "X-Accel-Expires",
  "X-Accel-Limit-Rate",
  "X-Accel-Buffering",
  "X-Accel-Charset",
  "Expires",
  "Cache-Control",
  "Set-Cookie",
  "Vary",
] as const;
export type IgnorableHeader = (typeof IGNORABLE_HEADERS)[number];

/**
 * Everything a location says about proxying, compiled: fields are spelled as their directives. Times in milliseconds,
 * sizes in bytes.
 */
export interface ProxyRules extends DialSettings, UpgradeRules {
  readonly proxy_pass: ProxyPass;
  readonly tunnels: PlanTunnels;
  /** The request target that goes upstream, given what the location and proxy_pass say about it. */
  readonly target: (request: Request) => ByteString;
  readonly proxy_http_version: "1.0" | "1.1";
  readonly proxy_method: Template | null;
  /** How connections are made: proxy_bind and proxy_ssl_*. */
  readonly route: (request: Request, scheme: "http" | "https") => DialRoute;

  readonly proxy_send_timeout: number;
  readonly proxy_read_timeout: number;

  readonly proxy_pass_request_body: boolean;
  readonly proxy_set_body: Template | null;
  readonly proxy_request_buffering: boolean;

  /** The longest response head. */
  readonly proxy_buffer_size: number;
  /** How much of a response proxy_buffers let be read ahead of a slow client, in bytes. */
  readonly readAheadBytesMax: number;
  /** What holds where neither the answer nor a variable says otherwise. */
  readonly flowLimits: FlowLimits;
  /** Bytes per second; null: no limit. */
  readonly proxy_limit_rate: Template | null;

  readonly proxy_next_upstream: ReadonlySet<NextCondition>;
  readonly retriesNonIdempotent: boolean;
  /** 0: no limit. */
  readonly proxy_next_upstream_tries: number;
  readonly proxy_next_upstream_timeout: number;
  readonly proxy_intercept_errors: boolean;
  readonly proxy_ignore_client_abort: boolean;

  /** Names, in lower case, of response headers that are kept from the client. */
  readonly hiddenHeaders: ReadonlySet<ByteString>;
  readonly proxy_ignore_headers: ReadonlySet<IgnorableHeader>;
  readonly proxy_pass_trailers: boolean;
  readonly proxy_redirect: readonly RedirectRule[];
  /** proxy_cookie_domain, proxy_cookie_path and proxy_cookie_flags; null: cookies pass as they are. */
  readonly cookies: CookieRules | null;
  /** Whether a 103 of the upstream's goes to the client (`early_hints`). */
  readonly passesEarlyHints: (request: Request) => boolean;
}
