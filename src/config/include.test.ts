import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { memoryFiles } from "./files.ts";
import { formatDiagnostic, headline } from "./format-diagnostic.ts";
import { parseConfig, parseConfigFile, type ParseResult } from "./parse.ts";
import { printFiles, printTree } from "./print.ts";

function parse(main: string, files: Record<string, string | Uint8Array> = {}): ParseResult {
  return parseConfig({ file: "/etc/main.conf", text: main, files: memoryFiles(files) });
}

function messagesOf({ diagnostics }: ParseResult): string[] {
  return diagnostics.map(headline);
}

describe("the directives of an included file stand in the place of the include", () => {
  test("in every block, and in files that are included themselves", () => {
    const result = parse("a; include b.conf; http { include b.conf; z; }", {
      "/etc/b.conf": "b; c { include d/*; }",
      "/etc/d/1": "d1;",
      "/etc/d/2": "d2;",
    });
    expect(messagesOf(result)).toEqual([]);
    const included = "b;\nc {\n    d1;\n    d2;\n}\n";
    expect(printTree(result.tree)).toBe(
      `a;\n${included}http {\n${included.replaceAll(/^(?=.)/gm, "    ")}    z;\n}\n`,
    );
  });

  test("in blocks whose entries are no directives", () => {
    const result = parse("types { include mime; } map $a $b { include 'm p'; default 1; }", {
      "/etc/mime": "text/html html;",
      "/etc/m p": "a b;",
    });
    expect(printTree(result.tree)).toContain("text/html html;\n");
    expect(printTree(result.tree)).toContain("a b;\n");
  });

  test("relative to the folder of the main file, not of the including one", () => {
    const files = { "/etc/x/a.conf": "include x/b.conf;", "/etc/x/b.conf": "b;" };
    expect(printTree(parse("include x/a.conf;", files).tree)).toBe("b;\n");
  });

  test("relative to the prefix where one is given", () => {
    const files = memoryFiles({ "/opt/a.conf": "a;" });
    for (const prefix of ["/opt", "/opt/"]) {
      const { tree } = parseConfig({ file: "/etc/main.conf", text: "include a.conf;", prefix, files });
      expect(printTree(tree)).toBe("a;\n");
      expect(tree.files.map(({ name }) => name)).toEqual(["/etc/main.conf", "/opt/a.conf"]);
    }
  });
});

describe("errors", () => {
  test("in an included file name it, and the way to it", () => {
    const result = parse("a;\nhttp {\n  include b.conf;\n}", { "/etc/b.conf": "\nb };" });
    expect(
      result.diagnostics.map((one) => formatDiagnostic(one, { program: "wsgate", colour: false }))[0],
    ).toBe(
      `
wsgate: [emerg] unexpected "}" in /etc/b.conf:2
   2 | b };
     |  ^
note: the directive "b" is not finished
note: included from /etc/main.conf:3
help: add ";" before the "}" in line 2
`.trim(),
    );
  });

  test("come in the order in which nginx reads, through all files", () => {
    const result = parse("a;;\ninclude b.conf;\nc;;", { "/etc/b.conf": "\n\n\n\nb;;" });
    expect(messagesOf(result)).toEqual([
      'unexpected ";" in /etc/main.conf:1',
      'unexpected ";" in /etc/b.conf:5',
      'unexpected ";" in /etc/main.conf:3',
    ]);
  });

  test("that nginx notices only later come where it began to misread", () => {
    expect(messagesOf(parse('a "b;\ninclude c;'))).toEqual([
      'unexpected end of file, expecting ";" or "}" in /etc/main.conf:2',
      'open() "/etc/c" failed (2: No such file or directory) in /etc/main.conf:2',
    ]);
    expect(messagesOf(parse('a "b;\ninclude c;\nd "e";'))).toEqual([
      'unexpected "e" in /etc/main.conf:3',
      'open() "/etc/c" failed (2: No such file or directory) in /etc/main.conf:2',
    ]);
  });

  test("of a file that is included twice come once", () => {
    const result = parse("a { include b.conf; }\nc { include b.conf; }", { "/etc/b.conf": "b;;" });
    expect(messagesOf(result)).toEqual(['unexpected ";" in /etc/b.conf:1']);
  });

  test("a block cannot reach over the end of an included file", () => {
    const result = parse("include open.conf;\na;\ninclude close.conf;", {
      "/etc/open.conf": "http {",
      "/etc/close.conf": "b;\n}",
    });
    expect(messagesOf(result)).toEqual([
      'unexpected end of file, expecting "}" in /etc/open.conf:1',
      'unexpected "}" in /etc/close.conf:2',
    ]);
    expect(result.diagnostics.map(({ notes }) => notes.at(-1)?.message)).toEqual([
      "an included file must close every block that it opens",
      "an included file cannot close a block of the file that includes it",
    ]);
    expect(printTree(result.tree)).toBe("http {}\na;\nb;\n");
  });

  test("a missing file is one, a pattern without a match is none", () => {
    const result = parse("include a.conf;\ninclude *.conf;\ninclude b/?/[c].conf;");
    expect(messagesOf(result)).toEqual([
      'open() "/etc/a.conf" failed (2: No such file or directory) in /etc/main.conf:1',
    ]);
  });

  test("files that include each other are", () => {
    const result = parse("include a.conf;", {
      "/etc/a.conf": "include b.conf;",
      "/etc/b.conf": "include a.conf;",
    });
    expect(messagesOf(result)).toEqual(['"/etc/a.conf" includes itself in /etc/b.conf:1']);
  });

  test("a main file that includes itself is, also by a pattern", () => {
    const main = "include ma*.conf;";
    expect(messagesOf(parse(main, { "/etc/main.conf": main }))).toEqual([
      '"/etc/main.conf" includes itself in /etc/main.conf:1',
    ]);
  });

  test("more than 64 files in one another are", () => {
    const files = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`/etc/${i}`, `a { include ${i + 1}; }`]),
    );
    expect(messagesOf(parse("include 0;", files))).toEqual([
      "files are included more than 64 deep in /etc/63:1",
    ]);
  });

  test("files that double with each level end at the limit for their number", () => {
    const files = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [`/etc/${i}`, `include ${i + 1};\ninclude ${i + 1};`]),
    );
    expect(messagesOf(parse("include 0;", { ...files, "/etc/60": "" }))[0]).toMatch(
      /^more than 10000 files are included in /,
    );
  });

  test("of blocks nested too deep count the blocks around the include", () => {
    const nested = `${"a { ".repeat(100)}include b;${" }".repeat(100)}`;
    const files = { "/etc/b": `${"b { ".repeat(50)}${" }".repeat(50)}` };
    expect(messagesOf(parse(nested, files))).toEqual(["blocks are nested more than 128 deep in /etc/b:1"]);
  });
});

