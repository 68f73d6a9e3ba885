import { describe, expect, test } from "vitest";
import { parsePattern } from "./parse.ts";
import { riskOf, type Risk } from "./risk.ts";

describe("how the time of a backtracking matcher grows", () => {
  test.each<[pattern: string, risk: Risk]>([
    ["^/api/(.*)$", "none"],
    ["^/([^/]+)/([^/]+)/([^/]+)$", "none"],
    ["^(?:[a-z]+/)*$", "none"],
    ["^(?:a|b|cd)*$", "none"],
    ["^(?:(?!foo).)*$", "none"],
    ["^[0-9a-f]{32}\\.css$", "none"],
    ["^(?:\\w+,)*\\w+$", "none"],
    ["^a++a*$", "none"],
    // One search, or two loops over the same bytes.
    ["[a-z]+\\.php$", "quadratic"],
    ["^.*a.*$", "quadratic"],
    ["^(?:.*,)b$", "none"],
    ["^a*(?:b|a)*$", "quadratic"],
    ["^(?:(?=.*x)a)*$", "quadratic"],
    ["^(a+)\\1$", "quadratic"],
    // Three, or one loop in two ways.
    ["^.*a.*b.*c$", "steep"],
    ["a.*b.*c$", "steep"],
    ["^(a+)+$", "steep"],
    ["^(?:a|aa)+$", "steep"],
    ["^(?:a|b|ab)*$", "steep"],
    ["^(?:a*)*$", "steep"],
    ["^(?:x(?:a*|b*))*$", "steep"],
    ["^(?:a?b?)*$", "steep"],
    ["^(?:.*a){12}$", "steep"],
    ["^(?:a?){30}a{30}$", "steep"],
    ["^((((a?){3}){3}){3}){3}a{80}$", "steep"],
    ["^(?:a{1,20}){1,20}$", "steep"],
    ["^(?:ab(?=a)?)*$", "steep"],
    // What has matched wherever it ends does not go back.
    ["^/(?!x).*", "none"],
    ["^a+(?:b|a)*", "none"],
  ])("%s: %s", (pattern, risk) => {
    expect(riskOf(parsePattern(pattern, false).root)).toBe(risk);
  });

  test("a pattern too large to judge counts as steep, and soon", () => {
    const words = Array.from({ length: 300 }, (_, index) => `w${index.toString(36)}[a-z]+`).join("|");
    expect(riskOf(parsePattern(`^(?:${words})*(?:${words})*$`, false).root)).toBe("steep");
  });
});
