import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import type { Template } from "../../compile/template.ts";
import { custom, flag, template } from "../../compile/values.ts";
import type { Span } from "../../config/position.ts";
import type { Word } from "../../config/tree.ts";
import { type PassUrl, parsePassUrl } from "../../proxy/pass-url.ts";

/** What stands in a proxy_pass, not yet put into relation to its location. */
export type PassSetting =
  | { readonly kind: "constant"; readonly url: PassUrl; readonly span: Span }
  /** What variables make of it is known only when a request comes. */
  | { readonly kind: "variables"; readonly template: Template; readonly span: Span };

export interface PassSettings {
  readonly proxy_pass: PassSetting | null;
  readonly proxy_method: Template | null;
  readonly proxy_http_version: "1.0" | "1.1";
  readonly proxy_set_body: Template | null;
  readonly proxy_pass_request_body: boolean;
  readonly proxy_pass_request_headers: boolean;
  readonly proxy_request_buffering: boolean;
}

/** Where requests go, and what of them is passed on. */
export const passRows: RowsOf<PassSettings> = {
  proxy_pass: one({
    in: ["location", "if in location", "limit_except"],
    type: custom("URL", [1, 1], parsePass),
    default: null,
    inherit: "none",
    isHandler: true,
    doc: "Passes requests to a server or group: http:// or https://, a host with a port, an upstream's name or unix:/path, and a URI that takes the place of what the location matched. Variables may stand in it.",
  }),
  proxy_method: one({
    in: HTTP_SERVER_LOCATION,
    type: template("method"),
    default: null,
    doc: "The method of requests to the upstream, in place of the client's.",
  }),
  proxy_http_version: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("1.0 | 1.1", [1, 1], parseVersion),
    default: "1.1",
    doc: "The version of HTTP that is spoken with the upstream.",
  }),
  proxy_set_body: one({
    in: HTTP_SERVER_LOCATION,
    type: template("value"),
    default: null,
    doc: "The body of requests to the upstream, in place of the client's.",
  }),
  proxy_pass_request_body: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    doc: "Whether the client's body is passed on.",
  }),
  proxy_pass_request_headers: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    doc: "Whether the client's headers are passed on.",
  }),
  proxy_request_buffering: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: true,
    doc: "on: the upstream is asked once the client's body is there as a whole, and can be asked again; off: the body is passed on as it comes.",
  }),
};

function parsePass([word]: readonly Word[], check: Check): PassSetting | undefined {
  if (word === undefined) return undefined;
  const { span } = word;
  if (word.text.includes("$")) return { kind: "variables", template: check.template(word), span };
  const result = parsePassUrl(word.text);
  if (result.ok) return { kind: "constant", url: result.url, span };
  check.error(span, result.message, {
    code: `proxy-pass-${result.reason}`,
    notes:
      result.reason === "prefix"
        ? [{ message: 'proxy_pass begins with "http://" or "https://", for WebSockets too' }]
        : [],
  });
  return undefined;
}

function parseVersion([word]: readonly Word[], check: Check): "1.0" | "1.1" | undefined {
  if (word?.text === "1.0" || word?.text === "1.1") return word.text;
  if (word === undefined) return undefined;
  check.error(word.span, `invalid value "${word.text}"`, {
    code: "invalid-value",
    notes: [
      {
        message:
          word.text === "2"
            ? "nginx can speak HTTP/2 with an upstream; wsgate does not implement it"
            : '"1.0" and "1.1" may stand here',
      },
    ],
    ...(word.text === "2" ? { suggestion: 'write "proxy_http_version 1.1;"' } : {}),
  });
  return undefined;
}
