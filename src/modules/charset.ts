import { asciiLowerCase, byteStringFromText, type ByteString } from "../base/bytes.ts";
import { HTTP_SERVER_LOCATION, HTTP_SERVER_LOCATION_IF } from "../compile/contexts.ts";
import type { Module } from "../compile/module.ts";
import { one, settingsAt } from "../compile/rows.ts";
import type { Template } from "../compile/template.ts";
import { custom, flag, MANY, template } from "../compile/values.ts";

/** Types that a charset is named for; text/html always is. */
const DEFAULT_TYPES = [
  "text/html",
  "text/xml",
  "text/plain",
  "text/vnd.wap.wml",
  "application/javascript",
  "application/rss+xml",
] as const;

const rows = {
  charset: one<Template | null>({
    in: HTTP_SERVER_LOCATION_IF,
    type: template("charset | off"),
    default: null,
    defaultText: "off",
    doc: "The charset that is named in Content-Type where none stands yet. Nothing is converted.",
  }),
  charset_types: one<ReadonlySet<ByteString>>({
    in: HTTP_SERVER_LOCATION,
    type: custom(
      "mime-type …",
      [1, MANY],
      (args) => new Set(["text/html", ...args.map((word) => asciiLowerCase(byteStringFromText(word.text)))]),
    ),
    default: new Set(DEFAULT_TYPES),
    defaultText: DEFAULT_TYPES.slice(1).join(" "),
    doc: "Types for which the charset is named, besides text/html; * for all.",
  }),
  override_charset: one({
    in: HTTP_SERVER_LOCATION_IF,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether the charset that an upstream names is replaced.",
  }),
} as const;

/** Names the charset of answers. */
export const charsetModule: Module = {
  name: "ngx_http_charset_module",
  directives: rows,
  location(scope) {
    const { charset, charset_types, override_charset } = settingsAt(rows, scope);
    if (charset === null || charset.constant === "off") return {};
    return {
      headFilter(request) {
        const { headers } = request.response;
        const contentType = headers.get("content-type");
        if (contentType === undefined) return;
        const [type = ""] = contentType.split(";");
        const hasCharset = /;\s*charset=/i.test(contentType);
        const isFromUpstream = request.upstreamHeaders !== null;
        if (hasCharset && !(isFromUpstream && override_charset)) return;
        if (!charset_types.has("*") && !charset_types.has(asciiLowerCase(type.trim()))) return;
        const name = charset.render(request);
        if (name === "" || name === "off") return;
        headers.set("Content-Type", `${type.trim()}; charset=${name}`);
      },
    };
  },
};
