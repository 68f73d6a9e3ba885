import { expect, test } from "vitest";
import { createSourceFile, placeAfter, spanBetween, spanOver, textBefore, textBehind } from "./position.ts";

const text = "a 域名 b;\r\n\t😀 c\n\nlast";
const file = createSourceFile("x.conf", text);

/** The span of the first occurrence of a part of the text. */
function spanOf(part: string): ReturnType<typeof spanBetween> {
  const start = text.indexOf(part);
  return spanBetween(file, start, start + part.length);
}

test("lines come without their ends, whatever these are", () => {
  expect(file.lines).toEqual(["a 域名 b;", "\t😀 c", "", "last"]);
  expect(createSourceFile("empty", "").lines).toEqual([""]);
  expect(createSourceFile("one", "a\n").lines).toEqual(["a", ""]);
});

test.each([
  ["a", 1, 1, 1],
  ["域名", 1, 3, 2],
  ["b", 1, 6, 1],
  ["😀", 2, 2, 1],
  ["c", 2, 4, 1],
  ["last", 4, 1, 4],
])("%s is found at line %d, column %d, %d code points long", (part, line, column, length) => {
  expect(spanOf(part)).toMatchObject({ line, column, length });
});

test("a span may reach over line ends and pairs", () => {
  expect(spanOf("b;\r\n\t😀 c")).toMatchObject({ line: 1, column: 6, length: 8 });
});

test("the end of the text is a place", () => {
  expect(spanBetween(file, text.length, text.length)).toMatchObject({ line: 4, column: 5, length: 0 });
});

test("the place behind a span is on the line on which the span ends", () => {
  expect(placeAfter(spanOf("域名"))).toMatchObject({ line: 1, column: 5, length: 0 });
  expect(placeAfter(spanOf("b;\r\n\t😀"))).toMatchObject({ line: 2, column: 3, length: 0 });
});

test("a span over two others begins with the first and ends with the second", () => {
  expect(spanOver(spanOf("域名"), spanOf("c"))).toEqual(spanOf("域名 b;\r\n\t😀 c"));
});

test("what stands before and behind a span ends with the line", () => {
  expect(textBefore(spanOf("c"))).toBe("\t😀 ");
  expect(textBehind(spanOf("域名"))).toBe(" b;");
  expect(textBehind(spanOf("last"))).toBe("");
});

test("any number of pairs before a place does not move it", () => {
  const line = "😀😀😀 a 😀😀 b";
  const crowded = createSourceFile("x.conf", line);
  for (const part of ["a", "b"]) {
    const start = line.indexOf(part);
    expect(textBefore(spanBetween(crowded, start, start + 1))).toBe(line.slice(0, start));
    expect(textBehind(spanBetween(crowded, start, start + 1))).toBe(line.slice(start + 1));
  }
});
