import {
  array,
  assert,
  constantFrom,
  letrec,
  oneof,
  property,
  record,
  string,
  type Arbitrary,
} from "fast-check";
import { expect, test } from "vitest";
import { testKnowledge } from "../../test/rig/directive-knowledge.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { memoryFiles } from "./files.ts";
import { formatDiagnostic } from "./format-diagnostic.ts";
import { parseConfig } from "./parse.ts";
import { printTree, printWord } from "./print.ts";
import type { Directive, Quote, Word } from "./tree.ts";

// fast-check prints the seed and the path of a failure; give them to `assert` as { seed, path } to see it again.

/** What means something to the parser, so that it gets past the first character. */
const parts: readonly { weight: number; arbitrary: Arbitrary<string> }[] = [
  { weight: 8, arbitrary: constantFrom(...Array.from(" \t\n\r;;{{}}\"'\\#$()ab")) },
  { weight: 4, arbitrary: constantFrom("${", "\r\n", "\n    ", "\n\t", "；", "域", "😀", "\ud800", "\0") },
  { weight: 4, arbitrary: constantFrom("events", "http", "server", "listen", "location", "upstream") },
  { weight: 1, arbitrary: constantFrom("include b;", "include *;", "include") },
  { weight: 1, arbitrary: string() },
];

const anyText: Arbitrary<string> = array(oneof(...parts), { maxLength: 60 }).map((some) => some.join(""));

/** Text that holds the longest of words as well. */
const anyLongText: Arbitrary<string> = array(
  oneof(...parts, { weight: 1, arbitrary: constantFrom("x".repeat(4090), "域".repeat(1365)) }),
  { maxLength: 60 },
).map((some) => some.join(""));

const knowledge = constantFrom({}, testKnowledge);

test("no text makes the parser throw, or name a place outside the text", () => {
  assert(
    property(anyLongText, anyText, knowledge, (main, included, known) => {
      const files = memoryFiles({ "/b": included });
      const { tree, diagnostics } = parseConfig({ file: "/a", text: main, files, ...known });
      for (const diagnostic of diagnostics) expectPlaces(diagnostic);
      eachDirective(tree.directives, expectWithinFile);
      expect(printTree(tree)).toBeTypeOf("string");
    }),
    { numRuns: 2000 },
  );
});

test("bytes that are no text do not make the parser throw either", () => {
  assert(
    property(array(constantFrom(0, 0x0a, 0x20, 0x22, 0x3b, 0x7b, 0x7d, 0x61, 0xc3, 0xfe, 0xff)), (bytes) => {
      const { diagnostics } = parseConfig({
        file: "/a",
        text: Uint8Array.from(bytes),
        files: memoryFiles({}),
      });
      for (const diagnostic of diagnostics) expectPlaces(diagnostic);
    }),
    { numRuns: 500 },
  );
});

test("what was mended is a configuration: printed and read again it is the same, without an error", () => {
  assert(
    property(anyText, knowledge, (text, known) => {
      const first = parseConfig({ file: "/a", text, files: memoryFiles({}), ...known }).tree;
      const again = parseConfig({ file: "/a", text: printTree(first), files: memoryFiles({}) });
      // A NUL stays a NUL.
      expect(again.diagnostics.filter(({ code }) => code !== "nul-byte")).toEqual([]);
      expect(again.tree.directives.map(shapeOf)).toEqual(first.directives.map(shapeOf));
    }),
    { numRuns: 2000 },
  );
});

const anyWord: Arbitrary<Pick<Word, "text" | "quote">> = record({
  text: oneof(
    string({ unit: constantFrom(...Array.from(" \t\n\r;{}\"'\\#$()abtrn域")) }),
    string({ unit: "binary" }).filter((text) => !text.includes("\0")),
  ),
  quote: constantFrom<Quote | null>('"', "'", null),
});

/** Whether the words, printed so, are read again as they were. */
function wordsSurvive(print: (word: Pick<Word, "text" | "quote">) => string): void {
  assert(
    property(array(anyWord, { minLength: 1, maxLength: 5 }), (words) => {
      const text = `${words.map(print).join(" ")};`;
      const { tree, diagnostics } = parseConfig({ file: "/a", text, files: memoryFiles({}) });
      expect(diagnostics).toEqual([]);
      const read = tree.directives.map(({ name, args }) => [name.text, ...args.map((arg) => arg.text)]);
      expect(read).toEqual([words.map((word) => word.text)]);
    }),
    { numRuns: 2000 },
  );
}

