import { describe, expect, test } from "vitest";
import { memoryFiles } from "./files.ts";
import { headline } from "./format-diagnostic.ts";
import { diagnosticsMax, parseConfig, type ParseResult } from "./parse.ts";
import { printTree } from "./print.ts";

function parse(text: string): ParseResult {
  return parseConfig({ file: "/etc/x.conf", text, files: memoryFiles({}) });
}

function messagesOf(text: string): string[] {
  return parse(text).diagnostics.map(headline);
}

function suggestionsOf(text: string): (string | null)[] {
  return parse(text).diagnostics.map(({ suggestion }) => suggestion);
}

describe("a directive", () => {
  const text = "a;\n  listen\n  80 'b'\n  ;\nserver # comment\n{\n}";
  const [, listen, server] = parse(text).tree.directives;

  test("knows where each of its words stands", () => {
    expect(listen?.name).toMatchObject({
      text: "listen",
      quote: null,
      span: { line: 2, column: 3, length: 6 },
    });
    expect(listen?.args).toMatchObject([
      { text: "80", quote: null, span: { line: 3, column: 3, length: 2 } },
      { text: "b", quote: "'", span: { line: 3, column: 6, length: 3 } },
    ]);
  });

  test("is reported at the line of its semicolon or brace, as nginx does", () => {
    expect(listen).toMatchObject({ reportLine: 4, span: { line: 2, column: 3 }, block: null });
    expect(server).toMatchObject({ reportLine: 6, span: { line: 5, column: 1 }, block: [] });
  });

  test("knows the braces of its block", () => {
    expect(server?.openBrace).toMatchObject({ line: 6, column: 1, length: 1 });
    expect(server?.closeBrace).toMatchObject({ line: 7, column: 1, length: 1 });
    expect(listen).toMatchObject({ openBrace: null, closeBrace: null });
  });

  test("has no closing brace where the text has none", () => {
    expect(parse("a {").tree.directives).toMatchObject([{ openBrace: { column: 3 }, closeBrace: null }]);
  });
});

describe("all errors of a text are reported in one pass, and what is around them is kept", () => {
  test("whatever they are", () => {
    const text = 'a;;\nb { c };\nd "e"f;\n{ g; }\nh "i;\nj;\nk';
    expect(messagesOf(text)).toEqual([
      'unexpected ";" in /etc/x.conf:1',
      'unexpected "}" in /etc/x.conf:2',
      'unexpected ";" in /etc/x.conf:2',
      'unexpected "f" in /etc/x.conf:3',
      'unexpected "{" in /etc/x.conf:4',
      'unexpected end of file, expecting ";" or "}" in /etc/x.conf:7',
      'unexpected end of file, expecting ";" or "}" in /etc/x.conf:7',
    ]);
    expect(printTree(parse(text).tree)).toBe('a;\nb {\n    c;\n}\nd "e" f {\n    g;\n}\nh "i";\nj;\nk;\n');
  });

  test("but no more than a person would read", () => {
    const { diagnostics } = parse(";".repeat(10_000));
    expect(diagnostics).toHaveLength(diagnosticsMax);
  });
});

describe("a directive that is not finished", () => {
  test.each([
    ["a {\n  b\n}", 'add ";" at the end of line 2'],
    ["a {\n  b # c\n}", 'add ";" before the comment in line 2'],
    ["a { b }", 'add ";" before the "}" in line 1'],
    ["a\nb  \n", 'add ";" at the end of line 2'],
    ["a；", 'replace "；" by ";" at the end of line 1'],
    ['a "b\n', 'add the missing " in line 1'],
  ])("%j: %s", (text, suggestion) => {
    expect(suggestionsOf(text)).toEqual([suggestion]);
  });

  test("is shown at its last word, however far the end of the file is", () => {
    const { diagnostics } = parse("a\n\n# b\n");
    expect(diagnostics).toMatchObject([{ span: { line: 1, column: 2, length: 0 }, reportLine: 4 }]);
  });
});

describe("punctuation out of nowhere", () => {
  test.each([
    ["a {};", 'remove it: a block ends with "}" alone'],
    ["a;;", "remove it, or write a directive before it"],
    ["a; {}", 'remove the ";" at the end of line 1, or the "{"'],
    ["{}", "remove it, or write the name of a block before it"],
  ])("%s: %s", (text, suggestion) => {
    expect(suggestionsOf(text)).toEqual([suggestion]);
  });

  test("a semicolon before a brace is taken for a slip", () => {
    expect(printTree(parse("location / ; { a; }\nb;").tree)).toBe("location / {\n    a;\n}\nb;\n");
  });
});

test("a byte order mark is ignored with a warning, and shifts no column", () => {
  const { tree, diagnostics } = parse("\ufeffa;");
  expect(diagnostics).toMatchObject([{ severity: "warn", code: "byte-order-mark" }]);
  expect(tree.directives).toMatchObject([{ name: { text: "a", span: { line: 1, column: 1 } } }]);
});

test("an empty text is an empty configuration", () => {
  expect(parse("").tree.directives).toEqual([]);
  expect(messagesOf("\n# nothing\n")).toEqual([]);
});

test("a large configuration on one line takes no more time than on many", () => {
  const server = 'server { listen 80; location / { return 200 "\u{1f600} 域名"; } } ';
  const { tree, diagnostics } = parse(`http { ${server.repeat(20_000)} }`);
  expect(diagnostics).toEqual([]);
  expect(tree.directives[0]?.block).toHaveLength(20_000);
});
