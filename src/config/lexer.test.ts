import { describe, expect, test } from "vitest";
import { headline } from "./format-diagnostic.ts";
import { Lexer, type Token } from "./lexer.ts";
import { createSourceFile } from "./position.ts";

/** The tokens as words and marks, and the complaints. */
function lex(text: string): { tokens: string[]; complaints: string[] } {
  const complaints: string[] = [];
  const lexer = new Lexer(createSourceFile("x.conf", text), (found) => complaints.push(headline(found)));
  const tokens: string[] = [];
  for (let token = lexer.next(); token.kind !== "end"; token = lexer.next()) tokens.push(show(token));
  return { tokens, complaints };
}

function show(token: Token): string {
  return token.kind === "word" ? `${token.quote ?? ""}${token.text}` : `<${token.kind}>`;
}

function tokensOf(text: string): string[] {
  const { tokens, complaints } = lex(text);
  expect(complaints).toEqual([]);
  return tokens;
}

describe("words", () => {
  test("end at space and punctuation, but not at a closing brace", () => {
    expect(tokensOf("a b\tc\r\nd;e{f}g }")).toEqual(["a", "b", "c", "d", "<;>", "e", "<{>", "f}g", "<}>"]);
  });

  test("hold any other character, also other kinds of space", () => {
    expect(tokensOf("a\u00a0b a\vb a\fb 域名 😀")).toEqual(["a\u00a0b", "a\vb", "a\fb", "域名", "😀"]);
  });

  test("hold quotes and hashes that do not begin them", () => {
    expect(tokensOf(`a"b' c#d`)).toEqual([`a"b'`, "c#d"]);
  });

  test("hold a brace right behind a dollar, and any number of them", () => {
    expect(tokensOf("${a}b x${{y $ {")).toEqual(["${a}b", "x${{y", "$", "<{>"]);
  });

  test("lose their quotes, but not what is between them", () => {
    expect(tokensOf(`"a b;{}#" 'c\nd' ""`)).toEqual([`"a b;{}#`, `'c\nd`, `"`]);
  });

  test("resolve the escapes that nginx knows and keep every other backslash", () => {
    expect(tokensOf(String.raw`\"a\' \\ \t\r\n \d\.\; \{ a\ b "\"\'\\\t\x"`)).toEqual([
      `"a'`,
      "\\",
      "\t\r\n",
      String.raw`\d\.\;`,
      String.raw`\{`,
      String.raw`a\ b`,
      `""'\\\t\\x`,
    ]);
  });

  test("take a backslash at the very end as it is", () => {
    expect(tokensOf("a\\")).toEqual(["a\\"]);
  });

  test("a closing parenthesis may follow quotes and begins a word of its own", () => {
    expect(tokensOf(`("a" "b")`)).toEqual([`("a"`, `"b`, ")"]);
    expect(tokensOf(`if ($x = "b") {`)).toEqual(["if", "($x", "=", `"b`, ")", "<{>"]);
  });
});

describe("comments", () => {
  test("begin where a word could begin, and end with the line", () => {
    expect(tokensOf('#a ; {\nb #c\n# "d\r\ne;#f')).toEqual(["b", "e", "<;>"]);
  });

  test("may be of any length", () => {
    expect(tokensOf(`# ${"x".repeat(10_000)}\na`)).toEqual(["a"]);
  });
});

describe("errors", () => {
  test("what follows quotes too closely is reported and begins the next word", () => {
    expect(lex(`"a"b 'c'"d" "e"#f`)).toEqual({
      tokens: [`"a`, "b", "'c", `"d`, `"e`],
      complaints: ['unexpected "b" in x.conf:1', `unexpected """ in x.conf:1`, 'unexpected "#" in x.conf:1'],
    });
  });

  test("a character of two UTF-16 units is reported whole", () => {
    expect(lex(`"a"😀`).complaints).toEqual(['unexpected "😀" in x.conf:1']);
  });

  test("quotes that nobody closes end with their line, before its semicolon", () => {
    expect(lex(`a "b c;\nd 'e f {\ng "h`)).toEqual({
      tokens: ["a", `"b c`, "<;>", "d", "'e f", "<{>", "g", `"h`],
      complaints: [
        // The quotes of line 1 close in line 3, and what follows there betrays them.
        'unexpected "h" in x.conf:3',
        'unexpected end of file, expecting ";" or "}" in x.conf:3',
        'unexpected end of file, expecting ";" or "}" in x.conf:3',
      ],
    });
  });

  test("a lone quote at the end of a line is an empty word", () => {
    expect(lex(`a "\nb`).tokens).toEqual(["a", `"`, "b"]);
  });

  test("words of 4095 bytes are read and longer ones reported", () => {
    const longest = "é".repeat(2047);
    expect(lex(`${longest}x;`).complaints).toEqual([]);
    // A space must fit in nginx's buffer, and what follows it.
    expect(lex(`${longest} ;`).complaints).toEqual([]);
    expect(lex(`${longest}x ;`).complaints).toHaveLength(1);
    expect(lex(`a\n${longest}xx;`).complaints).toEqual(['too long parameter "ééééé..." started in x.conf:2']);
    expect(lex(`a\n${longest}xx;`).tokens).toEqual(["a", `${longest}xx`, "<;>"]);
  });

  test("quotes that close only after 4096 bytes were meant to close in their line", () => {
    expect(lex(`a "b;\n${"c;\n".repeat(2000)}"`).tokens.slice(0, 5)).toEqual(["a", `"b`, "<;>", "c", "<;>"]);
    expect(lex(`a 'b;\n${"c;\n".repeat(2000)}'`).complaints[0]).toBe(
      `too long parameter, probably missing terminating "'" character in x.conf:1`,
    );
  });

  test("a NUL in a word is reported, one in a comment is not", () => {
    expect(lex("# \0\na\n b\0c").complaints).toEqual(["unexpected NUL byte in x.conf:3"]);
  });
});
