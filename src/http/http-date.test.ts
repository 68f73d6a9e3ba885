import { describe, expect, it } from "vitest";
import { formatHttpDate, parseHttpDate } from "./http-date.ts";
import { reasonPhrase } from "./status.ts";

const EXAMPLE_MS = Date.UTC(1994, 10, 6, 8, 49, 37);

describe("dates", () => {
  it("are written as IMF-fixdate, again where the second has changed", () => {
    expect(formatHttpDate(EXAMPLE_MS + 999)).toBe("Sun, 06 Nov 1994 08:49:37 GMT");
    expect(formatHttpDate(EXAMPLE_MS + 1000)).toBe("Sun, 06 Nov 1994 08:49:38 GMT");
    expect(formatHttpDate(0)).toBe("Thu, 01 Jan 1970 00:00:00 GMT");
  });

  it("agree with what JavaScript writes", () => {
    for (let timeMs = -86_400_000; timeMs < 4e12; timeMs += 123_456_789_123) {
      const wholeMs = Math.floor(timeMs / 1000) * 1000;
      expect(formatHttpDate(timeMs)).toBe(new Date(wholeMs).toUTCString());
      expect(parseHttpDate(formatHttpDate(timeMs))).toBe(wholeMs);
    }
  });

  it.each(["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])(
    "are read in the form %j",
    (text) => {
      expect(parseHttpDate(text)).toBe(EXAMPLE_MS);
    },
  );

  it("of two digits lie at most 50 years ahead", () => {
    const nowMs = Date.UTC(2026, 0, 1);
    expect(parseHttpDate("Sunday, 06-Nov-76 08:49:37 GMT", nowMs)).toBe(Date.UTC(2076, 10, 6, 8, 49, 37));
    expect(parseHttpDate("Sunday, 06-Nov-77 08:49:37 GMT", nowMs)).toBe(Date.UTC(1977, 10, 6, 8, 49, 37));
  });

  it("read a leap second as the one before", () => {
    expect(parseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT")).toBe(Date.UTC(2016, 11, 31, 23, 59, 59));
  });

  it.each([
    "",
    "0",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 CET",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 06 Foo 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "1994-11-06T08:49:37Z",
  ])("%j is none", (text) => {
    expect(parseHttpDate(text)).toBeNull();
  });
});

describe("reason phrases", () => {
  it("are nginx's where nginx has one, and the registry's otherwise", () => {
    expect([302, 404, 405, 408, 414, 503, 426, 101].map(reasonPhrase)).toEqual([
      "Moved Temporarily",
      "Not Found",
      "Not Allowed",
      "Request Time-out",
      "Request-URI Too Large",
      "Service Temporarily Unavailable",
      "Upgrade Required",
      "Switching Protocols",
    ]);
    expect(reasonPhrase(299)).toBe("");
  });
});
