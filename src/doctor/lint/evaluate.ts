/** What a value with variables becomes for a request that is thought up: how rules see through maps. */
import type { Directive } from "../../config/tree.ts";
import type { Configuration, MapBlock } from "./configuration.ts";
import { patternMatches } from "./patterns.ts";

/** The headers of a request, by variable. */
export interface ImaginedRequest {
  readonly http_upgrade: string;
  readonly http_connection: string;
  readonly http_sec_websocket_key: string;
  readonly http_sec_websocket_version: string;
}

const handshake = {
  http_upgrade: "websocket",
  http_sec_websocket_key: "dGhlIHNhbXBsZSBub25jZQ==",
  http_sec_websocket_version: "13",
};

/** An opening handshake as Chrome sends it, and as Firefox does. */
export const HANDSHAKES: readonly ImaginedRequest[] = [
  { ...handshake, http_connection: "Upgrade" },
  { ...handshake, http_connection: "keep-alive, Upgrade" },
];

/** A request for a page. */
export const PLAIN_REQUEST: ImaginedRequest = {
  http_upgrade: "",
  http_connection: "keep-alive",
  http_sec_websocket_key: "",
  http_sec_websocket_version: "",
};

type Definitions = Pick<Configuration, "maps" | "sets">;

/** More than this many variables inside one another are a loop. */
const depthMax = 8;

/** The value for a request, or undefined where it depends on what cannot be known from the file. */
export function evaluate(
  text: string,
  request: ImaginedRequest,
  definitions: Definitions,
  depth: number = 0,
): string | undefined {
  let value = "";
  let end = 0;
  for (const { name, index, length } of variablesIn(text)) {
    const part = evaluateVariable(name, request, definitions, depth + 1);
    if (part === undefined) return undefined;
    value += text.slice(end, index) + part;
    end = index + length;
  }
  return value + text.slice(end);
}

/** The variables of a value, in order, without dollar sign and braces. */
export function variablesIn(text: string): readonly { name: string; index: number; length: number }[] {
  return Array.from(text.matchAll(/\$(?:\{(\w+)\}|(\w+))/g), (match) => ({
    name: match[1] ?? match[2] ?? "",
    index: match.index,
    length: match[0].length,
  }));
}

/** The tokens of a Connection header hold `upgrade`. */
export function hasUpgradeToken(connection: string): boolean {
  return connection
    .toLowerCase()
    .split(",")
    .some((token) => token.trim() === "upgrade");
}

function evaluateVariable(
  name: string,
  request: ImaginedRequest,
  definitions: Definitions,
  depth: number,
): string | undefined {
  if (depth > depthMax) return undefined;
  const map = definitions.maps.get(name);
  if (map !== undefined) return evaluateMap(map, request, definitions, depth);
  const sets = definitions.sets.get(name) ?? [];
  const [only] = sets;
  if (only !== undefined)
    return sets.length === 1 ? evaluate(only.args[1]?.text ?? "", request, definitions, depth) : undefined;
  const header = Object.entries(request).find(([variable]) => variable === name.toLowerCase());
  return typeof header?.[1] === "string" ? header[1] : undefined;
}

function evaluateMap(
  map: MapBlock,
  request: ImaginedRequest,
  definitions: Definitions,
  depth: number,
): string | undefined {
  const source = evaluate(map.source, request, definitions, depth);
  if (source === undefined || map.entries.some(({ name }) => name.text === "hostnames")) return undefined;
  const entry = entryFor(map, source);
  if (entry === "unknown") return undefined;
  return entry === null ? "" : evaluate(entry.args[0]?.text ?? "", request, definitions, depth);
}

/** The entry that a value selects, `default` included; null where none does and the result is the empty string. */
export function entryFor({ entries }: MapBlock, value: string): Directive | "unknown" | null {
  const exact = entries.find(({ name }) => isLiteral(name.text) && keyOf(name.text) === value.toLowerCase());
  if (exact !== undefined) return exact;
  for (const entry of entries) {
    const key = entry.name.text;
    if (!key.startsWith("~")) continue;
    const isCaseless = key.startsWith("~*");
    const isMatch = patternMatches(key.slice(isCaseless ? 2 : 1), isCaseless, value);
    if (isMatch === undefined) return "unknown";
    if (isMatch) return entry;
  }
  return entries.find(({ name }) => name.text === "default") ?? null;
}

function isLiteral(key: string): boolean {
  return key !== "default" && key !== "volatile" && !key.startsWith("~");
}

/** nginx compares without regard to case; a backslash protects what would mean something. */
function keyOf(key: string): string {
  return key.replace(/^\\/, "").toLowerCase();
}
