import { parseSize, parseTimeMs } from "../../base/units.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { Template } from "../../compile/template.ts";

/** One `access_log` directive, read; `off` among several switches all of its level off. */
export type AccessLog =
  | { readonly kind: "off" }
  | {
      readonly kind: "file";
      /** Absolute. */
      readonly path: string;
      readonly format: Word | null;
      /** Bytes; null: lines are written with each turn of the event loop. */
      readonly buffer: number | null;
      /** Milliseconds. */
      readonly flush: number | null;
      readonly condition: Template | null;
      readonly word: Word;
    };

/** `access_log path [format [buffer=size] [flush=time] [if=condition]]` or `access_log off`. */
export function parseAccessLog(args: readonly Word[], check: Check): AccessLog | undefined {
  const [path, ...rest] = args;
  if (path === undefined) return undefined;
  if (path.text === "off" && rest.length === 0) return { kind: "off" };
  const unwritable = whyNotWritten(path.text);
  if (unwritable !== null) {
    check.error(path.span, `invalid parameter "${path.text}"`, {
      code: "not-implemented",
      notes: [{ message: unwritable }],
    });
    return undefined;
  }
  let format: Word | null = null;
  let buffer: number | null = null;
  let flush: number | null = null;
  let condition: Template | null = null;
  for (const [index, word] of rest.entries()) {
    const [name, value] = splitOnce(word.text);
    if (name === "buffer") buffer = parseSize(value) ?? invalid(word, "buffer size", check);
    else if (name === "flush") flush = parseTimeMs(value) ?? invalid(word, "flush time", check);
    else if (name === "if") condition = check.templateOf(value, word.span);
    else if (name === "gzip") {
      check.error(word.span, `invalid parameter "${word.text}"`, {
        code: "not-implemented",
        notes: [{ message: "wsgate does not compress logs" }],
        suggestion: "remove gzip, and compress the files when they are rotated",
      });
    } else if (index === 0) format = word;
    else check.error(word.span, `invalid parameter "${word.text}"`, { code: "invalid-parameter" });
  }
  if (flush !== null && buffer === null) {
    check.error(path.span, `no buffer is defined for access_log "${path.text}"`, {
      code: "invalid-parameter",
      suggestion: "add buffer=64k before flush",
    });
  }
  return {
    kind: "file",
    path: check.path(path.text, "prefix"),
    format,
    buffer,
    flush,
    condition,
    word: path,
  };
}

function whyNotWritten(path: string): string | null {
  if (path.startsWith("syslog:"))
    return "wsgate does not write to syslog; write to /dev/stdout and let the service manager pass it on";
  if (path.includes("$")) return "the path of a log may not hold variables";
  return null;
}

function invalid(word: Word, what: string, check: Check): null {
  check.error(word.span, `invalid ${what} "${splitOnce(word.text)[1]}"`, { code: "invalid-value" });
  return null;
}

function splitOnce(text: string): readonly [name: string, value: string] {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}
