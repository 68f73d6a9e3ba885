/** The blocks of a tree as levels that know their parents, and nginx's two ways of inheritance over them. */
import type { Directive } from "../../config/tree.ts";

export type LevelKind =
  | "main"
  | "events"
  | "http"
  | "server"
  | "location"
  | "if"
  | "limit_except"
  | "upstream"
  | "stream"
  | "stream server"
  | "stream upstream"
  /** Its contents are entries, not directives: `map`, `types`. */
  | "entries"
  /** A block that this view does not know, such as one of a third-party module. */
  | "other";

/** What stands between two braces, or in the whole file. */
export interface Level {
  readonly kind: LevelKind;
  /** What opened it; null for the file itself, and for the levels a fragment is thought to stand in. */
  readonly directive: Directive | null;
  readonly parent: Level | null;
  readonly directives: readonly Directive[];
  /** The same by name. */
  readonly byName: ReadonlyMap<string, readonly Directive[]>;
  readonly children: readonly Level[];
}

/** The levels of a tree. A file that is meant for an `include` begins inside `http` or `server`, as its contents tell. */
export function readLevels(directives: readonly Directive[]): Level {
  return readLevel(topKind(directives), null, null, directives);
}

function readLevel(
  kind: LevelKind,
  directive: Directive | null,
  parent: Level | null,
  directives: readonly Directive[],
): Level {
  const children: Level[] = [];
  const level: Level = { kind, directive, parent, directives, byName: groupByName(directives), children };
  if (kind === "entries") return level;
  for (const inner of directives) {
    if (inner.block !== null)
      children.push(readLevel(kindInside(kind, inner.name.text), inner, level, inner.block));
  }
  return level;
}

function groupByName(directives: readonly Directive[]): ReadonlyMap<string, readonly Directive[]> {
  const groups = new Map<string, Directive[]>();
  for (const directive of directives) {
    const group = groups.get(directive.name.text);
    if (group === undefined) groups.set(directive.name.text, [directive]);
    else group.push(directive);
  }
  return groups;
}

const MAIN_BLOCKS: ReadonlySet<string> = new Set(["http", "events", "stream", "mail"]);
const HTTP_BLOCKS: ReadonlySet<string> = new Set(["server", "upstream", "map", "geo", "split_clients"]);
const ENTRY_BLOCKS: ReadonlySet<string> = new Set([
  "map",
  "geo",
  "split_clients",
  "types",
  "charset_map",
  "num_map",
]);

function topKind(directives: readonly Directive[]): LevelKind {
  const names = directives.filter(({ block }) => block !== null).map(({ name }) => name.text);
  if (names.some((name) => MAIN_BLOCKS.has(name))) return "main";
  if (names.some((name) => HTTP_BLOCKS.has(name))) return "http";
  if (names.includes("location")) return "server";
  if (directives.some(({ name }) => name.text === "proxy_pass")) return "location";
  return "main";
}

function kindInside(outer: LevelKind, name: string): LevelKind {
  if (outer === "other" || outer === "events") return "other";
  if (ENTRY_BLOCKS.has(name)) return "entries";
  if (outer === "stream") {
    if (name === "server") return "stream server";
    return name === "upstream" ? "stream upstream" : "other";
  }
  switch (name) {
    case "events":
    case "http":
    case "stream":
      return outer === "main" ? name : "other";
    case "server":
    case "upstream":
    case "location":
    case "if":
    case "limit_except":
      return name;
    default:
      return "other";
  }
}

/** The directives of one name that stand on the level itself. */
export function ownAll(level: Level, name: string): readonly Directive[] {
  return level.byName.get(name) ?? [];
}

/** The first directive of a name on the level itself, or null. */
export function own(level: Level, name: string): Directive | null {
  return ownAll(level, name)[0] ?? null;
}

/** The directive that decides at a level where the nearest value counts, or null where the default does. */
export function nearest(level: Level, name: string): Directive | null {
  return nearestList(level, name)[0] ?? null;
}

/** The list in force at a level where one entry hides all that outer levels have, as with `proxy_set_header`. */
export function nearestList(level: Level, name: string): readonly Directive[] {
  for (let at: Level | null = level; at !== null; at = at.parent) {
    const found = ownAll(at, name);
    if (found.length > 0) return found;
  }
  return [];
}

/** The value of a directive with one argument at a level, or `otherwise`. */
export function valueAt(level: Level, name: string, otherwise: string): string {
  return nearest(level, name)?.args[0]?.text ?? otherwise;
}

/** A level and all that it holds, in reading order. */
export function withDescendants(level: Level): readonly Level[] {
  return [level, ...level.children.flatMap(withDescendants)];
}

/** The closest level of a kind around a level, itself included; null where there is none. */
export function enclosing(level: Level, kind: LevelKind): Level | null {
  for (let at: Level | null = level; at !== null; at = at.parent) {
    if (at.kind === kind) return at;
  }
  return null;
}
