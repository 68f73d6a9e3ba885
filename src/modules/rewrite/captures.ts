import type { ByteString } from "../../base/bytes.ts";
import type { PlanRegex } from "../../compile/plan.ts";
import { execRegex } from "../../compile/regex.ts";
import type { Request } from "../../compile/request.ts";
import type { Template } from "../../compile/template.ts";
import { escapeUri } from "../../http/uri.ts";

/*
 * What the captures of a rewrite program come out as. They are taken from decoded text; where they go into arguments or a
 * Location they are escaped again, or a `%26` of the request would come out as a separator. The rules are those of
 * nginx's ngx_http_script.c, since what a configuration builds of captures is seen upstream.
 */

/** What one run of a program keeps in mind from line to line. */
export interface ProgramRun {
  /** `set` escapes captures as for arguments, until a `rewrite` has changed the path (nginx's `e->quote`). */
  escapesCaptures: boolean;
}

/** Matches as every pattern does, but one that does not match leaves no captures of an earlier one (r->ncaptures = 0). */
export function matchInProgram(request: Request, regex: PlanRegex, subject: ByteString): boolean {
  if (execRegex(request, regex, subject)) return true;
  request.captures = null;
  return false;
}

/** Renders with captures escaped, unless the client has escaped nothing in its path (r->quoted_uri, r->plus_in_uri). */
export function renderEscaped(request: Request, template: Template): ByteString {
  const { captures } = request;
  if (captures === null || !/[%+]/.test(request.head.rawPath)) return template.render(request);
  request.captures = captures.map((capture) =>
    capture === undefined ? undefined : escapeUri(capture, "args"),
  );
  const rendered = template.render(request);
  request.captures = captures;
  return rendered;
}

/**
 * Takes back, up to the first question mark, the escapes of what may stand unescaped in the path of a Location: visible
 * ASCII beyond `%` (NGX_UNESCAPE_REDIRECT). An escaped question mark becomes one.
 */
export function unescapeRedirect(target: ByteString): ByteString {
  let isInQuery = false;
  return target.replace(/%([\da-f]{2})|\?/gi, (found, digits?: string) => {
    if (isInQuery) return found;
    const byte = digits === undefined ? "?".charCodeAt(0) : Number.parseInt(digits, 16);
    isInQuery = byte === "?".charCodeAt(0);
    return byte > "%".charCodeAt(0) && byte < 0x7f ? String.fromCharCode(byte) : found;
  });
}
