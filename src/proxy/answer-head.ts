import type { ByteString } from "../base/bytes.ts";
import type { BodyLength, Request } from "../compile/request.ts";
import { parseContentLength } from "../http/framing.ts";
import type { ResponseHead } from "../http/head-parser.ts";
import { HeaderList } from "../http/header-list.ts";
import { rewriteCookie } from "./cookies.ts";
import { rewriteLocation, rewriteRefresh } from "./redirects.ts";
import type { ProxyRules } from "./rules.ts";

/** Fields that concern the connection to the upstream alone, or that are written anew for the client. */
const HOP_BY_HOP: readonly ByteString[] = [
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "te",
];

/** What nginx keeps from the client unless proxy_pass_header names it. */
const HIDDEN_BY_DEFAULT: readonly ByteString[] = [
  "date",
  "server",
  "x-pad",
  "x-accel-expires",
  "x-accel-redirect",
  "x-accel-limit-rate",
  "x-accel-buffering",
  "x-accel-charset",
];

/** The names, in lower case, that do not pass: see {@link ProxyRules.hiddenHeaders}. */
export function hiddenHeaders(
  proxy_hide_header: readonly ByteString[],
  proxy_pass_header: readonly ByteString[],
): ReadonlySet<ByteString> {
  const byDefault = HIDDEN_BY_DEFAULT.filter((name) => !proxy_pass_header.includes(name));
  return new Set([...HOP_BY_HOP, ...byDefault, ...proxy_hide_header]);
}

/** Makes the head of the answer to the client from the upstream's. */
export function fillResponse(request: Request, rules: ProxyRules, head: ResponseHead): void {
  const { response } = request;
  response.status = head.status;
  response.reason = head.reason;
  response.bodyLength = clientBodyLength(head);
  copyHeaders(request, rules, head.headers);
}

/** The fields of an interim answer that the client is shown. */
export function interimHeaders(rules: ProxyRules, head: ResponseHead): HeaderList {
  const shown = new HeaderList();
  const { headers } = head;
  for (let i = 0; i < headers.length; i++) {
    const lower = headers.lowerNameAt(i);
    if (!rules.hiddenHeaders.has(lower)) shown.appendParsed(headers.nameAt(i), lower, headers.valueAt(i));
  }
  return shown;
}

/** An answer without a body, to HEAD or 304, may still say how long one would be. */
function clientBodyLength({ framing, headers }: ResponseHead): BodyLength {
  switch (framing.kind) {
    case "length":
      return framing.length;
    case "chunked":
    case "until-close":
      return "unknown";
    case "none":
      return parseContentLength(headers.get("content-length") ?? "") ?? "none";
  }
}

function copyHeaders(request: Request, rules: ProxyRules, headers: HeaderList): void {
  const to = request.response.headers;
  for (let i = 0; i < headers.length; i++) {
    const lower = headers.lowerNameAt(i);
    if (rules.hiddenHeaders.has(lower)) continue;
    const name = headers.nameAt(i);
    const value = headers.valueAt(i);
    switch (lower) {
      case "location":
        to.append(name, rewriteLocation(request, rules.proxy_redirect, value));
        break;
      case "refresh":
        to.append(name, rewriteRefresh(request, rules.proxy_redirect, value));
        break;
      case "set-cookie":
        to.append(name, rules.cookies === null ? value : rewriteCookie(request, rules.cookies, value));
        break;
      default:
        to.appendParsed(name, lower, value);
    }
  }
}
