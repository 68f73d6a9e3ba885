import { describe, expect, it } from "vitest";
import { AssertionError } from "../base/assert.ts";
import { HeaderList } from "./header-list.ts";

function listOf(...fields: readonly (readonly [string, string])[]): HeaderList {
  const list = new HeaderList();
  for (const [name, value] of fields) list.append(name, value);
  return list;
}

describe("HeaderList", () => {
  it("keeps the order, the spelling and every occurrence", () => {
    const list = listOf(["B", "1"], ["a", "2"], ["b", "3"]);
    expect(list.toLines()).toBe("B: 1\r\na: 2\r\nb: 3\r\n");
    expect(list.getAll("b")).toEqual(["1", "3"]);
    expect(list.get("b")).toBe("1");
    expect(list.length).toBe(3);
  });

  it("sets a field where its first namesake stood, and takes the others away", () => {
    const list = listOf(["A", "1"], ["B", "2"], ["a", "3"], ["C", "4"]);
    list.set("a", "5");
    expect(list.toLines()).toBe("a: 5\r\nB: 2\r\nC: 4\r\n");
    list.set("D", "6");
    expect(list.nameAt(3)).toBe("D");
  });

  it("says whether there was anything to delete", () => {
    const list = listOf(["A", "1"], ["B", "2"], ["a", "3"]);
    expect(list.delete("a")).toBe(true);
    expect(list.delete("a")).toBe(false);
    expect(list.toLines()).toBe("B: 2\r\n");
  });

  it("has no fields but its own", () => {
    const list = new HeaderList();
    for (const name of ["__proto__", "constructor", "tostring", "length"]) expect(list.has(name)).toBe(false);
    list.append("__proto__", "x");
    expect(list.get("__proto__")).toBe("x");
  });

  it("never holds what could end a line, whatever a variable put in", () => {
    const list = listOf(["Location", "/a\r\nSet-Cookie: x\0\x7f"]);
    list.set("X", "\n y \n");
    expect(list.toLines()).toBe("Location: /a  Set-Cookie: x\r\nX: y\r\n");
  });

  it("takes no name that is not a token", () => {
    for (const name of ["", "a b", "a:", "a\r\nb", "\xe4"]) {
      expect(() => listOf([name, "x"])).toThrow(AssertionError);
      expect(() => listOf(["a", "x"]).set(name, "x")).toThrow(AssertionError);
    }
  });

  it("passes a field on with the spelling it had", () => {
    const from = listOf(["X-Odd", "1"]);
    const to = new HeaderList();
    to.appendFrom(from, 0);
    expect([to.nameAt(0), to.lowerNameAt(0), to.valueAt(0)]).toEqual(["X-Odd", "x-odd", "1"]);
    to.clear();
    expect([to.length, from.length]).toEqual([0, 1]);
  });
});
