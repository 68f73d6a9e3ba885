import { asciiLowerCase, byteStringFromText, type ByteString } from "../base/bytes.ts";
import type { Directive, Word } from "../config/tree.ts";
import type { Check } from "../compile/check.ts";
import type { Module } from "../compile/module.ts";
import type { PlanRegex } from "../compile/plan.ts";
import { many, withoutEffect } from "../compile/rows.ts";
import { execRegex } from "../compile/regex.ts";
import type { Request } from "../compile/request.ts";
import { constantTemplate, type Getter, type Template } from "../compile/template.ts";
import { custom, size } from "../compile/values.ts";

/** The entries of one `map`, arranged for the lookup. */
interface MapTable {
  /** Lower case. */
  readonly exact: Map<ByteString, Template>;
  /** With `hostnames`: key is the suffix with its leading dot. */
  readonly leadingWildcard: Map<ByteString, Template>;
  /** With `hostnames`: key is the prefix with its trailing dot. */
  readonly trailingWildcard: Map<ByteString, Template>;
  readonly regexes: { readonly regex: PlanRegex; readonly value: Template }[];
  fallback: Template;
  hostnames: boolean;
  volatile: boolean;
}

const rows = {
  map: many({
    in: ["http"],
    block: "required",
    type: custom("string $variable { … }", [2, 2], parseMap),
    inherit: "none",
    doc: "Makes a variable whose value depends on other variables: by exact text without regard to case, by regular expression (~ and ~*), and by host names with wildcards.",
  }),
  map_hash_bucket_size: withoutEffect({ in: ["http"], type: size(), doc: "Tables grow as they need." }),
  map_hash_max_size: withoutEffect({ in: ["http"], type: size(), doc: "Tables grow as they need." }),
} as const;

/** Variables that are looked up in a table. */
export const mapModule: Module = { name: "ngx_http_map_module", directives: rows };

function parseMap(args: readonly Word[], check: Check, directive: Directive): true | undefined {
  const [source, target] = args;
  if (source === undefined || target === undefined) return undefined;
  if (!/^\$\w+$/.test(target.text)) {
    check.error(target.span, `invalid variable name "${target.text}"`, {
      code: "invalid-variable",
      suggestion: `write $${target.text.replace(/\W/g, "")}`,
    });
    return undefined;
  }
  const subject = check.template(source);
  const table = parseEntries(directive.block ?? [], check);
  check.declare(target.text.slice(1), target.span, (slot) => mapGetter(subject, table, slot.index));
  return true;
}

function parseEntries(entries: readonly Directive[], check: Check): MapTable {
  const table: MapTable = {
    exact: new Map(),
    leadingWildcard: new Map(),
    trailingWildcard: new Map(),
    regexes: [],
    fallback: constantTemplate(""),
    hostnames: false,
    volatile: false,
  };
  // The words that are options, not keys, hold for all entries wherever they stand.
  table.hostnames = entries.some((entry) => entry.args.length === 0 && entry.name.text === "hostnames");
  for (const entry of entries) readEntry(entry, table, check);
  return table;
}

function readEntry(entry: Directive, table: MapTable, check: Check): void {
  const { name, args } = entry;
  if (args.length === 0 && name.text === "hostnames") return;
  if (args.length === 0 && name.text === "volatile") {
    table.volatile = true;
    return;
  }
  const [valueWord] = args;
  if (valueWord === undefined || args.length > 1 || entry.block !== null) {
    check.error(name.span, `invalid number of the map parameters`, {
      code: "argument-count",
      notes: [{ message: "an entry is a key and a value: websocket upgrade;" }],
      ...(args.length > 1 ? { suggestion: `add ";" after "${valueWord?.text ?? ""}"` } : {}),
    });
    return;
  }
  const value = check.template(valueWord);
  if (name.text === "default") {
    table.fallback = value;
    return;
  }
  addKey(name, value, table, check);
}

function addKey(name: Word, value: Template, table: MapTable, check: Check): void {
  // A backslash takes the special meaning away from what follows: \default, \~text.
  const text = name.text.startsWith("\\") ? name.text.slice(1) : name.text;
  if (text === name.text && text.startsWith("~")) {
    const caseInsensitive = text.startsWith("~*");
    const regex = check.regex(text.slice(caseInsensitive ? 2 : 1), name.span, { caseInsensitive });
    if (regex !== undefined) table.regexes.push({ regex, value });
    return;
  }
  const key = asciiLowerCase(byteStringFromText(text));
  if (!table.hostnames) return addOnce(table.exact, key, value, name, check);
  if (key.startsWith("*.")) return addOnce(table.leadingWildcard, key.slice(1), value, name, check);
  if (key.endsWith(".*")) return addOnce(table.trailingWildcard, key.slice(0, -1), value, name, check);
  if (key.startsWith(".")) {
    addOnce(table.exact, key.slice(1), value, name, check);
    return addOnce(table.leadingWildcard, key, value, name, check);
  }
  addOnce(table.exact, key, value, name, check);
}

function addOnce(
  keys: Map<ByteString, Template>,
  key: ByteString,
  value: Template,
  name: Word,
  check: Check,
): void {
  if (keys.has(key))
    check.error(name.span, `conflicting parameter "${name.text}"`, { code: "duplicate-key" });
  else keys.set(key, value);
}

/** The value is found once per request and kept, unless the map is `volatile`. */
function mapGetter(subject: Template, table: MapTable, slot: number): Getter {
  const find: Getter = (request) => lookUp(request, subject.render(request), table);
  if (table.volatile) return find;
  return (request) => {
    let value = request.slots[slot];
    if (value === undefined) {
      value = find(request) ?? "";
      request.slots[slot] = value;
    }
    return value;
  };
}

function lookUp(request: Request, subject: ByteString, table: MapTable): ByteString {
  const key = asciiLowerCase(subject);
  const exact = table.exact.get(key) ?? (table.hostnames ? findWildcard(key, table) : undefined);
  if (exact !== undefined) return exact.render(request);
  // Captures hold for the value of the entry and no longer: whoever uses $1 beside a map means their own (CVE-2026-42533).
  const captures = request.captures;
  for (const { regex, value } of table.regexes) {
    if (!execRegex(request, regex, subject)) continue;
    const rendered = value.render(request);
    request.captures = captures;
    return rendered;
  }
  return table.fallback.render(request);
}

function findWildcard(key: ByteString, table: MapTable): Template | undefined {
  for (let dot = key.indexOf("."); dot >= 0; dot = key.indexOf(".", dot + 1)) {
    const value = table.leadingWildcard.get(key.slice(dot));
    if (value !== undefined) return value;
  }
  for (let dot = key.lastIndexOf("."); dot >= 0; dot = dot === 0 ? -1 : key.lastIndexOf(".", dot - 1)) {
    const value = table.trailingWildcard.get(key.slice(0, dot + 1));
    if (value !== undefined) return value;
  }
  return undefined;
}
