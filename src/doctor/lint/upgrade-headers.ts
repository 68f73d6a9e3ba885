/** The headers of a location that make a handshake of what is passed on, and the variable behind Connection. */
import type { Configuration, Location } from "./configuration.ts";
import { type Edit, insertBefore, replaceWord } from "./edits.ts";
import { evaluate, HANDSHAKES, hasUpgradeToken, PLAIN_REQUEST } from "./evaluate.ts";
import { nearestList, own } from "./levels.ts";
import { headerLines, type HeaderLine, type Proxy } from "./proxy.ts";

export const BROWSER_SAYS: string =
  'The browser says "WebSocket connection to \'wss://…\' failed", with "Error during WebSocket handshake: Unexpected response code: 400" (or 404, 426, 200).';

/** The values that a header's line has for a handshake of each browser; undefined for what cannot be known. */
export function handshakeValues(
  line: HeaderLine,
  configuration: Configuration,
): readonly (string | undefined)[] {
  return HANDSHAKES.map((request) => evaluate(line.value, request, configuration));
}

/** Whether the line sends `Connection: upgrade` with handshakes, for all that can be known. */
export function sendsUpgrade(line: HeaderLine, configuration: Configuration): boolean {
  return handshakeValues(line, configuration).every((value) => value === undefined || hasUpgradeToken(value));
}

/** Whether a variable is `upgrade` for handshakes and not for plain requests. */
function isConnectionVariable(variable: string, configuration: Configuration): boolean {
  const values = HANDSHAKES.map((request) => evaluate(`$${variable}`, request, configuration));
  const plain = evaluate(`$${variable}`, PLAIN_REQUEST, configuration);
  const isRight = values.every((value) => value !== undefined && hasUpgradeToken(value));
  return isRight && plain !== undefined && !hasUpgradeToken(plain);
}

export interface ConnectionVariable {
  readonly name: string;
  /** What must be added for it to exist: nothing where it does already. */
  readonly edits: readonly Edit[];
}

/**
 * The variable that is `upgrade` for a handshake and not for other requests: the one that a map gives already, or
 * `$connection_upgrade` with the edit that puts its map before the first server. null where there is no place for it.
 */
export function connectionVariable(configuration: Configuration): ConnectionVariable | null {
  const { maps, servers, main } = configuration;
  for (const { variable } of maps.values())
    if (isConnectionVariable(variable, configuration)) return { name: variable, edits: [] };
  const server = servers[0]?.level.directive ?? null;
  if (server === null || maps.has("connection_upgrade") || main.kind === "server") return null;
  const map = ["map $http_upgrade $connection_upgrade {", "    default upgrade;", "    ''      close;", "}"];
  return { name: "connection_upgrade", edits: [insertBefore(server, map)] };
}

/** The edits that make a header's value the right variable, with its map where there is none yet. */
export function useConnectionVariable(line: HeaderLine, configuration: Configuration): readonly Edit[] {
  const word = line.directive.args[1];
  const variable = connectionVariable(configuration);
  if (word === undefined || variable === null) return [];
  return [replaceWord(word, `$${variable.name}`), ...variable.edits];
}

export function headerOf({ proxy }: { readonly proxy: Proxy }, name: string): HeaderLine | null {
  const line = proxy.headers.get(name);
  return line === undefined || line.value === "" ? null : line;
}

/** The upgrade lines of an outer level that the location's own `proxy_set_header` lines hide. */
export function lostLines({ level, proxy }: Location): readonly HeaderLine[] {
  if (proxy === null || own(level, "proxy_set_header") === null || level.parent === null) return [];
  const inherited = headerLines(nearestList(level.parent, "proxy_set_header"));
  return ["upgrade", "connection"].flatMap((name) => {
    const line = inherited.get(name);
    return line === undefined || line.value === "" || proxy.headers.has(name) ? [] : [line];
  });
}

export function isLostHere(location: Location): boolean {
  return lostLines(location).length > 0;
}