describe("on the disk", () => {
  function makeFolder(files: Record<string, string | Uint8Array>): string {
    const folder = mkdtempSync(join(tmpdir(), "wsgate-include-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(folder, name, ".."), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return folder;
  }

  test("files are found, read in the order of their bytes, and dumped as they are", () => {
    const folder = makeFolder({
      "nginx.conf": "include conf.d/*.conf;\r\n# end",
      "conf.d/b.conf": "b;\n",
      "conf.d/B.conf": "B;",
      "conf.d/é.conf": "é;",
      "conf.d/.hidden.conf": "hidden;",
      "conf.d/c.txt": "c;",
    });
    const { tree, diagnostics } = parseConfigFile({ file: `${folder}/nginx.conf` });
    expect(diagnostics).toEqual([]);
    expect(printTree(tree)).toBe("B;\nb;\né;\n");
    expect(printFiles(tree.files)).toBe(
      [
        `# configuration file ${folder}/nginx.conf:\ninclude conf.d/*.conf;\r\n# end\n`,
        `# configuration file ${folder}/conf.d/B.conf:\nB;\n`,
        `# configuration file ${folder}/conf.d/b.conf:\nb;\n\n`,
        `# configuration file ${folder}/conf.d/é.conf:\né;\n`,
      ].join(""),
    );
  });

  test("a missing main file and a folder in place of one are errors in nginx's words", () => {
    const folder = makeFolder({});
    expect(messagesOf(parseConfigFile({ file: `${folder}/none` }))).toEqual([
      `open() "${folder}/none" failed (2: No such file or directory)`,
    ]);
    expect(messagesOf(parseConfigFile({ file: folder }))).toEqual([
      `pread() "${folder}" failed (21: Is a directory)`,
    ]);
  });

  test("bytes that are no UTF-8 do no harm in comments and are refused in words", () => {
    const folder = makeFolder({
      "gbk.conf": Buffer.from([0x23, 0xc4, 0xe3, 0x0a, 0x61, 0x20, 0xc4, 0xe3, 0x3b]),
    });
    expect(messagesOf(parseConfigFile({ file: `${folder}/gbk.conf` }))).toEqual([
      `unexpected byte that is not UTF-8 in ${folder}/gbk.conf:2`,
    ]);
  });

  test("the replacement character itself is a character like any other", () => {
    const folder = makeFolder({ "x.conf": "a \ufffd;" });
    expect(messagesOf(parseConfigFile({ file: `${folder}/x.conf` }))).toEqual([]);
  });

  test.each([
    ["little-endian with a mark", Buffer.from("\ufeffa;", "utf16le")],
    ["little-endian without a mark", Buffer.from("events {}", "utf16le")],
    ["big-endian without a mark", Buffer.from("events {}", "utf16le").swap16()],
  ])("a file in UTF-16, %s, is refused with one message", (_, content) => {
    const folder = makeFolder({ "x.conf": content });
    expect(messagesOf(parseConfigFile({ file: `${folder}/x.conf` }))).toEqual([
      `the file is encoded in UTF-16 in ${folder}/x.conf:1`,
    ]);
  });
});
