import { byteStringFromText } from "../../base/bytes.ts";
import type { Check } from "../../compile/check.ts";
import { constantTemplate } from "../../compile/template.ts";
import type { PassUrl } from "../../proxy/pass-url.ts";
import type { RedirectRule } from "../../proxy/redirects.ts";
import type { RedirectSetting } from "./headers.ts";
import type { PassSetting } from "./pass.ts";

/** What the lines `proxy_redirect` of a location amount to; none is `proxy_redirect default`. */
export function redirectRules(
  settings: readonly RedirectSetting[],
  pass: PassSetting,
  locationPath: string,
  check: Check,
): readonly RedirectRule[] {
  if (settings.length === 0) return pass.kind === "constant" ? [defaultRule(pass.url, locationPath)] : [];
  return settings.flatMap((setting): readonly RedirectRule[] => {
    switch (setting.kind) {
      case "off":
        return [];
      case "default":
        if (pass.kind === "constant") return [defaultRule(pass.url, locationPath)];
        check.error(
          setting.span,
          '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables',
          { code: "redirect-default" },
        );
        return [];
      case "rewrite":
        return rewriteRule(setting, check);
    }
  });
}

/** The upstream's own address becomes the place where the location stands. */
function defaultRule({ scheme, authority, uri }: PassUrl, locationPath: string): RedirectRule {
  const url = byteStringFromText(`${scheme}://${authority}`);
  return uri === ""
    ? { kind: "prefix", from: constantTemplate(`${url}/`), to: constantTemplate("/") }
    : {
        kind: "prefix",
        from: constantTemplate(url + byteStringFromText(uri)),
        to: constantTemplate(locationPath),
      };
}

function rewriteRule(
  { from, to }: Extract<RedirectSetting, { kind: "rewrite" }>,
  check: Check,
): readonly RedirectRule[] {
  const pattern = /^~(\*?)(.*)$/s.exec(from.text);
  if (pattern === null) return [{ kind: "prefix", from: check.template(from), to }];
  const regex = check.regex(pattern[2] ?? "", from.span, { caseInsensitive: pattern[1] === "*" });
  return regex === undefined ? [] : [{ kind: "regex", from: regex, to }];
}
