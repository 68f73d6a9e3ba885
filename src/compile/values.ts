import { byteStringFromText, type ByteString } from "../base/bytes.ts";
import { parseOffset, parseSize, parseTimeMs, parseTimeSeconds } from "../base/units.ts";
import { nearestName } from "../config/typos.ts";
import type { Word } from "../config/tree.ts";
import type { Check } from "./check.ts";
import type { Arity, ValueType } from "./rows.ts";
import type { BlockHead } from "./scope.ts";
import type { Template } from "./template.ts";

/*
 * The types a directive's arguments can have. Each reads them, reports in nginx's words, and says what it wants.
 * By the time a type is asked, the number of arguments has been checked against its arity.
 */

/** Greatest number of arguments where a directive takes any number. */
export const MANY: number = Number.MAX_SAFE_INTEGER;

/** A type of its own: for directives whose arguments no other type fits. */
export function custom<T>(syntax: string, arity: Arity, parse: ValueType<T>["parse"]): ValueType<T> {
  return { syntax, arity, parse };
}

/** A type of one argument, read from its text. `undefined` makes nginx's `"x" directive invalid value`. */
function single<T>(
  syntax: string,
  read: (text: string) => T | null,
  expected: string,
  complaint = "invalid value",
): ValueType<T> {
  return custom(syntax, [1, 1], ([word], check, directive, besides = []) => {
    if (word === undefined) return undefined;
    const value = read(word.text);
    if (value !== null) return value;
    const orElse = besides.map((each) => `, nor "${each}"`).join("");
    check.error(word.span, `"${directive.name.text}" directive ${complaint}`, {
      code: "invalid-value",
      notes: [{ message: `"${word.text}" is not ${expected}${orElse}` }],
    });
    return undefined;
  });
}

export function flag(): ValueType<boolean> {
  return custom("on | off", [1, 1], ([word], check, directive) => {
    if (word === undefined) return undefined;
    const text = word.text.toLowerCase();
    if (text === "on") return true;
    if (text === "off") return false;
    check.error(
      word.span,
      `invalid value "${word.text}" in "${directive.name.text}" directive, it must be "on" or "off"`,
      { code: "invalid-value" },
    );
    return undefined;
  });
}

/** Whole number from `min` to `max`. */
export function integer(min: number, max: number): ValueType<number> {
  const bounds = max === MANY ? `of at least ${min}` : `from ${min} to ${max}`;
  return single(
    "number",
    (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
      return value >= min && value <= max ? value : null;
    },
    `a whole number ${bounds}`,
    "invalid number",
  );
}

/** Bytes, with `k` and `m`. */
export function size(): ValueType<number> {
  return single("size", parseSize, 'a size such as "512", "8k" or "1m"');
}

/** Bytes, with `k`, `m` and `g`: sizes of files and bodies. */
export function offset(): ValueType<number> {
  return single("size", parseOffset, 'a size such as "512", "8k", "1m" or "2g"');
}

/** Milliseconds, from `ms s m h d w M y`; seconds without a unit. */
export function timeMs(): ValueType<number> {
  return single("time", parseTimeMs, 'a time such as "500ms", "60" (seconds), "5m" or "1h 30m"');
}

/** A value of another type, or null for `off`. */
export function orOff<T>(type: ValueType<T>): ValueType<T | null> {
  return {
    ...type,
    syntax: `${type.syntax} | off`,
    parse: (args, check, directive) => {
      const [first, second] = args;
      if (first?.text !== "off") return type.parse(args, check, directive, ["off"]);
      if (second === undefined) return null;
      check.error(second.span, `invalid parameter "${second.text}"`, {
        code: "invalid-value",
        notes: [{ message: 'nothing may stand behind "off"' }],
      });
      return undefined;
    },
  };
}

/** Milliseconds, or null for `off`. */
export function timeMsOrOff(): ValueType<number | null> {
  return orOff(timeMs());
}

/** Seconds. */
export function timeSeconds(): ValueType<number> {
  return single("time", parseTimeSeconds, 'a time such as "60" (seconds), "5m" or "1h 30m"');
}

/** One of a few words. */
export function enumOf<const Name extends string>(...names: readonly Name[]): ValueType<Name> {
  return custom(names.join(" | "), [1, 1], ([word], check, _directive, besides) =>
    word === undefined ? undefined : oneOf(names, word, check, besides),
  );
}

/** Any of a few words, each at most once. */
export function anyOf<const Name extends string>(...names: readonly Name[]): ValueType<readonly Name[]> {
  return custom(`${names.join(" | ")} …`, [1, MANY], (args, check, _directive, besides) => {
    const found: Name[] = [];
    for (const word of args) {
      const name = oneOf(names, word, check, besides);
      if (name === undefined) return undefined;
      if (found.includes(name)) check.warn(word.span, `duplicate value "${word.text}"`);
      else found.push(name);
    }
    return found;
  });
}

function oneOf<Name extends string>(
  names: readonly Name[],
  word: Word,
  check: Check,
  besides: readonly string[] = [],
): Name | undefined {
  // nginx compares the words of enumerations without regard to case.
  const name = names.find((candidate) => candidate.toLowerCase() === word.text.toLowerCase());
  if (name !== undefined) return name;
  const known = [...names, ...besides];
  const nearest = nearestName(word.text, known);
  check.error(word.span, `invalid value "${word.text}"`, {
    code: "invalid-value",
    notes: [
      {
        message: `${known.length === 1 ? "only" : "one of"} ${known.map((each) => `"${each}"`).join(", ")} may stand here`,
      },
    ],
    ...(nearest === null ? {} : { suggestion: `did you mean "${nearest}"?` }),
  });
  return undefined;
}

/** Text without variables, as bytes. */
export function text(syntax = "string"): ValueType<ByteString> {
  return custom(syntax, [1, 1], ([word]) => (word === undefined ? undefined : byteStringFromText(word.text)));
}

/** Text with variables. */
export function template(syntax = "string"): ValueType<Template> {
  return custom(syntax, [1, 1], ([word], check) => (word === undefined ? undefined : check.template(word)));
}

/** A name and a text with variables: `proxy_set_header Host $host`. */
export function nameAndTemplate(
  syntax = "field value",
): ValueType<{ readonly name: ByteString; readonly value: Template }> {
  return custom(syntax, [2, 2], ([name, value], check) =>
    name === undefined || value === undefined
      ? undefined
      : { name: byteStringFromText(name.text), value: check.template(value) },
  );
}

/** An absolute path, made so against the prefix or the configuration's folder. */
export function path(base: "prefix" | "conf", syntax = "file"): ValueType<string> {
  return custom(syntax, [1, 1], ([word], check) => {
    if (word === undefined) return undefined;
    return check.path(word.text, base);
  });
}

/** The words as they stand. For directives without effect whose arguments need no closer look. */
export function words(syntax: string, min: number, max: number): ValueType<readonly string[]> {
  return custom(syntax, [min, max], (args) => args.map((word) => word.text));
}

/** A block without anything between its name and its brace. */
export function plainHead(): ValueType<BlockHead> {
  return custom("{ … }", [0, 0], () => ({ kind: "plain" }));
}
