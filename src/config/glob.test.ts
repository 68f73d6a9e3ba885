import { expect, test } from "vitest";
import { memoryFiles } from "./files.ts";
import { expandGlob, isGlob } from "./glob.ts";

const files = memoryFiles(
  Object.fromEntries(
    [
      "/etc/a.conf",
      "/etc/b.conf",
      "/etc/ab.conf",
      "/etc/.a.conf",
      "/etc/a-b",
      "/etc/a]b",
      "/etc/a*b",
      "/etc/x/a.conf",
      "/etc/x/y/a.conf",
      "/etc/z/b.conf",
      "/etc/域.conf",
    ].map((path) => [path, ""]),
  ),
);

test.each([
  ["/etc/*.conf", ["/etc/a.conf", "/etc/ab.conf", "/etc/b.conf", "/etc/域.conf"]],
  ["/etc/?.conf", ["/etc/a.conf", "/etc/b.conf", "/etc/域.conf"]],
  ["/etc/[a].conf", ["/etc/a.conf"]],
  ["/etc/[!a].conf", ["/etc/b.conf", "/etc/域.conf"]],
  ["/etc/[^a].conf", ["/etc/b.conf", "/etc/域.conf"]],
  ["/etc/[b-z].conf", ["/etc/b.conf"]],
  ["/etc/a[]x]b", ["/etc/a]b"]],
  ["/etc/a[x-]b", ["/etc/a-b"]],
  ["/etc/a[b.conf*", []],
  ["/etc/.*.conf", ["/etc/.a.conf"]],
  ["/etc/*/a.conf", ["/etc/x/a.conf"]],
  ["/etc/*/b.conf", ["/etc/z/b.conf"]],
  ["/etc/*/*/a.conf", ["/etc/x/y/a.conf"]],
  ["/etc/x/../[a].conf", ["/etc/x/../a.conf"]],
  ["/etc/[x]/../a.conf", ["/etc/x/../a.conf"]],
  [String.raw`/etc/a\*b*`, ["/etc/a*b"]],
  ["/etc/a**b", ["/etc/a*b", "/etc/a-b", "/etc/a]b"]],
  ["/none/*", []],
  ["/etc/*.none", []],
])("%s matches %j", (pattern, paths) => {
  expect(expandGlob(pattern, files)).toEqual(paths);
});

test("a pattern with many stars does not take for ever", () => {
  const long = memoryFiles({ [`/etc/${"a".repeat(250)}`]: "" });
  expect(expandGlob(`/etc/${"*a".repeat(60)}*b`, long)).toEqual([]);
});

test.each([
  ["/etc/a.conf", false],
  ["/etc/*.conf", true],
  ["/etc/a?", true],
  ["/etc/[ab]", true],
])("whether %s is a pattern: %s", (path, answer) => {
  expect(isGlob(path)).toBe(answer);
});