test("any words, printed and read again, are the same", () => {
  expect(() => wordsSurvive(printWord)).not.toThrow();
});

test("a printer that forgets the backslashes is caught: the fuzzer can fail", () => {
  expect(() => wordsSurvive(({ text }) => `"${text.replaceAll('"', String.raw`\"`)}"`)).toThrow(
    "Counterexample",
  );
});

interface Shape {
  readonly words: readonly string[];
  readonly block: readonly Shape[] | null;
}

const { shape } = letrec<{ shape: Shape }>((tie) => ({
  shape: record({
    words: array(constantFrom("a", "b c", "$x", "d;", "{", '"e'), { minLength: 1, maxLength: 3 }),
    block: oneof({ maxDepth: 4 }, constantFrom(null), array(tie("shape"), { maxLength: 3 })),
  }),
}));

test("any tree, printed and read again, is the same", () => {
  assert(
    property(array(shape, { maxLength: 4 }), (shapes) => {
      const { tree, diagnostics } = parseConfig({
        file: "/a",
        text: printShapes(shapes),
        files: memoryFiles({}),
      });
      expect(diagnostics).toEqual([]);
      const again = parseConfig({ file: "/a", text: printTree(tree), files: memoryFiles({}) }).tree;
      expect(again.directives.map(shapeOf)).toEqual(tree.directives.map(shapeOf));
      expect(tree.directives.map(shapeOf)).toEqual(shapes);
    }),
  );
});

test("one brace or semicolon that is taken out of a configuration never goes unnoticed for long", () => {
  const text = "events {\n    a b;\n}\nhttp {\n    server {\n        listen 1;\n    }\n}\n";
  const places = Array.from(text.matchAll(/[{}]/g), (match) => match.index);
  assert(
    property(constantFrom(...places), knowledge, (place, known) => {
      const broken = text.slice(0, place) + text.slice(place + 1);
      const { diagnostics } = parseConfig({ file: "/a", text: broken, files: memoryFiles({}), ...known });
      expect(diagnostics).toHaveLength(1);
    }),
  );
});

function shapeOf({ name, args, block }: Directive): Shape {
  return {
    words: [name, ...args].map((word) => word.text),
    block: block === null ? null : block.map(shapeOf),
  };
}

/** Trees as text in which nothing but a space or a line end separates what must be separate. */
function printShapes(shapes: readonly Shape[]): string {
  return shapes
    .map(({ words, block }) => {
      const head = words.map((text) => printWord({ text, quote: null })).join("\n");
      return block === null ? `${head};` : `${head} {${printShapes(block)}}`;
    })
    .join("");
}

function expectPlaces(diagnostic: Diagnostic): void {
  expect(formatDiagnostic(diagnostic, { program: "wsgate", colour: false })).toBeTypeOf("string");
  for (const span of [diagnostic.span, ...diagnostic.notes.map((note) => note.span)]) {
    if (span !== null && span !== undefined) expectPlace(span);
  }
  const lines = diagnostic.span?.file.lines.length ?? Infinity;
  expect(diagnostic.reportLine ?? 1).toBeLessThanOrEqual(lines);
}

function expectPlace({ file, line, column, length }: NonNullable<Diagnostic["span"]>): void {
  const lineText = file.lines[line - 1];
  expect(lineText).toBeDefined();
  // One behind the last character is where something is missing; a carriage return is not shown.
  expect(column).toBeLessThanOrEqual(Array.from(lineText ?? "").length + 2);
  expect(column).toBeGreaterThanOrEqual(1);
  expect(length).toBeGreaterThanOrEqual(0);
}

function eachDirective(directives: readonly Directive[], visit: (directive: Directive) => void): void {
  for (const directive of directives) {
    visit(directive);
    eachDirective(directive.block ?? [], visit);
  }
}

function expectWithinFile(directive: Directive): void {
  for (const span of [directive.span, directive.openBrace, directive.closeBrace]) {
    if (span !== null) expectPlace(span);
  }
  for (const word of [directive.name, ...directive.args]) expectPlace(word.span);
  expect(directive.reportLine).toBeLessThanOrEqual(directive.span.file.lines.length);
}
