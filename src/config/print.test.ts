import { describe, expect, test } from "vitest";
import { parseCommandLine, parseConfig } from "./parse.ts";
import { printTree, printWord } from "./print.ts";

/** What a text looks like once it was read and printed. */
function reprint(text: string): string {
  return printTree(parseConfig({ file: "x", text }).tree);
}

test("a tree is printed with one directive a line and four spaces a block", () => {
  expect(reprint("a;b c\nd{e{}f;}# g")).toBe("a;\nb c d {\n    e {}\n    f;\n}\n");
});

describe("words are printed as their author wrote them", () => {
  test.each([
    String.raw`location ~ \.(?:php|html)$ {}`,
    String.raw`rewrite "^/a{2}\d+\.x$" /b;`,
    `log_format main '$remote_addr - "$request"' "it's";`,
    "set $x ${host}y;",
    'if ($x = "a" ) {}',
    String.raw`a "\"" '\'' "\\" \";`,
    String.raw`a x\;y x\{ x\ y;`,
    String.raw`a \t\r\n;`,
    "a 域名 b#c d}e;",
    `a "two\nlines";`,
    `"" "}" "#" "a b";`,
  ])("%s", (text) => {
    expect(reprint(text)).toBe(`${text}\n`);
  });
});

describe("words that nobody wrote get quotes where they need them", () => {
  test.each([
    ["plain", "plain"],
    ["", '""'],
    ["a b", '"a b"'],
    ["a;b", '"a;b"'],
    ["a{b", '"a{b"'],
    ["${a}", "${a}"],
    ["x${{a", "x${{a"],
    ["#a", '"#a"'],
    ["}", '"}"'],
    ['say "x"', `'say "x"'`],
    [`"it's" both`, String.raw`"\"it's\" both"`],
    [`"a`, String.raw`\"a`],
    ["'a", String.raw`\'a`],
    ["a\\", String.raw`a\\`],
    ["\\n", String.raw`\\n`],
    ["\n", String.raw`\n`],
    ["\ufeff", '"\ufeff"'],
    ["\\${a}", '"\\${a}"'],
  ])("%j is printed %s", (text, printed) => {
    expect(printWord({ text, quote: null })).toBe(printed);
    const read = parseConfig({ file: "x", text: `${printed};` });
    expect(read.diagnostics).toEqual([]);
    expect(read.tree.directives.map(({ name }) => name.text)).toEqual([text]);
  });
});

describe("the text of -g", () => {
  function messagesOf(text: string): string[] {
    return parseCommandLine(text, {}).diagnostics.map(({ message }) => message);
  }

  test("is directives without blocks", () => {
    expect(printTree(parseCommandLine("daemon off; pid 'x y';", {}).tree)).toBe("daemon off;\npid 'x y';\n");
    expect(messagesOf("daemon off; pid x;")).toEqual([]);
    expect(messagesOf("events {}")).toEqual(["block directives are not supported in -g option"]);
    expect(messagesOf("events {")).toEqual(["block directives are not supported in -g option"]);
  });

  test("must end with a semicolon", () => {
    expect(messagesOf("daemon off")).toEqual(['unexpected end of parameter, expecting ";"']);
    expect(messagesOf("daemon 'off;")).toEqual(['unexpected end of parameter, expecting ";"']);
  });
});
