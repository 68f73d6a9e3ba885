import type { ByteString } from "../base/bytes.ts";

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

let cachedSecond = Number.NaN;
let cachedText: ByteString = "";

/**
 * An instant, in milliseconds since the epoch, as an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
 * The last second asked for is kept, so that a `Date` field costs a comparison.
 */
export function formatHttpDate(timeMs: number): ByteString {
  const second = Math.floor(timeMs / 1000);
  if (second !== cachedSecond) {
    const date = new Date(second * 1000);
    const day = `${DAYS[date.getUTCDay()]}, ${twoDigits(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]}`;
    const year = String(date.getUTCFullYear()).padStart(4, "0");
    const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(twoDigits).join(":");
    cachedText = `${day} ${year} ${time} GMT`;
    cachedSecond = second;
  }
  return cachedText;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}

const TIME = "(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)";
/** `Sun, 06 Nov 1994 08:49:37 GMT` */
const IMF_FIXDATE = new RegExp(
  `^[A-Z][a-z]{2}, (?<day>\\d\\d) (?<month>[A-Z][a-z]{2}) (?<year>\\d{4}) ${TIME} GMT$`,
);
/** `Sunday, 06-Nov-94 08:49:37 GMT` */
const RFC_850 = new RegExp(
  `^[A-Z][a-z]{5,8}, (?<day>\\d\\d)-(?<month>[A-Z][a-z]{2})-(?<year>\\d\\d) ${TIME} GMT$`,
);
/** `Sun Nov  6 08:49:37 1994` */
const ASCTIME = new RegExp(
  `^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`,
);

/**
 * Reads the three forms that RFC 9110 section 5.6.7 asks a recipient to read: milliseconds since the epoch, or null for
 * anything else, a day that does not exist among it. A two-digit year more than 50 years ahead is one of the past.
 */
export function parseHttpDate(text: ByteString, nowMs: number = Date.now()): number | null {
  const match = IMF_FIXDATE.exec(text) ?? RFC_850.exec(text) ?? ASCTIME.exec(text);
  if (match?.groups === undefined) return null;
  const { day, month, year, hour, minute, second } = match.groups;
  const monthIndex = MONTHS.indexOf(month ?? "");
  const fullYear = year?.length === 2 ? centuryOf(Number(year), nowMs) : Number(year);
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)] as const;
  // A leap second is read as the one before it.
  if (monthIndex < 0 || h > 23 || m > 59 || s > 60) return null;
  const date = new Date(0);
  date.setUTCFullYear(fullYear, monthIndex, d);
  if (date.getUTCDate() !== d || date.getUTCMonth() !== monthIndex) return null;
  date.setUTCHours(h, m, Math.min(s, 59));
  return date.getTime();
}

/** The full year that a two-digit one means. */
function centuryOf(year: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const candidate = thisYear - (thisYear % 100) + year;
  return candidate > thisYear + 50 ? candidate - 100 : candidate;
}
