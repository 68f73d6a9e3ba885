/**
 * What rules read: a tree seen as servers, locations, upstreams and maps. It is made once for a file, from the text's
 * own words, so that directives which wsgate does not have are no obstacle.
 */
import type { RowIndex } from "../../compile/walk.ts";
import type { Directive, Tree } from "../../config/tree.ts";
import { type Level, own, ownAll, readLevels, withDescendants } from "./levels.ts";
import { type Proxy, readProxy } from "./proxy.ts";
import { type Evidence, weighEvidence } from "./evidence.ts";
import { patternMatches } from "./patterns.ts";
import { cutAtMissingSemicolons, type Repaired } from "./semicolons.ts";

export interface Configuration {
  readonly tree: Tree;
  /** Directives that have swallowed the next one; in the rest of this view the two stand apart. */
  readonly missingSemicolons: Repaired["missing"];
  readonly main: Level;
  /** All levels, in reading order. */
  readonly levels: readonly Level[];
  /** The file is meant for an `include`: what it does not define may be defined elsewhere. */
  readonly isFragment: boolean;
  /** It is a fragment, or an include could not be read: what seems to be defined nowhere may be defined there. */
  readonly isPartial: boolean;
  readonly servers: readonly Server[];
  /** Of all servers, nested ones too. */
  readonly locations: readonly Location[];
  readonly upstreams: ReadonlyMap<string, Upstream>;
  /** By the variable that they give, without its dollar sign. */
  readonly maps: ReadonlyMap<string, MapBlock>;
  /** Every `set`, by variable. */
  readonly sets: ReadonlyMap<string, readonly Directive[]>;
}

export interface Server {
  readonly level: Level;
  readonly listens: readonly Listen[];
  /** In lower case; [""] without a `server_name`. */
  readonly names: readonly string[];
  readonly locations: readonly Location[];
}

export interface Listen {
  /** null: the one that nginx thinks of where a server has none. */
  readonly directive: Directive | null;
  /** `*:80`, `127.0.0.1:8080`, `[::]:443`, `unix:/path`. */
  readonly address: string;
  readonly port: number | null;
  /** Also where another server says `ssl` at the same address, which nginx takes for all of them. */
  readonly isTls: boolean;
  readonly isDefault: boolean;
}

export interface Location {
  readonly level: Level;
  readonly directive: Directive;
  readonly server: Server | null;
  readonly match: "exact" | "prefix" | "prefix first" | "regex" | "named";
  /** The path, pattern or name, without its modifier. */
  readonly path: string;
  readonly isCaseless: boolean;
  /** The outer location of a nested one. */
  readonly outer: Location | null;
  readonly proxy: Proxy | null;
  /** Why one may think that WebSockets come here; null where nothing says so. */
  readonly evidence: Evidence | null;
}

export interface Upstream {
  readonly level: Level;
  readonly name: string;
  /** The servers that take requests in normal times. */
  readonly active: readonly Directive[];
}

export interface MapBlock {
  readonly directive: Directive;
  readonly source: string;
  readonly variable: string;
  readonly entries: readonly Directive[];
}

export interface ReadOptions {
  readonly lacksIncludes?: boolean;
  /** Paths of which somebody has said that WebSockets come to them. */
  readonly sockets?: readonly string[];
}

/** Reads a tree. Never fails: what is malformed is left out, since nginx's own messages speak of it. */
export function readConfiguration(
  tree: Tree,
  index: RowIndex,
  { lacksIncludes = false, sockets = [] }: ReadOptions = {},
): Configuration {
  const { directives, missing } = cutAtMissingSemicolons(tree.directives, index);
  const main = readLevels(directives);
  const levels = withDescendants(main);
  const upstreams = new Map(levels.filter(({ kind }) => kind === "upstream").map(readUpstream));
  const servers: Server[] = [];
  const locations: Location[] = [];
  const maps = new Map<string, MapBlock>();
  const isFragment = main.kind !== "main" || !main.children.some(({ kind }) => kind === "http");
  const configuration: Configuration = {
    tree,
    missingSemicolons: missing,
    main,
    levels,
    isFragment,
    isPartial: isFragment || lacksIncludes,
    servers,
    locations,
    upstreams,
    maps,
    sets: readSets(levels),
  };
  for (const level of levels)
    for (const map of level.directives.flatMap(readMap)) maps.set(map.variable, map);
  const tlsAddresses = readTlsAddresses(levels);
  for (const level of levels) {
    if (level.kind !== "server") continue;
    const server = readServer(level, tlsAddresses, configuration, locations);
    for (const path of sockets) noteSocket(server, path);
    servers.push(server);
  }
  // A fragment may begin inside a location's own server, or in the location itself.
  if (main.kind === "location") locations.push(...readBareLocation(main, configuration));
  return configuration;
}

function readServer(
  level: Level,
  tlsAddresses: ReadonlySet<string>,
  configuration: Configuration,
  all: Location[],
): ServerDraft {
  const locations: LocationDraft[] = [];
  const server: ServerDraft = {
    level,
    listens: readListens(level).map((listen) => ({
      ...listen,
      isTls: listen.isTls || tlsAddresses.has(listen.address),
    })),
    names: readNames(level),
    locations,
  };
  const addLocations = (outer: Level, outerLocation: Location | null): void => {
    for (const child of outer.children) {
      if (child.kind !== "location" || child.directive === null) continue;
      const location = readLocation(child, child.directive, server, outerLocation, configuration);
      locations.push(location);
      all.push(location);
      addLocations(child, location);
    }
  };
  addLocations(level, null);
  return server;
}

/** That WebSockets come to a location may turn out when all locations are known. */
type LocationDraft = Omit<Location, "evidence"> & { evidence: Evidence | null };

