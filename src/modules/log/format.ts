import { byteStringFromText, type ByteString } from "../../base/bytes.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { Request } from "../../compile/request.ts";
import { scanTemplate, type VariableRef } from "../../compile/template.ts";

/** Makes a line of a log, without its newline. */
export type LineFormat = (request: Request) => ByteString;

type Escape = "default" | "json" | "none";

export interface NamedFormat {
  readonly name: string;
  readonly line: LineFormat;
}

/** nginx's predefined format. */
export const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';

/** `log_format name [escape=default|json|none] string …`. */
export function parseLogFormat(args: readonly Word[], check: Check): NamedFormat | undefined {
  const [name, second, ...rest] = args;
  if (name === undefined || second === undefined) return undefined;
  const escapeText = /^escape=(.*)$/.exec(second.text)?.[1];
  const escape = (["default", "json", "none"] as const).find((known) => known === (escapeText ?? "default"));
  if (escape === undefined) {
    check.error(second.span, `unknown log format escaping "${escapeText ?? ""}"`, {
      code: "invalid-value",
      notes: [{ message: 'one of "default", "json" and "none" may stand here' }],
    });
    return undefined;
  }
  const words = escapeText === undefined ? [second, ...rest] : rest;
  return { name: name.text, line: compileFormat(words, escape, check) };
}

/** The texts of all words make one format. */
export function compileFormat(
  words: readonly Pick<Word, "text" | "span">[],
  escape: Escape,
  check: Check,
): LineFormat {
  const parts: (ByteString | VariableRef)[] = [];
  for (const { text, span } of words) {
    const scan = scanTemplate(text);
    if (!scan.ok) {
      check.error(span, scan.message, { code: "invalid-variable" });
      continue;
    }
    for (const part of scan.parts) {
      parts.push("name" in part ? check.variable(part.name, span) : byteStringFromText(part.text));
    }
  }
  // A variable without a value; one that is empty prints nothing.
  const missing = escape === "default" ? "-" : "";
  const escapeValue = ESCAPES[escape];
  return (request) => {
    let line = "";
    for (const part of parts) {
      if (typeof part === "string") line += part;
      else {
        const value = part.get(request);
        line += value === undefined ? missing : escapeValue(value);
      }
    }
    return line;
  };
}

const UNSAFE = /[\x00-\x1f"\\\x7f-\xff]/;

/** `"`, `\` and all bytes that are not printable ASCII as `\xHH`, so that nobody can forge a line (ngx_http_log_escape). */
function escapeDefault(value: ByteString): ByteString {
  if (!UNSAFE.test(value)) return value;
  let escaped = "";
  for (const character of value) {
    const code = character.charCodeAt(0);
    const isPlain = code >= 0x20 && code < 0x7f && character !== '"' && character !== "\\";
    escaped += isPlain ? character : `\\x${hex(code).toUpperCase()}`;
  }
  return escaped;
}

const JSON_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\b", "\\b"],
  ["\f", "\\f"],
]);

/** What must not stand in a JSON string; bytes above 0x7f stay, since the line as a whole is UTF-8. */
function escapeJson(value: ByteString): ByteString {
  let escaped = "";
  for (const character of value) {
    const known = JSON_ESCAPES.get(character);
    if (known !== undefined) escaped += known;
    else escaped += character < " " ? `\\u00${hex(character.charCodeAt(0))}` : character;
  }
  return escaped;
}

function hex(code: number): string {
  return code.toString(16).padStart(2, "0");
}

const ESCAPES: Readonly<Record<Escape, (value: ByteString) => ByteString>> = {
  default: escapeDefault,
  json: escapeJson,
  none: (value) => value,
};
