import { type ByteString, asciiLowerCase, byteStringFromText } from "../../base/bytes.ts";
import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { many, one, type RowsOf, type ValueType } from "../../compile/rows.ts";
import type { Template } from "../../compile/template.ts";
import { anyOf, custom, flag, MANY, nameAndTemplate } from "../../compile/values.ts";
import type { Span } from "../../config/position.ts";
import type { Word } from "../../config/tree.ts";
import { isToken } from "../../http/tokens.ts";
import type { SetHeader } from "../../proxy/request-head.ts";
import { IGNORABLE_HEADERS, type IgnorableHeader } from "../../proxy/rules.ts";

/** `proxy_redirect`, read; what it means depends on the location's proxy_pass. */
export type RedirectSetting =
  | { readonly kind: "off" }
  | { readonly kind: "default"; readonly span: Span }
  | { readonly kind: "rewrite"; readonly from: Word; readonly to: Template };

export interface HeaderSettings {
  readonly proxy_set_header: readonly SetHeader[];
  /** Names in lower case. */
  readonly proxy_hide_header: readonly ByteString[];
  readonly proxy_pass_header: readonly ByteString[];
  readonly proxy_ignore_headers: readonly IgnorableHeader[];
  readonly proxy_pass_trailers: boolean;
  readonly proxy_intercept_errors: boolean;
  readonly proxy_redirect: readonly RedirectSetting[];
  readonly early_hints: readonly Template[];
}

/** Headers of requests and answers. */
export const headerRows: RowsOf<HeaderSettings> = {
  proxy_set_header: many<SetHeader>({
    in: HTTP_SERVER_LOCATION,
    type: setHeader(),
    inherit: "list",
    defaultText: "Host $proxy_host",
    doc: "A header of requests to the upstream, in place of the client's; an empty value sends none. One line on a level hides all inherited ones.",
  }),
  proxy_hide_header: many({
    in: HTTP_SERVER_LOCATION,
    type: headerName(),
    inherit: "list",
    doc: "A header of the upstream's answer that the client does not get.",
  }),
  proxy_pass_header: many({
    in: HTTP_SERVER_LOCATION,
    type: headerName(),
    inherit: "list",
    doc: "A header of the upstream's answer that the client gets although it is hidden by default: Date, Server, X-Pad and X-Accel-….",
  }),
  proxy_ignore_headers: one({
    in: HTTP_SERVER_LOCATION,
    type: anyOf(...IGNORABLE_HEADERS),
    default: [],
    doc: "Headers of the upstream's answer that are not obeyed.",
  }),
  proxy_pass_trailers: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    doc: "Whether trailers of the upstream's answer go to the client.",
  }),
  proxy_intercept_errors: one({
    in: HTTP_SERVER_LOCATION,
    type: flag(),
    default: false,
    doc: "Whether error_page holds for answers of the upstream with a status of 300 or more.",
  }),
  proxy_redirect: many<RedirectSetting>({
    in: HTTP_SERVER_LOCATION,
    type: custom("default | off | redirect replacement", [1, 2], parseRedirect),
    inherit: "list",
    defaultText: "default",
    doc: "What is changed in Location and Refresh of the upstream's answer: a beginning, or with ~ and ~* a regular expression. default: the address in proxy_pass becomes the location's path.",
  }),
  early_hints: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("string …", [1, MANY], (args, check) => args.map((word) => check.template(word))),
    default: [],
    doc: "A 103 of the upstream's goes to the client where one of the strings is neither empty nor 0.",
  }),
};

function setHeader(): ValueType<SetHeader> {
  const type = nameAndTemplate();
  return {
    ...type,
    parse(args, check, directive) {
      const [name] = args;
      return name !== undefined && isHeaderName(name, check) ? type.parse(args, check, directive) : undefined;
    },
  };
}

/** A name in lower case. */
function headerName(): ValueType<ByteString> {
  return custom("field", [1, 1], ([word], check) =>
    word !== undefined && isHeaderName(word, check)
      ? asciiLowerCase(byteStringFromText(word.text))
      : undefined,
  );
}

function isHeaderName(word: Word, check: Check): boolean {
  if (isToken(byteStringFromText(word.text))) return true;
  check.error(word.span, `invalid header name "${word.text}"`, {
    code: "header-name",
    notes: [{ message: "letters, digits and !#$%&'*+-.^_`|~ may stand in the name of a header" }],
  });
  return false;
}

function parseRedirect(args: readonly Word[], check: Check): RedirectSetting | undefined {
  const [from, to] = args;
  if (from === undefined) return undefined;
  if (to !== undefined) return { kind: "rewrite", from, to: check.template(to) };
  if (from.text === "off") return { kind: "off" };
  if (from.text === "default") return { kind: "default", span: from.span };
  check.error(from.span, `invalid parameter "${from.text}"`, {
    code: "invalid-parameter",
    notes: [{ message: 'proxy_redirect takes "default", "off", or a redirect and its replacement' }],
  });
  return undefined;
}
