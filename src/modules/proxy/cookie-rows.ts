import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { many, type RowsOf } from "../../compile/rows.ts";
import { custom, MANY } from "../../compile/values.ts";
import type { Word } from "../../config/tree.ts";
import {
  COOKIE_FLAGS,
  type CookieFlags,
  type CookiePattern,
  type CookieReplacement,
  type CookieRules,
} from "../../proxy/cookies.ts";

export interface CookieSettings {
  readonly proxy_cookie_domain: readonly (CookieReplacement | "off")[];
  readonly proxy_cookie_path: readonly (CookieReplacement | "off")[];
  readonly proxy_cookie_flags: readonly (CookieFlags | "off")[];
}

/** Changes of the cookies that upstreams set. */
export const cookieRows: RowsOf<CookieSettings> = {
  proxy_cookie_domain: many<CookieReplacement | "off">({
    in: HTTP_SERVER_LOCATION,
    type: custom("off | domain replacement", [1, 2], parseDomain),
    inherit: "list",
    defaultText: "off",
    doc: "The Domain of cookies that the upstream sets: a domain, or with ~ a regular expression, and what takes its place.",
  }),
  proxy_cookie_path: many<CookieReplacement | "off">({
    in: HTTP_SERVER_LOCATION,
    type: custom("off | path replacement", [1, 2], parsePath),
    inherit: "list",
    defaultText: "off",
    doc: "The Path of cookies that the upstream sets: a beginning, or with ~ and ~* a regular expression, and what takes its place.",
  }),
  proxy_cookie_flags: many<CookieFlags | "off">({
    in: HTTP_SERVER_LOCATION,
    type: custom("off | cookie [flag …]", [1, MANY], parseFlags),
    inherit: "list",
    defaultText: "off",
    doc: "Flags of cookies that the upstream sets, by the name of the cookie or with ~ a regular expression: secure, httponly, samesite=strict|lax|none, and with no before it to take one away.",
  }),
};

/** What the settings of a level amount to; null: cookies pass as they are. */
export function cookieRules(settings: CookieSettings): CookieRules | null {
  const rules = {
    proxy_cookie_domain: settings.proxy_cookie_domain.filter((each) => each !== "off"),
    proxy_cookie_path: settings.proxy_cookie_path.filter((each) => each !== "off"),
    proxy_cookie_flags: settings.proxy_cookie_flags.filter((each) => each !== "off"),
  };
  return Object.values(rules).some((list) => list.length > 0) ? rules : null;
}

/** In a plain domain a dot at the beginning means nothing, on either side. */
function parseDomain(args: readonly Word[], check: Check): CookieReplacement | "off" | undefined {
  const [from, to] = args;
  if (from === undefined) return undefined;
  if (to === undefined) return parseOff(from, "a domain and its replacement", check);
  if (from.text.startsWith("~")) return regexReplacement(from.text.slice(1), true, from, to, check);
  return {
    from: { kind: "text", text: check.templateOf(from.text.replace(/^\./, ""), from.span) },
    to: check.templateOf(to.text.replace(/^\./, ""), to.span),
  };
}

function parsePath(args: readonly Word[], check: Check): CookieReplacement | "off" | undefined {
  const [from, to] = args;
  if (from === undefined) return undefined;
  if (to === undefined) return parseOff(from, "a path and its replacement", check);
  const regex = /^~(\*?)(.*)$/s.exec(from.text);
  if (regex !== null) return regexReplacement(regex[2] ?? "", regex[1] === "*", from, to, check);
  return { from: { kind: "text", text: check.template(from) }, to: check.template(to) };
}

function regexReplacement(
  pattern: string,
  caseInsensitive: boolean,
  from: Word,
  to: Word,
  check: Check,
): CookieReplacement | undefined {
  const regex = check.regex(pattern, from.span, { caseInsensitive });
  return regex === undefined ? undefined : { from: { kind: "regex", regex }, to: check.template(to) };
}

function parseFlags(args: readonly Word[], check: Check): CookieFlags | "off" | undefined {
  const [cookie, ...flags] = args;
  if (cookie === undefined) return undefined;
  if (flags.length === 0) return parseOff(cookie, "a cookie's name and its flags", check);
  const wrong = flags.find(({ text }) => !text.includes("$") && !COOKIE_FLAGS.includes(text.toLowerCase()));
  if (wrong !== undefined) {
    check.error(wrong.span, `invalid parameter "${wrong.text}"`, {
      code: "invalid-parameter",
      notes: [{ message: `one of ${COOKIE_FLAGS.join(", ")} may stand here` }],
    });
    return undefined;
  }
  const pattern = cookiePattern(cookie, check);
  return pattern === undefined
    ? undefined
    : { cookie: pattern, flags: flags.map((flag) => check.template(flag)) };
}

function cookiePattern(word: Word, check: Check): CookiePattern | undefined {
  if (!word.text.startsWith("~")) return { kind: "text", text: check.template(word) };
  const regex = check.regex(word.text.slice(1), word.span, { caseInsensitive: true });
  return regex === undefined ? undefined : { kind: "regex", regex };
}

function parseOff(word: Word, otherwise: string, check: Check): "off" | undefined {
  if (word.text === "off") return "off";
  check.error(word.span, `invalid parameter "${word.text}"`, {
    code: "invalid-parameter",
    notes: [{ message: `either "off" or ${otherwise} may stand here` }],
  });
  return undefined;
}