interface ServerDraft extends Server {
  readonly locations: readonly LocationDraft[];
}

/** Sees to it that rules speak of the location that takes the path, whatever its name. */
function noteSocket({ locations }: ServerDraft, path: string): void {
  const chosen = locationFor(locations, path);
  if (chosen === null || chosen.proxy === null || chosen.evidence?.strength === "certain") return;
  chosen.evidence = { strength: "likely", because: `takes ${path}` };
}

/** The location that nginx would choose; null where none takes the path. */
function locationFor(locations: readonly LocationDraft[], path: string): LocationDraft | null {
  let outer: LocationDraft | null = null;
  for (;;) {
    const inner = locations.filter((each) => each.outer === outer);
    const exact = inner.find((each) => each.match === "exact" && each.path === path);
    if (exact !== undefined) return exact;
    const [longest] = inner
      .filter(({ match, path: prefix }) => match.startsWith("prefix") && path.startsWith(prefix))
      .sort((one, other) => other.path.length - one.path.length);
    const regex = inner.find(
      (each) => each.match === "regex" && patternMatches(each.path, each.isCaseless, path) === true,
    );
    const isFirst = longest?.match === "prefix first";
    const chosen = regex !== undefined && !isFirst ? regex : longest;
    if (chosen === undefined) return outer;
    outer = chosen;
  }
}

function readLocation(
  level: Level,
  directive: Directive,
  server: Server,
  outer: Location | null,
  configuration: Configuration,
): LocationDraft {
  const proxy = readProxy(level, configuration);
  const form = readMatch(directive);
  return {
    level,
    directive,
    server,
    outer,
    ...form,
    proxy,
    evidence: proxy === null ? null : weighEvidence(form, level, proxy, configuration),
  };
}

/** The location around a fragment that holds nothing but what stands in one, if it can be pointed at. */
function readBareLocation(level: Level, configuration: Configuration): readonly Location[] {
  const proxy = readProxy(level, configuration);
  const first = level.directives[0];
  if (proxy === null || first === undefined) return [];
  const form = { match: "prefix", path: "", isCaseless: false } as const;
  const evidence = weighEvidence(form, level, proxy, configuration);
  return [{ level, directive: first, server: null, outer: null, ...form, proxy, evidence }];
}

function readMatch({ args }: Directive): Pick<Location, "match" | "path" | "isCaseless"> {
  const [first, second] = args;
  const word = first?.text ?? "";
  // nginx takes `=/ws` and `~^/ws` for a modifier and its argument, too.
  const modifier = second === undefined ? (/^(?:=|~\*|~|\^~)/.exec(word)?.[0] ?? "") : word;
  const path = second === undefined ? word.slice(modifier.length) : second.text;
  switch (modifier) {
    case "=":
      return { match: "exact", path, isCaseless: false };
    case "^~":
      return { match: "prefix first", path, isCaseless: false };
    case "~":
    case "~*":
      return { match: "regex", path, isCaseless: modifier === "~*" };
    default:
      return { match: path.startsWith("@") ? "named" : "prefix", path, isCaseless: false };
  }
}

function readTlsAddresses(levels: readonly Level[]): ReadonlySet<string> {
  const listens = levels.filter(({ kind }) => kind === "server").flatMap(readListens);
  return new Set(listens.flatMap(({ isTls, address }) => (isTls ? [address] : [])));
}

function readListens(level: Level): readonly Listen[] {
  const isAllTls = own(level, "ssl")?.args[0]?.text === "on";
  const directives = ownAll(level, "listen");
  if (directives.length === 0) {
    return [{ directive: null, address: "*:80", port: 80, isTls: isAllTls, isDefault: false }];
  }
  return directives.map((directive) => {
    const [first, ...parameters] = directive.args.map(({ text }) => text);
    const { address, port } = readAddress(first ?? "");
    return {
      directive,
      address,
      port,
      isTls: isAllTls || parameters.includes("ssl") || parameters.includes("quic"),
      isDefault: parameters.includes("default_server") || parameters.includes("default"),
    };
  });
}

function readAddress(text: string): { address: string; port: number | null } {
  if (text.startsWith("unix:")) return { address: text, port: null };
  if (/^\d+$/.test(text)) return { address: `*:${text}`, port: Number(text) };
  const withPort = /^(.*):(\d+)$/.exec(text);
  if (withPort === null || (text.startsWith("[") && text.endsWith("]")))
    return { address: `${text}:80`, port: 80 };
  return { address: text.replace(/^0\.0\.0\.0:/, "*:"), port: Number(withPort[2]) };
}

function readNames(level: Level): readonly string[] {
  const names = ownAll(level, "server_name").flatMap(({ args }) =>
    args.map(({ text }) => text.toLowerCase()),
  );
  return names.length === 0 ? [""] : names;
}

function readUpstream(level: Level): [string, Upstream] {
  const name = level.directive?.args[0]?.text ?? "";
  const active = ownAll(level, "server").filter(
    ({ args }) => !args.some(({ text }) => text === "backup" || text === "down"),
  );
  return [name, { level, name, active }];
}

function readMap(directive: Directive): readonly MapBlock[] {
  const [source, target] = directive.args;
  if (directive.name.text !== "map" || source === undefined || target === undefined) return [];
  return [
    {
      directive,
      source: source.text,
      variable: target.text.replace(/^\$/, ""),
      entries: directive.block ?? [],
    },
  ];
}

function readSets(levels: readonly Level[]): ReadonlyMap<string, readonly Directive[]> {
  const sets = new Map<string, Directive[]>();
  for (const directive of levels.flatMap((level) => ownAll(level, "set"))) {
    const name = directive.args[0]?.text.replace(/^\$/, "") ?? "";
    sets.set(name, [...(sets.get(name) ?? []), directive]);
  }
  return sets;
}
