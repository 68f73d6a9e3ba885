import type { ByteString } from "../base/bytes.ts";
import { parseSize } from "../base/units.ts";
import type { Outcome } from "../compile/outcome.ts";
import type { Request } from "../compile/request.ts";
import type { ResponseHead } from "../http/head-parser.ts";
import type { FlowLimits } from "./answer-flow.ts";
import type { ProxyRules } from "./rules.ts";

/** What an answer keeps of the upstream's head when X-Accel-Redirect leads elsewhere, as in nginx. */
const KEPT_BY_ACCEL_REDIRECT: ReadonlySet<ByteString> = new Set([
  "content-type",
  "set-cookie",
  "content-disposition",
  "cache-control",
  "expires",
  "accept-ranges",
]);

/**
 * What is answered in place of what the upstream said: an error page of the location's (`proxy_intercept_errors`), or what
 * an X-Accel-Redirect points to. Null where the upstream's answer goes to the client.
 */
export function answerInstead(request: Request, rules: ProxyRules, head: ResponseHead): Outcome | null {
  return accelRedirect(request, rules, head) ?? interceptedError(request, rules, head);
}

function accelRedirect(request: Request, rules: ProxyRules, head: ResponseHead): Outcome | null {
  const target = head.headers.get("x-accel-redirect");
  if (target === undefined || rules.proxy_ignore_headers.has("X-Accel-Redirect")) return null;
  for (let i = 0; i < head.headers.length; i++) {
    const lower = head.headers.lowerNameAt(i);
    if (!KEPT_BY_ACCEL_REDIRECT.has(lower)) continue;
    request.response.headers.append(head.headers.nameAt(i), head.headers.valueAt(i));
  }
  if (target.startsWith("@")) return { kind: "named", name: target };
  if (!target.startsWith("/")) return { kind: "status", status: 404 };
  if (request.method !== "HEAD") request.method = "GET";
  const question = target.indexOf("?");
  return question < 0
    ? { kind: "internal", path: target, args: "" }
    : { kind: "internal", path: target.slice(0, question), args: target.slice(question + 1) };
}

/** Only statuses that the location has an error_page for are intercepted. */
function interceptedError(request: Request, rules: ProxyRules, head: ResponseHead): Outcome | null {
  if (!rules.proxy_intercept_errors || head.status < 300) return null;
  const hasPage = request.location.core.error_page.some((page) => page.statuses.includes(head.status));
  if (!hasPage) return null;
  const challenge = head.headers.get("www-authenticate");
  if (head.status === 401 && challenge !== undefined) {
    request.response.headers.append("WWW-Authenticate", challenge);
  }
  return { kind: "status", status: head.status };
}

/** The location's limits, as far as X-Accel-Buffering and variables do not overrule them. */
export function flowLimits(request: Request, rules: ProxyRules, head: ResponseHead): FlowLimits {
  const limits = rules.flowLimits;
  const wish = rules.proxy_ignore_headers.has("X-Accel-Buffering")
    ? undefined
    : head.headers.get("x-accel-buffering")?.toLowerCase();
  if (wish !== "yes" && wish !== "no" && rules.proxy_limit_rate === null) return limits;
  return {
    ...limits,
    aheadBytesMax: wish === "yes" ? rules.readAheadBytesMax : wish === "no" ? 0 : limits.aheadBytesMax,
    bytesPerSecond: parseSize(rules.proxy_limit_rate?.render(request) ?? "") ?? 0,
  };
}
