import { hostname } from "node:os";
import { domainToASCII } from "node:url";
import { asciiLowerCase, byteStringFromText } from "../../base/bytes.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { ServerNameSpec } from "../../compile/module.ts";

/** One `server_name` directive, read. */
export interface ServerNames {
  readonly specs: readonly ServerNameSpec[];
  /** The first name as written, for `$server_name`. */
  readonly first: string;
}

/** Names: exact, `*.suffix`, `.suffix` (the name itself as well), `prefix.*`, `~regex`, and "" for requests without Host. */
export function parseServerNames(args: readonly Word[], check: Check): ServerNames | undefined {
  const specs: ServerNameSpec[] = [];
  for (const word of args) specs.push(...parseName(word, check));
  const first = args[0]?.text ?? "";
  return { specs, first: first === "$hostname" ? hostname() : first };
}

function parseName(word: Word, check: Check): readonly ServerNameSpec[] {
  const { span } = word;
  const text = word.text === "$hostname" ? hostname().toLowerCase() : word.text;
  if (text.startsWith("~")) {
    if (text === "~") return invalid(word, check, "empty regex in server name");
    // Upper-case letters in the pattern would never match, since the host is compared in lower case: nginx adds the flag.
    const regex = check.regex(text.slice(1), span, { caseInsensitive: /[A-Z]/.test(text) });
    return regex === undefined ? [] : [{ kind: "regex", regex, span }];
  }
  if (/[/\s]/.test(text))
    check.warn(span, `server name "${word.text}" has suspicious symbols`, { code: "server-name" });
  if (/^\*?\.[^*]+$/.test(text) && !text.includes("..")) {
    return forms(text.replace(/^\*?\./, "")).map((name) => ({
      kind: "leading-wildcard",
      suffix: `.${name}`,
      andItself: !text.startsWith("*"),
      span,
    }));
  }
  if (/^[^*]+\.\*$/.test(text) && !text.startsWith(".")) {
    return forms(text.slice(0, -2)).map((name) => ({ kind: "trailing-wildcard", prefix: `${name}.`, span }));
  }
  if (text.includes("*") || text.startsWith("."))
    return invalid(word, check, `server name "${word.text}" is invalid`);
  return forms(text).map((name) => ({ kind: "exact", name, span }));
}

/**
 * An internationalized name in the two forms in which clients send it: the ASCII one of IDNA that browsers use
 * (`xn--…`), and plain UTF-8. Names are compared in lower case.
 */
function forms(name: string): readonly string[] {
  const plain = byteStringFromText(asciiLowerCase(name));
  const ascii = isAscii(name) ? "" : domainToASCII(name);
  return ascii === "" || ascii === plain ? [plain] : [plain, ascii];
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text, "utf8") === text.length;
}

function invalid(word: Word, check: Check, message: string): readonly ServerNameSpec[] {
  check.error(word.span, message, {
    code: "server-name",
    notes: [
      { message: "a wildcard may stand at the beginning (*.example.com) or at the end (example.*) only" },
    ],
  });
  return [];
}
