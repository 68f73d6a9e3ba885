import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { createDiagnostic, type Diagnostic, type DiagnosticDraft } from "./diagnostic.ts";
import { displayWidth } from "./display-width.ts";
import { formatDiagnostic, headline } from "./format-diagnostic.ts";
import { createSourceFile, spanBetween, type Span } from "./position.ts";

/** A diagnostic that points at the first occurrence of a part of a text. */
function pointAt(part: string, text: string, draft: Partial<DiagnosticDraft> = {}): Diagnostic {
  return createDiagnostic({ code: "test", message: "wrong", span: spanOf(part, text), ...draft });
}

function spanOf(part: string, text: string, name = "/etc/x.conf"): Span {
  const start = text.indexOf(part);
  return spanBetween(createSourceFile(name, text), start, start + part.length);
}

function format(diagnostic: Diagnostic): string {
  return formatDiagnostic(diagnostic, { program: "wsgate", colour: false });
}

/** The line of carets, from the first column of the source on. */
function caretsUnder(part: string, text: string): string | undefined {
  return format(pointAt(part, text)).split("\n")[2]?.slice("     | ".length);
}

describe("the first line", () => {
  test("is nginx's own", () => {
    const message = 'unknown directive "foo"';
    expect(format(pointAt("foo", "\n\nfoo;", { message })).split("\n")[0]).toBe(
      'wsgate: [emerg] unknown directive "foo" in /etc/x.conf:3',
    );
  });

  test("names the line that nginx would name, and the caret another", () => {
    expect(format(pointAt("a", "a\nb;", { reportLine: 2 }))).toBe(
      "wsgate: [emerg] wrong in /etc/x.conf:2\n   1 | a\n     | ^",
    );
  });

  test("has no place where there is none", () => {
    expect(format(createDiagnostic({ code: "test", message: "wrong", span: null, severity: "warn" }))).toBe(
      "wsgate: [warn] wrong",
    );
  });

  test("names no line of the command line", () => {
    const span = spanBetween(createSourceFile("-g", "a", { isCommandLine: true }), 0, 1);
    expect(headline(createDiagnostic({ code: "test", message: "wrong", span }))).toBe(
      "wrong in command line",
    );
  });
});

describe("the carets", () => {
  test.each([
    ["under one letter", "b", "a b c;", "  ^"],
    ["under a whole word", "listen", "  listen 80;", "  ^^^^^^"],
    ["behind tabs, which are repeated", "b", "\ta\tb", "\t \t^"],
    ["behind characters of double width", "b", "域名 b", "     ^"],
    ["under characters of double width", "域名", "a 域名;", "  ^^^^"],
    ["behind full-width punctuation", "b", "；b", "  ^"],
    ["behind an emoji", "b", "😀b", "  ^"],
    ["behind a combining mark", "b", "e\u0301b", " ^"],
    ["under the first line of a span over two", "b\nc", "a b\nc", "  ^"],
  ])("stand %s", (_, part, text, carets) => {
    expect(caretsUnder(part, text)).toBe(carets);
  });

  test("mark a place between characters, also at the end of a line", () => {
    const text = "a b\nc";
    const span = spanBetween(createSourceFile("x", text), 3, 3);
    expect(
      format(createDiagnostic({ code: "test", message: "wrong", span }))
        .split("\n")
        .slice(1),
    ).toEqual(["   1 | a b", "     |    ^"]);
  });

  test("stay under what they mean in a line that is too long to show", () => {
    const text = `${"x".repeat(1000)} here ${"y".repeat(1000)}`;
    const [, line, carets] = format(pointAt("here", text)).split("\n");
    expect(line?.length).toBeLessThan(130);
    expect(line?.slice(carets?.indexOf("^"), (carets?.lastIndexOf("^") ?? 0) + 1)).toBe("here");
    expect(line).toMatch(/^ {3}1 \| …x+ here y+…$/);
  });

  test("line numbers of any length keep the columns in line", () => {
    const text = `${"\n".repeat(123_455)}a b`;
    expect(format(pointAt("b", text)).split("\n").slice(1)).toEqual(["123456 | a b", "       |   ^"]);
  });
});

describe("beneath it", () => {
  test("notes show their own lines, and name the file where it is another", () => {
    const diagnostic = pointAt("b", "a\nb", {
      notes: [
        { message: "first" },
        { message: "second", span: spanOf("a", "a\nb") },
        { message: "third", span: spanOf("c", "c", "/etc/y.conf") },
      ],
      suggestion: "do this",
    });
    expect(format(diagnostic).split("\n").slice(3)).toEqual([
      "note: first",
      "note: second",
      "   1 | a",
      "     | ^",
      "note: third",
      "  in /etc/y.conf:1",
      "   1 | c",
      "     | ^",
      "help: do this",
    ]);
  });

  test("stands how an included file came in", () => {
    const main = spanOf("include", "\ninclude y;", "/etc/x.conf");
    const middle = createSourceFile("/etc/y", "include z;", { includedFrom: main });
    const inner = createSourceFile("/etc/z", "a", { includedFrom: spanBetween(middle, 0, 10) });
    const span = spanBetween(inner, 0, 1);
    expect(
      format(createDiagnostic({ code: "test", message: "wrong", span }))
        .split("\n")
        .slice(3),
    ).toEqual(["note: included from /etc/y:1", "note: included from /etc/x.conf:2"]);
  });
});

describe("a terminal", () => {
  test("gets colours where it is asked for, around the same text", () => {
    const diagnostic = pointAt("b", "a b", { notes: [{ message: "n" }], suggestion: "s" });
    const coloured = formatDiagnostic(diagnostic, { program: "wsgate", colour: true });
    expect(coloured).toContain("\u001b[31m^\u001b[0m");
    expect(stripVTControlCharacters(coloured)).toBe(format(diagnostic));
  });

  test("gets no control characters out of a configuration", () => {
    const message = 'unknown directive "\u001b[2J\u009b"';
    const text = format(pointAt("b", "\u001b[31m b\0\u007f\u0085", { message, suggestion: "\u0007" }));
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    expect(text.split("\n")).toHaveLength(4);
  });
});

test.each([
  ["a", 1],
  ["é", 1],
  ["中", 2],
  ["한", 2],
  ["；", 2],
  ["。", 2],
  ["ｱ", 1],
  ["😀", 2],
  ["\u0301", 0],
  ["\u200b", 0],
  ["→", 1],
  ["Ж", 1],
])("%s is %d columns wide", (char, width) => {
  expect(displayWidth(char)).toBe(width);
});
