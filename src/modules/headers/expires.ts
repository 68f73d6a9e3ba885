import { byteStringFromText, type ByteString } from "../../base/bytes.ts";
import { parseTimeSeconds } from "../../base/units.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { HeadFilter } from "../../compile/outcome.ts";
import type { Request } from "../../compile/request.ts";
import { formatHttpDate, parseHttpDate } from "../../http/http-date.ts";

/** When an answer goes stale. */
type Expiry =
  | { readonly kind: "off" }
  | { readonly kind: "epoch" }
  | { readonly kind: "max" }
  /** `from`: seconds counted from now or from Last-Modified; `daily`: a time of day, seconds after midnight. */
  | { readonly kind: "from"; readonly seconds: number; readonly isModified: boolean }
  | { readonly kind: "daily"; readonly seconds: number };

const TEN_YEARS_S = 315_360_000;
const EPOCH_DATE = "Thu, 01 Jan 1970 00:00:01 GMT";
const MAX_DATE = "Thu, 31 Dec 2037 23:55:55 GMT";

/** `expires [modified] time`, `expires epoch | max | off`; the time may be negative, `@` a time of day, or a variable. */
export function parseExpires(args: readonly Word[], check: Check): HeadFilter | "off" | undefined {
  const isModified = args[0]?.text === "modified";
  const word = args[isModified ? 1 : 0];
  if (word === undefined) return undefined;
  if (word.text.includes("$")) {
    const template = check.template(word);
    return (request) => apply(request, parseExpiry(template.render(request), isModified) ?? { kind: "off" });
  }
  const expiry = parseExpiry(byteStringFromText(word.text), isModified);
  if (expiry === null) {
    check.error(word.span, 'invalid value in "expires" directive', {
      code: "invalid-value",
      notes: [{ message: `"${word.text}" is not a time, @time, epoch, max or off` }],
    });
    return undefined;
  }
  return expiry.kind === "off" ? "off" : (request) => apply(request, expiry);
}

function parseExpiry(text: ByteString, isModified: boolean): Expiry | null {
  if (text === "off" || text === "epoch" || text === "max") return isModified ? null : { kind: text };
  if (text.startsWith("@")) {
    const seconds = parseTimeSeconds(text.slice(1));
    return seconds === null || seconds > 86_400 || isModified ? null : { kind: "daily", seconds };
  }
  const isNegative = text.startsWith("-");
  const seconds = parseTimeSeconds(text.replace(/^[+-]/, ""));
  return seconds === null ? null : { kind: "from", seconds: isNegative ? -seconds : seconds, isModified };
}

/** Sets Expires and Cache-Control, as ngx_http_set_expires: for answers that are worth keeping, and for redirects. */
function apply(request: Request, expiry: Expiry): void {
  const { headers } = request.response;
  switch (expiry.kind) {
    case "off":
      return;
    case "epoch":
      headers.set("Expires", EPOCH_DATE);
      headers.set("Cache-Control", "no-cache");
      return;
    case "max":
      headers.set("Expires", MAX_DATE);
      headers.set("Cache-Control", `max-age=${TEN_YEARS_S}`);
      return;
    case "daily":
      return setDates(request, secondsUntil(expiry.seconds));
    case "from":
      return setDates(request, expiry.seconds + (expiry.isModified ? sinceModified(request) : 0));
  }
}

function setDates(request: Request, maxAgeS: number): void {
  const { headers } = request.response;
  headers.set("Expires", formatHttpDate(Date.now() + maxAgeS * 1000));
  headers.set("Cache-Control", maxAgeS < 0 ? "no-cache" : `max-age=${maxAgeS}`);
}

/** Seconds from now to the next time it is that late in the day, by local time. */
function secondsUntil(secondsOfDay: number): number {
  const now = new Date();
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const today = midnight + secondsOfDay * 1000;
  const next = today > now.getTime() ? today : today + 86_400_000;
  return Math.floor((next - now.getTime()) / 1000);
}

/** Negative: seconds that Last-Modified lies back; 0 without one. */
function sinceModified(request: Request): number {
  const date = parseHttpDate(request.response.headers.get("last-modified") ?? "");
  return date === null ? 0 : -Math.floor((Date.now() - date) / 1000);
}
