import { describe, expect, test } from "vitest";
import { testKnowledge } from "../../test/rig/directive-knowledge.ts";
import { assert } from "../base/assert.ts";
import { directiveDiagnostic } from "./diagnostic.ts";
import { formatDiagnostic } from "./format-diagnostic.ts";
import { parseConfig } from "./parse.ts";
import { printTree } from "./print.ts";
import { missingSemicolonHint } from "./semicolons.ts";
import type { Directive } from "./tree.ts";

/** The directive of that name, wherever it stands first. */
function find(text: string, name: string): Directive {
  const search = (directives: readonly Directive[]): Directive | undefined =>
    directives.find((one) => one.name.text === name) ??
    directives.map((one) => search(one.block ?? [])).find((found) => found !== undefined);
  const found = search(parseConfig({ file: "x.conf", text }).tree.directives);
  assert(found !== undefined, `there is no ${name}`);
  return found;
}

/** What a compiler says that finds the wrong number of arguments. */
function complain(directive: Directive): string {
  const hint = missingSemicolonHint(directive, testKnowledge.isDirectiveName);
  assert(hint !== null, "there is no hint");
  const { span, notes, suggestion } = hint;
  const message = `invalid number of arguments in "${directive.name.text}" directive`;
  const code = "argument-count";
  return formatDiagnostic(directiveDiagnostic(directive, { code, message, span, notes, suggestion }), {
    program: "wsgate",
    colour: false,
  });
}

/** A published example, as it was published. */
const literalUpgrade = `location /websocket/ {
            proxy_pass http://127.0.0.1:8808/; 
            #配置以下三行即可
            proxy_http_version 1.1;
            # 直接固定Upgrade的值
			proxy_set_header Upgrade "websocket"
			proxy_set_header Connection "upgrade";
            proxy_read_timeout 300;
        }
`;

describe("a semicolon that is missing at the end of a line", () => {
  test("is what is said, and not only that the number of arguments is wrong", () => {
    expect(complain(find(literalUpgrade, "proxy_set_header"))).toBe(
      `
wsgate: [emerg] invalid number of arguments in "proxy_set_header" directive in x.conf:7
   6 | \t\t\tproxy_set_header Upgrade "websocket"
     | \t\t\t                                    ^
note: so "proxy_set_header" in line 7 is read as an argument of "proxy_set_header"
help: add ";" at the end of line 6
`.trim(),
    );
  });

  test("is put in for going on", () => {
    const directive = find(literalUpgrade, "proxy_set_header");
    const hint = missingSemicolonHint(directive, testKnowledge.isDirectiveName);
    expect(printTree({ directives: hint?.repaired ?? [] })).toBe(
      'proxy_set_header Upgrade "websocket";\nproxy_set_header Connection "upgrade";\n',
    );
    expect(hint?.repaired.map(({ reportLine }) => reportLine)).toEqual([6, 7]);
  });

  test("may be missing on several lines, the last of which opens a block", () => {
    const directive = find("listen 80\nserver_name a\n\nlocation / {\n  return 1;\n}\n", "listen");
    const hint = missingSemicolonHint(directive, testKnowledge.isDirectiveName);
    expect(hint?.suggestion).toBe('add ";" at the end of line 1');
    expect(printTree({ directives: hint?.repaired ?? [] })).toBe(
      "listen 80;\nserver_name a;\nlocation / {\n    return 1;\n}\n",
    );
  });

  test("belongs before a comment", () => {
    expect(complain(find("listen 80 # http\nserver_name a;", "listen"))).toContain(
      'help: add ";" before the comment in line 1',
    );
  });

  test("belongs behind the closing quote of a word that spans lines", () => {
    expect(complain(find('return 200 "a\nb"\nlisten 80;', "return"))).toContain('   2 | b"\n     |   ^');
  });

  test.each(["；", ":", ","])("may have been typed as %s", (lookalike) => {
    expect(complain(find(`listen 80${lookalike}\nserver_name a;`, "listen"))).toContain(
      `help: replace "${lookalike}" by ";" at the end of line 1`,
    );
  });

  test("typed in full width is taken off the word for going on", () => {
    const hint = missingSemicolonHint(
      find("listen 80；\nserver_name a;", "listen"),
      testKnowledge.isDirectiveName,
    );
    expect(printTree({ directives: hint?.repaired ?? [] })).toBe("listen 80;\nserver_name a;\n");
  });
});

describe("no semicolon is missed", () => {
  test.each([
    ["where the name stands in the same line", "listen 80 server_name a;"],
    ["where the name is in quotes", 'listen 80\n"server_name" a;'],
    ["where no line begins with the name of a directive", "listen 80\nbacklog=5;"],
  ])("%s", (_, text) => {
    expect(missingSemicolonHint(find(text, "listen"), testKnowledge.isDirectiveName)).toBeNull();
  });
});
