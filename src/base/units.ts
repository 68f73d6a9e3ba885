/** Sizes and times as configurations write them, read exactly as nginx reads them; null where nginx refuses. */

/** nginx counts in signed 64-bit integers. */
const integerMax = 2n ** 63n - 1n;

/** A size in bytes, as `ngx_parse_size()`: `512`, `8k`, `1020000M`. Past 2^53 the number is rounded. */
export function parseSize(text: string): number | null {
  return parseScaled(text, { k: 1024n, m: 1024n ** 2n });
}

/** A size of a file or body in bytes, as `ngx_parse_offset()`: like {@link parseSize}, and `2g`. */
export function parseOffset(text: string): number | null {
  return parseScaled(text, { k: 1024n, m: 1024n ** 2n, g: 1024n ** 3n });
}

function parseScaled(text: string, scales: Readonly<Record<string, bigint>>): number | null {
  const parts = /^(\d+)([a-z])?$/i.exec(text);
  const digits = parts?.[1];
  if (digits === undefined) return null;
  const unit = parts?.[2]?.toLowerCase();
  const scale = unit === undefined ? 1n : scales[unit];
  if (scale === undefined) return null;
  const size = BigInt(digits) * scale;
  return size > integerMax ? null : Number(size);
}

/**
 * A time in milliseconds, as `ngx_parse_time()`: `500ms`, `30s`, `1h 30m`, and `60` for sixty seconds. Weeks are the
 * longest unit.
 */
export function parseTimeMs(text: string): number | null {
  const total = sumTime(text, "w", "ms");
  return total === null ? null : Number(total);
}

/** A time in seconds, as `ngx_parse_time()`: `30s`, `1y`, `1M 2w`, and `60`. It knows no milliseconds. */
export function parseTimeSeconds(text: string): number | null {
  const total = sumTime(text, "y", "s");
  return total === null ? null : Number(total);
}

type TimeUnit = "y" | "M" | "w" | "d" | "h" | "m" | "s" | "ms";

/** From long to short, which is the order in which a time must name them. */
const timeUnits: readonly TimeUnit[] = ["y", "M", "w", "d", "h", "m", "s", "ms"];

const unitMs: Readonly<Record<TimeUnit, bigint>> = {
  y: 365n * 86_400_000n,
  M: 30n * 86_400_000n,
  w: 7n * 86_400_000n,
  d: 86_400_000n,
  h: 3_600_000n,
  m: 60_000n,
  s: 1000n,
  ms: 1n,
};

/** Adds up `1h 30m` in multiples of `shortest`. A number without a unit is seconds, and ends the time. */
function sumTime(text: string, longest: TimeUnit, shortest: TimeUnit): bigint | null {
  if (!/\d/.test(text)) return null;
  const group = /(\d*)(ms|[yMwdhms]|(?= )|$) */y;
  let allowed = timeUnits.slice(timeUnits.indexOf(longest), timeUnits.indexOf(shortest) + 1);
  let total = 0n;
  while (group.lastIndex < text.length) {
    const parts = group.exec(text);
    if (parts === null) return null;
    const [, digits = "", unit = ""] = parts;
    const isLast = group.lastIndex === text.length;
    const rank = allowed.findIndex((name) => name === (unit === "" ? "s" : unit));
    // nginx lets a number without a unit stand at the very end even behind seconds: `1s 5`.
    if (rank === -1 && !(unit === "" && isLast)) return null;
    total += (BigInt(digits) * unitMs[isTimeUnit(unit) ? unit : "s"]) / unitMs[shortest];
    if (total > integerMax) return null;
    allowed = unit === "" ? [] : allowed.slice(rank + 1);
  }
  return total;
}

function isTimeUnit(name: string): name is TimeUnit {
  return name in unitMs;
}

/** A size as a person would write it: the largest unit that leaves a whole number, as in `8k`. */
export function formatSize(bytes: number): string {
  for (const [unit, scale] of [
    ["g", 1024 ** 3],
    ["m", 1024 ** 2],
    ["k", 1024],
  ] as const) {
    if (bytes !== 0 && bytes % scale === 0) return `${bytes / scale}${unit}`;
  }
  return String(bytes);
}

/** A time as a person would write it: `1h 30m`, `500ms`; the opposite of {@link parseTimeMs}. */
export function formatDurationMs(milliseconds: number): string {
  let rest = Math.round(milliseconds);
  const parts: string[] = [];
  for (const unit of timeUnits.slice(timeUnits.indexOf("d"))) {
    const scale = Number(unitMs[unit]);
    if (rest >= scale) parts.push(`${Math.floor(rest / scale)}${unit}`);
    rest %= scale;
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}

/** Milliseconds as nginx's variables print times: seconds with three decimals, `0.250`. */
export function formatSeconds(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds));
  return `${Math.floor(whole / 1000)}.${String(whole % 1000).padStart(3, "0")}`;
}
