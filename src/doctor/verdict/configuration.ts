/** What the linter says about nginx's configuration, and which illnesses it explains. */
import { type Words, words } from "../words.ts";
import type { Cause } from "./illness.ts";

/** A finding of `wsgate lint`. */
export interface Remark {
  readonly rule: string;
  readonly severity: "error" | "warning" | "info";
  /** `nginx.conf:12`. */
  readonly place: string;
  readonly message: string;
  /** What to write instead; null where there is nothing to say. */
  readonly help: string | null;
}

/** By illness: the rules of the linter that name its cause. */
const EXPLAINED_BY: Readonly<Record<string, readonly string[]>> = {
  "upgrade-lost": [
    "upgrade-headers-missing",
    "upgrade-half-set",
    "upgrade-http-version",
    "upgrade-headers-wiped",
    "upgrade-headers-swapped",
    "connection-from-client",
    "connection-variable-undefined",
    "map-misplaced",
    "map-entry-without-quotes",
    "map-without-default",
    "map-wrong-variable",
    "map-wrong-value",
    "handshake-headers-removed",
    "websocket-missing-over-tls",
  ],
  "path-not-routed": [
    "location-shadowed",
    "exact-location-only",
    "proxy-pass-slash",
    "proxy-pass-path-lost",
    "library-path-lost",
    "path-doubled",
    "websocket-missing-over-tls",
    "handler-overruled",
    "return-before-locations",
  ],
  "handshake-refused": [
    "proxy-pass-slash",
    "proxy-pass-path-lost",
    "path-doubled",
    "handshake-headers-removed",
    "several-backends-without-stickiness",
  ],
  redirected: ["slash-redirect", "return-before-locations"],
  "redirect-to-https": ["return-before-locations"],
  "backend-wants-tls": ["proxy-pass-scheme"],
  "idle-cut": ["read-timeout-zero", "read-timeout-short", "read-timeout-default", "timeout-without-effect"],
  "origin-refused": ["host-header-missing", "forwarded-headers-wiped"],
  "authentication-required": ["password-on-websocket"],
  "backend-unreachable": ["variable-without-resolver", "proxy-pass-scheme", "upstream-tls-without-name"],
  "backend-unavailable": ["limit-conn-low"],
  "mixed-content": ["mixed-content"],
  "content-security-policy": ["policy-blocks-websocket"],
  "tls-to-plain-port": ["tls-port-without-tls", "tls-without-certificate", "certificate-unused"],
  "tls-outdated": ["tls-protocols-refused", "tls-ciphers-weak"],
  "tls-http2-only": ["alpn-without-http1"],
  "certificate-name": ["tls-for-address", "server-name-conflict", "server-unreachable"],
};

/** How much of the doubt is left where the configuration shows the cause. */
const DOUBT_LEFT = 0.4;

/** The cause, with the lines of the configuration that explain it. */
export function explainedBy(cause: Cause, remarks: readonly Remark[]): Cause {
  const rules = EXPLAINED_BY[cause.illness.id] ?? [];
  const fitting = remarks.filter(({ rule }) => rules.includes(rule));
  if (fitting.length === 0) return cause;
  return {
    ...cause,
    certainty: 1 - (1 - cause.certainty) * DOUBT_LEFT,
    support: [...cause.support, ...fitting.map(remarkWords)],
  };
}

/** Those that keep WebSockets from working, sooner or later. */
export function graveRemarks(remarks: readonly Remark[]): readonly Remark[] {
  return remarks.filter(({ severity }) => severity !== "info");
}

export function remarkWords({ place, message, help, rule }: Remark): Words {
  const mend = help === null ? "" : `: ${help}`;
  return words(`${place}: ${message} (${rule})${mend}`, `${place}：${message}（${rule}）${mend}`);
}
