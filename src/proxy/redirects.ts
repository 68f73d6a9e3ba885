import type { ByteString } from "../base/bytes.ts";
import { absoluteLocation } from "../compile/absolute-location.ts";
import type { PlanRegex } from "../compile/plan.ts";
import { execRegex } from "../compile/regex.ts";
import type { Request } from "../compile/request.ts";
import type { Template } from "../compile/template.ts";

/** One `proxy_redirect`: what is looked for in Location, and what takes its place. */
export type RedirectRule =
  /** The beginning of the location. */
  | { readonly kind: "prefix"; readonly from: Template; readonly to: Template }
  /** The whole location: `to` may use the captures. */
  | { readonly kind: "regex"; readonly from: PlanRegex; readonly to: Template };

/**
 * A Location of the upstream's as the client should see it. One that a rule has changed is made absolute like the
 * proxy's own redirects; one that none fits passes as it is, relative or not.
 */
export function rewriteLocation(
  request: Request,
  rules: readonly RedirectRule[],
  location: ByteString,
): ByteString {
  const changed = applyFirst(request, rules, location);
  return changed === null ? location : absoluteLocation(request, changed);
}

/** `Refresh: 5; url=…`: the URL is rewritten as a Location is. */
export function rewriteRefresh(
  request: Request,
  rules: readonly RedirectRule[],
  refresh: ByteString,
): ByteString {
  const at = refresh.toLowerCase().indexOf("url=");
  if (at < 0) return refresh;
  const start = at + "url=".length;
  const url = refresh.slice(start);
  return refresh.slice(0, start) + (applyFirst(request, rules, url) ?? url);
}

function applyFirst(
  request: Request,
  rules: readonly RedirectRule[],
  location: ByteString,
): ByteString | null {
  for (const rule of rules) {
    const changed = applyRule(request, rule, location);
    if (changed !== null) return changed;
  }
  return null;
}

function applyRule(request: Request, rule: RedirectRule, location: ByteString): ByteString | null {
  if (rule.kind === "regex") {
    return execRegex(request, rule.from, location) ? rule.to.render(request) : null;
  }
  const from = rule.from.render(request);
  return location.startsWith(from) ? rule.to.render(request) + location.slice(from.length) : null;
}
