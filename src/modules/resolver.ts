import { isIP } from "node:net";
import { parseTimeMs } from "../base/units.ts";
import type { Word } from "../config/tree.ts";
import type { Check, SharedKey } from "../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../compile/contexts.ts";
import type { Module } from "../compile/module.ts";
import { one, settingsAt } from "../compile/rows.ts";
import { custom, MANY, timeMs } from "../compile/values.ts";
import { CachingResolver, type ResolverSettings, RESOLVERS } from "../upstream/resolver.ts";

const rows = {
  resolver: one<ResolverSettings | null>({
    in: HTTP_SERVER_LOCATION,
    type: custom("address … [valid=time] [ipv4=on | off] [ipv6=on | off]", [1, MANY], parseResolver),
    default: null,
    doc: "Name servers for host names that only requests know: those in a proxy_pass with variables.",
  }),
  resolver_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMs(),
    default: 30_000,
    defaultText: "30s",
    doc: "How long a name server is waited for.",
  }),
} as const;

/** One resolver for all levels that say the same, so that they share what is known. */
const BY_SETTINGS: SharedKey<Map<string, CachingResolver>> = {
  description: "resolvers by their settings",
  make: () => new Map(),
};

/** Name resolution while running. */
export const resolverModule: Module = {
  name: "ngx_http_core_module (resolver)",
  directives: rows,
  location(scope, check) {
    const { resolver, resolver_timeout } = settingsAt(rows, scope);
    if (resolver === null) return {};
    const known = check.share(BY_SETTINGS);
    const key = JSON.stringify([resolver, resolver_timeout]);
    let shared = known.get(key);
    if (shared === undefined) known.set(key, (shared = new CachingResolver(resolver, resolver_timeout)));
    check.share(RESOLVERS).set(scope, shared);
    return {};
  },
};

function parseResolver(args: readonly Word[], check: Check): ResolverSettings | undefined {
  const servers: string[] = [];
  let validMs: number | null = null;
  let ipv4 = true;
  let ipv6 = true;
  for (const word of args) {
    const [, name = "", value = ""] = /^(valid|ipv4|ipv6|status_zone)=(.*)$/.exec(word.text) ?? [];
    if (name === "valid") {
      validMs = parseTimeMs(value);
      if (validMs === null) return invalid(word, check);
    } else if (name === "ipv4" || name === "ipv6") {
      if (value !== "on" && value !== "off") return invalid(word, check);
      if (name === "ipv4") ipv4 = value === "on";
      else ipv6 = value === "on";
    } else if (name === "status_zone") {
      return invalid(word, check);
    } else if (isServer(word.text)) {
      servers.push(word.text);
    } else {
      check.error(word.span, `host not found in resolver "${word.text}"`, {
        code: "invalid-resolver",
        suggestion: "name servers are given by address: 127.0.0.1, 127.0.0.1:5353 or [::1]:53",
      });
      return undefined;
    }
  }
  if (!ipv4 && !ipv6) {
    check.error(args[0]?.span ?? null, '"ipv4" and "ipv6" cannot both be "off"', {
      code: "invalid-resolver",
    });
    return undefined;
  }
  if (servers.length > 0) return { servers, validMs, ipv4, ipv6 };
  check.error(args[0]?.span ?? null, "no name servers defined", { code: "invalid-resolver" });
  return undefined;
}

/** `address`, `address:port`, `[ipv6]` or `[ipv6]:port`. */
function isServer(text: string): boolean {
  const [, bracketed, plain = "", port] = /^(?:\[([^\]]+)\]|([\d.]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  return isIP(bracketed ?? plain) !== 0 && Number(port ?? 53) <= 65_535;
}

function invalid(word: Word, check: Check): undefined {
  check.error(word.span, `invalid parameter: ${word.text}`, { code: "invalid-parameter" });
  return undefined;
}
