import { byteStringFromText, type ByteString } from "../../base/bytes.ts";
import { HTTP_SERVER_LOCATION_IF } from "../../compile/contexts.ts";
import type { Module } from "../../compile/module.ts";
import type { HeadFilter } from "../../compile/outcome.ts";
import { many, one, settingsAt } from "../../compile/rows.ts";
import type { Template } from "../../compile/template.ts";
import { custom } from "../../compile/values.ts";
import { isToken } from "../../http/tokens.ts";
import { parseExpires } from "./expires.ts";

interface AddedHeader {
  readonly name: ByteString;
  readonly value: Template;
  /** Whatever the status; otherwise only for {@link DEFAULT_STATUSES}. */
  readonly always: boolean;
}

/** Without `always`, nginx adds headers to these answers. */
const DEFAULT_STATUSES: ReadonlySet<number> = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

const rows = {
  add_header: many<AddedHeader>({
    in: HTTP_SERVER_LOCATION_IF,
    type: custom("name value [always]", [2, 3], ([name, value, always], check) => {
      if (name === undefined || value === undefined) return undefined;
      if (always !== undefined && always.text !== "always") {
        check.error(always.span, `invalid parameter "${always.text}"`, {
          code: "invalid-parameter",
          notes: [{ message: 'only "always" may stand here; a value with spaces needs quotes' }],
        });
        return undefined;
      }
      if (!isToken(byteStringFromText(name.text))) {
        check.error(name.span, `invalid header name "${name.text}"`, { code: "invalid-header-name" });
        return undefined;
      }
      return {
        name: byteStringFromText(name.text),
        value: check.template(value),
        always: always !== undefined,
      };
    }),
    inherit: "list",
    doc: "A header to add to answers: to successful ones and redirects, or with always to all. One entry hides those of the levels above.",
  }),
  expires: one<HeadFilter | "off" | null>({
    in: HTTP_SERVER_LOCATION_IF,
    type: custom("[modified] time | epoch | max | off", [1, 2], parseExpires),
    default: null,
    defaultText: "off",
    doc: "When answers go stale: sets Expires and Cache-Control.",
  }),
} as const;

/** Headers added to answers. */
export const headersModule: Module = {
  name: "ngx_http_headers_module",
  directives: rows,
  location(scope) {
    const { add_header, expires } = settingsAt(rows, scope);
    const expiry = expires === "off" ? null : expires;
    if (add_header.length === 0 && expiry === null) return {};
    return {
      headFilter(request) {
        const { response } = request;
        const isDefault = DEFAULT_STATUSES.has(response.status);
        if (expiry !== null && isDefault) expiry(request);
        for (const { name, value, always } of add_header) {
          if (!isDefault && !always) continue;
          const text = value.render(request);
          if (text !== "") response.headers.append(name, withoutLineEnds(text));
        }
      },
    };
  },
};

/** A decoded path in a value could carry a line end, and with it a header of the client's own making. */
function withoutLineEnds(text: ByteString): ByteString {
  return /[\r\n\0]/.test(text) ? text.replace(/[\r\n\0]+/g, " ") : text;
}
