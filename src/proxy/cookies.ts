import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import type { PlanRegex } from "../compile/plan.ts";
import { execRegex } from "../compile/regex.ts";
import type { Request } from "../compile/request.ts";
import type { Template } from "../compile/template.ts";
import { trimWhitespace } from "../http/tokens.ts";

/** What a cookie's name, domain or path is compared with. */
export type CookiePattern =
  | { readonly kind: "text"; readonly text: Template }
  | { readonly kind: "regex"; readonly regex: PlanRegex };

/** One `proxy_cookie_domain` or `proxy_cookie_path`. */
export interface CookieReplacement {
  readonly from: CookiePattern;
  readonly to: Template;
}

/** One `proxy_cookie_flags`. */
export interface CookieFlags {
  readonly cookie: CookiePattern;
  /** Each renders to one of {@link COOKIE_FLAGS}, or to nothing. */
  readonly flags: readonly Template[];
}

/** Of each list the first entry that fits is applied. */
export interface CookieRules {
  readonly proxy_cookie_domain: readonly CookieReplacement[];
  readonly proxy_cookie_path: readonly CookieReplacement[];
  readonly proxy_cookie_flags: readonly CookieFlags[];
}

/** What stands between two semicolons of a Set-Cookie. */
interface Attribute {
  readonly name: ByteString;
  /** null: a flag. */
  readonly value: ByteString | null;
}

/** What each flag does to the attributes of a cookie. */
const WISHES: ReadonlyMap<string, Attribute & { readonly isWanted: boolean }> = new Map([
  ["secure", { name: "Secure", value: null, isWanted: true }],
  ["nosecure", { name: "Secure", value: null, isWanted: false }],
  ["httponly", { name: "HttpOnly", value: null, isWanted: true }],
  ["nohttponly", { name: "HttpOnly", value: null, isWanted: false }],
  ["samesite=strict", { name: "SameSite", value: "Strict", isWanted: true }],
  ["samesite=lax", { name: "SameSite", value: "Lax", isWanted: true }],
  ["samesite=none", { name: "SameSite", value: "None", isWanted: true }],
  ["nosamesite", { name: "SameSite", value: null, isWanted: false }],
]);

export const COOKIE_FLAGS: readonly string[] = [...WISHES.keys()];

type Replace = (request: Request, rule: CookieReplacement, value: ByteString) => ByteString | null;

/** A Set-Cookie of the upstream's as the client should get it; unchanged where no rule fits. */
export function rewriteCookie(request: Request, rules: CookieRules, cookie: ByteString): ByteString {
  const [pair, ...attributes] = cookie.split(";").map(parseAttribute);
  if (pair === undefined) return cookie;
  const moved = attributes
    .map((attribute) => replaced(request, attribute, "domain", rules.proxy_cookie_domain, replaceDomain))
    .map((attribute) => replaced(request, attribute, "path", rules.proxy_cookie_path, replacePath));
  const isNamedAs = (rule: CookieFlags): boolean =>
    pair.value !== null && isNamed(request, rule.cookie, pair.name);
  const flags = rules.proxy_cookie_flags.find(isNamedAs);
  let flagged: readonly Attribute[] = moved;
  for (const flag of flags?.flags ?? []) flagged = withFlag(request, flagged, flag);
  const isChanged = flagged.length !== attributes.length || flagged.some((each, i) => each !== attributes[i]);
  return isChanged ? [pair, ...flagged].map(format).join("; ") : cookie;
}

function parseAttribute(text: ByteString): Attribute {
  const equals = text.indexOf("=");
  if (equals < 0) return { name: trimWhitespace(text), value: null };
  return { name: trimWhitespace(text.slice(0, equals)), value: trimWhitespace(text.slice(equals + 1)) };
}

function format({ name, value }: Attribute): ByteString {
  return value === null ? name : `${name}=${value}`;
}

function replaced(
  request: Request,
  attribute: Attribute,
  name: "domain" | "path",
  rules: readonly CookieReplacement[],
  replace: Replace,
): Attribute {
  if (attribute.value === null || asciiLowerCase(attribute.name) !== name) return attribute;
  for (const rule of rules) {
    const value = replace(request, rule, attribute.value);
    if (value !== null) return { name: attribute.name, value };
  }
  return attribute;
}

/** The whole domain, without regard to case and to a dot before it, which stays. */
function replaceDomain(
  request: Request,
  { from, to }: CookieReplacement,
  domain: ByteString,
): ByteString | null {
  if (from.kind === "regex") return execRegex(request, from.regex, domain) ? to.render(request) : null;
  const dot = domain.startsWith(".") ? "." : "";
  const isSame = asciiLowerCase(from.text.render(request)) === asciiLowerCase(domain.slice(dot.length));
  return isSame ? dot + to.render(request) : null;
}

/** The beginning of the path. */
function replacePath(request: Request, { from, to }: CookieReplacement, path: ByteString): ByteString | null {
  if (from.kind === "regex") return execRegex(request, from.regex, path) ? to.render(request) : null;
  const beginning = from.text.render(request);
  return path.startsWith(beginning) ? to.render(request) + path.slice(beginning.length) : null;
}

function isNamed(request: Request, pattern: CookiePattern, name: ByteString): boolean {
  if (pattern.kind === "regex") return execRegex(request, pattern.regex, name);
  return asciiLowerCase(pattern.text.render(request)) === asciiLowerCase(name);
}

function withFlag(request: Request, attributes: readonly Attribute[], flag: Template): readonly Attribute[] {
  const text = asciiLowerCase(flag.render(request));
  if (text === "") return attributes;
  const wish = WISHES.get(text);
  if (wish === undefined) {
    request.log("error", `invalid proxy_cookie_flags flag "${text}"`);
    return attributes;
  }
  const isOther = (attribute: Attribute): boolean =>
    asciiLowerCase(attribute.name) !== wish.name.toLowerCase();
  if (!wish.isWanted) return attributes.filter(isOther);
  if (attributes.every(isOther)) return [...attributes, wish];
  return wish.value === null ? attributes : attributes.map((each) => (isOther(each) ? each : wish));
}
