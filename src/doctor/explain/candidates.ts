import type { ByteString } from "../../base/bytes.ts";
import { longestPrefix } from "../../compile/locations.ts";
import type { ListenerPlan, LocationPlan, LocationTree, ServerPlan } from "../../compile/plan.ts";
import { findLocation } from "../../route/locate.ts";
import { assert } from "../../base/assert.ts";
import type { Request } from "../../compile/request.ts";

/** A server or location that might have taken the request, and what became of it. */
export interface Candidate<T> {
  readonly place: T;
  readonly isChosen: boolean;
  readonly why: string;
}

/** The servers of a listener in the order of the configuration, with the reason for and against each. */
export function compareServers(
  listener: ListenerPlan,
  servers: readonly ServerPlan[],
  host: string,
  chosen: ServerPlan,
): readonly Candidate<ServerPlan>[] {
  return servers
    .filter((server) => listensOn(server, listener))
    .map((server) => {
      const isChosen = server === chosen;
      return {
        place: server,
        isChosen,
        why: isChosen ? whyServer(listener, host, server) : whyNotServer(server, host),
      };
    });
}

function listensOn(server: ServerPlan, { defaultServer, names }: ListenerPlan): boolean {
  if (server === defaultServer) return true;
  const named = [names.exact, names.leadingWildcard, names.trailingWildcard];
  return (
    named.some((map) => [...map.values()].includes(server)) ||
    names.regexes.some((each) => each.server === server)
  );
}

/** As `selectServer` looks: exact, longest `*.suffix`, longest `prefix.*`, first regular expression, default. */
function whyServer({ names, defaultServer }: ListenerPlan, host: string, server: ServerPlan): string {
  if (names.exact.get(host) === server) return `it has the exact name "${host}"`;
  const matches = (
    map: ReadonlyMap<string, ServerPlan>,
    test: (key: string) => boolean,
  ): string | undefined =>
    [...map]
      .filter(([key, owner]) => owner === server && test(key))
      .map(([key]) => key)
      .sort((a, b) => b.length - a.length)[0];
  const suffix = matches(names.leadingWildcard, (key) => host.endsWith(key));
  if (suffix !== undefined) return `"*${suffix}" is the longest name with a leading wildcard that matches`;
  const prefix = matches(names.trailingWildcard, (key) => host.startsWith(key));
  if (prefix !== undefined) return `"${prefix}*" is the longest name with a trailing wildcard that matches`;
  const regex = names.regexes.find((each) => each.regex.regexp.exec(host) !== null);
  if (regex?.server === server)
    return `"~${regex.regex.source}" is the first regular expression that matches`;
  assert(server === defaultServer, "a server is chosen by a name or as the default");
  return host === ""
    ? "it is the default server, and the request names no host"
    : "no name matches, and it is the default server of this address";
}

function whyNotServer({ names }: ServerPlan, host: string): string {
  if (names.length === 0) return "it has no server_name";
  const listed = names.map((name) => `"${name}"`).join(", ");
  return names.includes(host)
    ? `another server has the name ${listed} first`
    : `${listed} ${names.length === 1 ? "is not" : "are not"} "${host}", or another name matches better`;
}

/** The locations of a server in the order in which they are looked at for a path, and what came of each. */
export function compareLocations(
  request: Request,
  server: ServerPlan,
  path: ByteString,
): readonly Candidate<LocationPlan>[] {
  const candidates: { place: LocationPlan; why: string }[] = [];
  const found = consider(server.locations, path, (place, why) => candidates.push({ place, why }));
  assert(found === search(request, server, path), "the explanation of a search finds what the search finds");
  return candidates.map(({ place, why }) => ({ place, why, isChosen: place === found }));
}

/** What the search itself finds; leaves the request as it was. */
function search(request: Request, server: ServerPlan, path: ByteString): LocationPlan | null | "slash" {
  const { path: pathBefore, captures } = request;
  request.path = path;
  const located = findLocation(request, server.locations);
  request.path = pathBefore;
  request.captures = captures;
  return located.kind === "slash" ? "slash" : located.location;
}

type Tell = (place: LocationPlan, why: string) => void;

/** Walks through one level as `findLocation` does, and tells of each location that is looked at. */
function consider(tree: LocationTree, path: ByteString, tell: Tell): LocationPlan | null | "slash" {
  for (const [exact, location] of tree.exact) {
    if (exact !== path) tell(location, `the path is not exactly "${exact}"`);
  }
  const exact = tree.exact.get(path);
  if (exact !== undefined) {
    tell(exact, "the path is exactly this, which ends the search");
    return exact;
  }
  const prefix = longestPrefix(tree.prefixes, path);
  const slash = tree.prefixes.find(
    (each) => each.path === `${path}/` && each.location.redirectsToSlash && prefix?.path !== path,
  );
  for (const { path: start, location } of tree.prefixes) {
    if (location === slash?.location)
      tell(location, "the path is this without its final slash: the client is redirected there (301)");
    else if (location === prefix) tell(location, whyPrefix(location));
    else if (path.startsWith(start))
      tell(location, `the path begins with it, and with the longer "${prefix?.path ?? ""}"`);
    else tell(location, "the path does not begin with it");
  }
  if (slash !== undefined) return "slash";
  let found = prefix;
  if (prefix !== null && !isEmpty(prefix.locations)) {
    const inner = consider(prefix.locations, path, tell);
    if (inner === "slash") return inner;
    if (inner !== null && (inner.match === "exact" || inner.match === "regex")) return inner;
    found = inner ?? prefix;
  }
  return considerRegexes(tree, path, prefix, tell) ?? found;
}

function considerRegexes(
  tree: LocationTree,
  path: ByteString,
  prefix: LocationPlan | null,
  tell: Tell,
): LocationPlan | null | "slash" {
  let found: LocationPlan | "slash" | null = null;
  for (const { regex, location } of tree.regexes) {
    if (prefix?.match === "prefix-no-regex")
      tell(location, `not tried: "^~ ${prefix.path}" forbids regular expressions`);
    else if (found !== null) tell(location, "not tried: an earlier regular expression matches");
    else if (regex.regexp.exec(path) === null) tell(location, "the regular expression does not match");
    else {
      tell(location, "the first regular expression that matches, which goes before prefixes");
      const inner = isEmpty(location.locations) ? null : consider(location.locations, path, tell);
      found = inner ?? location;
    }
  }
  return found;
}

function whyPrefix({ match }: LocationPlan): string {
  return match === "prefix-no-regex"
    ? "the longest prefix that matches, and ^~ ends the search"
    : "the longest prefix that matches; regular expressions are tried next";
}

function isEmpty(tree: LocationTree): boolean {
  return tree.exact.size === 0 && tree.prefixes.length === 0 && tree.regexes.length === 0;
}
