import { describe, expect, test } from "vitest";
import {
  formatDurationMs,
  formatSize,
  parseOffset,
  parseSize,
  parseTimeMs,
  parseTimeSeconds,
} from "./units.ts";

describe("sizes", () => {
  test.each([
    ["0", 0],
    ["512", 512],
    ["8k", 8192],
    ["8K", 8192],
    ["1m", 1_048_576],
    ["1020000M", 1_069_547_520_000],
    ["9223372036854775807", 2 ** 63],
  ])("%s is %d bytes", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
    expect(parseOffset(text)).toBe(bytes);
  });

  test.each([
    "",
    "k",
    "-1",
    "1.5k",
    "1kb",
    "1 k",
    "0x10",
    " 1",
    "1t",
    "9223372036854775808",
    "9007199254740992k",
  ])("%j is no size", (text) => {
    expect(parseSize(text)).toBeNull();
    expect(parseOffset(text)).toBeNull();
  });

  test("only an offset may be given in gigabytes", () => {
    expect(parseOffset("2g")).toBe(2 * 1024 ** 3);
    expect(parseOffset("2G")).toBe(2 * 1024 ** 3);
    expect(parseSize("2g")).toBeNull();
  });

  test.each([0, 1, 1000, 8192, 1_048_576, 3 * 1024 ** 3])(
    "%d bytes can be written and read again",
    (bytes) => {
      expect(parseOffset(formatSize(bytes))).toBe(bytes);
    },
  );
});

// Each row was put to nginx 1.22 as `proxy_read_timeout` (milliseconds) and as `expires` (seconds).
describe("times", () => {
  const refused = null;
  test.each([
    ["0", 0, 0],
    ["1", 1000, 1],
    ["1s", 1000, 1],
    ["300", 300_000, 300],
    ["1m", 60_000, 60],
    ["2h", 7_200_000, 7200],
    ["1d", 86_400_000, 86_400],
    ["1w", 604_800_000, 604_800],
    ["1M", refused, 2_592_000],
    ["1y", refused, 31_536_000],
    ["1y1M", refused, 34_128_000],
    ["1ms", 1, refused],
    ["1s500ms", 1500, refused],
    ["1s 500ms", 1500, refused],
    ["1h30m", 5_400_000, 5400],
    ["1h 30m", 5_400_000, 5400],
    ["1h30", 3_630_000, 3630],
    ["1h 30", 3_630_000, 3630],
    ["1s5", 6000, 6],
    ["1s 5", 6000, 6],
    ["1ms 5", 5001, refused],
    ["5 4", 9000, 9],
    ["5 4 3", refused, refused],
    [" 1", 1000, 1],
    ["1 ", 1000, 1],
    ["1hm", 3_600_000, 3600],
    ["1d h", 86_400_000, 86_400],
    ["", refused, refused],
    [" ", refused, refused],
    ["s", refused, refused],
    ["1x", refused, refused],
    ["-1", refused, refused],
    ["1.5s", refused, refused],
    ["1 s", refused, refused],
    ["1 5s", refused, refused],
    ["30m 1h", refused, refused],
    ["1m1m", refused, refused],
    ["1y 1y", refused, refused],
    ["1ms1s", refused, refused],
    ["9223372036854775", Number("9223372036854775000"), Number("9223372036854775")],
    ["9223372036854776", refused, Number("9223372036854776")],
    ["9223372036854775807s", refused, 2 ** 63],
    ["9223372036854775808s", refused, refused],
    ["1w 9223372036854775807", refused, refused],
  ])("%j is %j milliseconds, and %j seconds", (text, milliseconds, seconds) => {
    expect(parseTimeMs(text)).toBe(milliseconds);
    expect(parseTimeSeconds(text)).toBe(seconds);
  });

  test.each([
    [0, "0s"],
    [500, "500ms"],
    [1500, "1s 500ms"],
    [60_000, "1m"],
    [5_400_000, "1h 30m"],
    [90_061_001, "1d 1h 1m 1s 1ms"],
  ])("%d milliseconds are written %s and read again", (milliseconds, text) => {
    expect(formatDurationMs(milliseconds)).toBe(text);
    expect(parseTimeMs(text)).toBe(milliseconds);
  });
});
