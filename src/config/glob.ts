import type { ConfigFiles } from "./files.ts";

/**
 * File name patterns of `include`, by the rules of glob(3), which nginx calls: `*`, `?` and `[…]` match within one
 * part of the path and never a leading dot, a backslash takes the character behind it literally, and the matches
 * are sorted by their bytes.
 */

/** Whether nginx takes this for a pattern at all. */
export function isGlob(path: string): boolean {
  return /[*?[]/.test(path);
}

/** The existing paths that match, in the order in which they are read. */
export function expandGlob(pattern: string, files: ConfigFiles): string[] {
  let paths = [pattern.startsWith("/") ? "/" : ""];
  let isBehindPattern = false;
  for (const part of pattern.split("/").filter((part) => part !== "")) {
    if (isGlob(part)) {
      isBehindPattern = true;
      const elements = parsePattern(part);
      const showsHidden = /^\\?\./.test(part);
      paths = paths.flatMap((path) =>
        files
          .list(path)
          .filter((name) => (showsHidden || !name.startsWith(".")) && matchesPart(name, elements))
          .map((name) => joinPath(path, name)),
      );
    } else {
      const name = part.replace(/\\(.)/g, "$1");
      // What comes before the first pattern need not be readable as a folder, only to be passed through.
      const passable = isBehindPattern ? paths.filter((path) => contains(path, name, files)) : paths;
      paths = passable.map((path) => joinPath(path, name));
    }
  }
  return paths.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function contains(folder: string, name: string, files: ConfigFiles): boolean {
  return name === "." || name === ".." || files.list(folder).includes(name);
}

function joinPath(folder: string, name: string): string {
  return folder === "" || folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** Either any number of characters, or one character that the function accepts. */
type Element = "*" | ((char: string) => boolean);

function parsePattern(part: string): Element[] {
  const elements: Element[] = [];
  const chars = Array.from(part);
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i];
    if (char === "*") elements.push("*");
    else if (char === "?") elements.push(() => true);
    else if (char === "[" && closingBracket(chars, i) !== -1) {
      const end = closingBracket(chars, i);
      elements.push(parseSet(chars.slice(i + 1, end)));
      i = end;
    } else {
      const literal = char === "\\" && i + 1 < chars.length ? chars[++i] : char;
      elements.push((candidate) => candidate === literal);
    }
  }
  return elements;
}

/** The index of the `]` that ends the set which begins at `start`, or -1: then the `[` means itself. */
function closingBracket(chars: readonly string[], start: number): number {
  const first = chars[start + 1] === "!" || chars[start + 1] === "^" ? start + 2 : start + 1;
  // A `]` in the first place is a member.
  return chars.indexOf("]", first + 1);
}

function parseSet(chars: readonly string[]): Element {
  const isNegated = chars[0] === "!" || chars[0] === "^";
  const members = isNegated ? chars.slice(1) : chars;
  const ranges: [string, string][] = [];
  for (let i = 0; i < members.length; i++) {
    const from = members[i] ?? "";
    const to = members[i + 2];
    if (members[i + 1] === "-" && to !== undefined) {
      ranges.push([from, to]);
      i += 2;
    } else {
      ranges.push([from, from]);
    }
  }
  return (char) => ranges.some(([from, to]) => from <= char && char <= to) !== isNegated;
}

/** Greedy matching that, on a mismatch, lets the latest `*` take one character more: linear in practice. */
function matchesPart(name: string, elements: readonly Element[]): boolean {
  const chars = Array.from(name);
  let at = 0;
  let element = 0;
  let star = -1;
  let starTook = 0;
  while (at < chars.length) {
    const expected = elements[element];
    if (expected === "*") {
      star = element++;
      starTook = at;
    } else if (expected?.(chars[at] ?? "") === true) {
      element++;
      at++;
    } else if (star !== -1) {
      element = star + 1;
      at = ++starTook;
    } else {
      return false;
    }
  }
  while (elements[element] === "*") element++;
  return element === elements.length;
}
