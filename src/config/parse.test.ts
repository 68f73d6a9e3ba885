import { expect, test } from "vitest";
import { headline } from "./format-diagnostic.ts";
import { memoryFiles } from "./files.ts";
import { parseConfig } from "./parse.ts";
import type { Directive } from "./tree.ts";

/** Directives without their positions, for comparing. */
function outline(directives: readonly Directive[]): unknown[] {
  return directives.map(({ name, args, block }) => [
    name.text,
    ...args.map((arg) => arg.text),
    ...(block === null ? [] : [outline(block)]),
  ]);
}

function parse(text: string, files: Record<string, string> = {}): { outline: unknown[]; messages: string[] } {
  const { tree, diagnostics } = parseConfig({ file: "/etc/x.conf", text, files: memoryFiles(files) });
  return { outline: outline(tree.directives), messages: diagnostics.map(headline) };
}

test("a configuration becomes nested directives", () => {
  expect(parse("events { worker_connections 1024; }\nhttp {\n  server { listen 80; }\n}\n")).toEqual({
    outline: [
      ["events", [["worker_connections", "1024"]]],
      ["http", [["server", [["listen", "80"]]]]],
    ],
    messages: [],
  });
});

test("an include puts another file's directives in its place", () => {
  const files = { "/etc/b.conf": "b;", "/etc/c/2.conf": "c 2;", "/etc/c/1.conf": "c 1;" };
  expect(parse("a; http { include b.conf; include c/*.conf; include d/*.conf; }", files)).toEqual({
    outline: [["a"], ["http", [["b"], ["c", "1"], ["c", "2"]]]],
    messages: [],
  });
});

test("a missing literal file is an error", () => {
  expect(parse("a;\ninclude b.conf;").messages).toEqual([
    'open() "/etc/b.conf" failed (2: No such file or directory) in /etc/x.conf:2',
  ]);
});
