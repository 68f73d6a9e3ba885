import type { ByteString } from "../base/bytes.ts";
import { assert } from "../base/assert.ts";
import type { Check } from "./check.ts";
import type { LocationPlan, LocationTree, PlanRegex, PrefixEntry } from "./plan.ts";
import type { Scope } from "./scope.ts";

export interface BuiltLocation {
  readonly scope: Scope;
  readonly plan: LocationPlan;
}

/** Arranges the locations of one level for the search, and reports those that cannot stand together. */
export function buildLocationTree(
  level: Scope,
  locations: readonly BuiltLocation[],
  check: Check,
): LocationTree {
  const exact = new Map<ByteString, LocationPlan>();
  const prefixes = new Map<ByteString, LocationPlan>();
  const regexes: { regex: PlanRegex; location: LocationPlan }[] = [];

  for (const { scope, plan } of locations) {
    checkNesting(level, scope, check);
    switch (plan.match) {
      case "exact":
        addOnce(exact, plan, scope, check);
        break;
      case "prefix":
      case "prefix-no-regex":
        addOnce(prefixes, plan, scope, check);
        break;
      case "regex":
        assert(scope.head.kind === "location" && scope.head.regex !== null, "a regex location has its regex");
        regexes.push({ regex: scope.head.regex, location: plan });
        break;
      default:
        break;
    }
  }
  return { exact, prefixes: sortPrefixes(prefixes), regexes };
}

function addOnce(known: Map<ByteString, LocationPlan>, plan: LocationPlan, scope: Scope, check: Check): void {
  const first = known.get(plan.path);
  if (first === undefined) {
    known.set(plan.path, plan);
    return;
  }
  check.error(scope.directive?.name.span ?? null, `duplicate location "${plan.path}"`, {
    code: "duplicate-location",
    ...(first.span === null ? {} : { notes: [{ message: "it stands here already", span: first.span }] }),
  });
}

/** ngx_http_core_location: what may stand inside an outer location. */
function checkNesting(level: Scope, scope: Scope, check: Check): void {
  const outer = level.head;
  const inner = scope.head;
  if (outer.kind !== "location" || inner.kind !== "location") return;
  const span = scope.directive?.name.span ?? null;
  const complain = (message: string): void => check.error(span, message, { code: "location-nesting" });
  if (outer.match === "exact") {
    complain(`location "${inner.path}" cannot be inside the exact location "${outer.path}"`);
  } else if (outer.match === "named") {
    complain(`location "${inner.path}" cannot be inside the named location "${outer.path}"`);
  } else if (inner.match === "named") {
    complain(`named location "${inner.path}" can be on the server level only`);
  } else if (inner.match !== "regex" && outer.match !== "regex" && !inner.path.startsWith(outer.path)) {
    complain(`location "${inner.path}" is outside location "${outer.path}"`);
  }
}

function sortPrefixes(prefixes: ReadonlyMap<ByteString, LocationPlan>): readonly PrefixEntry[] {
  const sorted = [...prefixes].sort(([a], [b]) => (a < b ? -1 : 1));
  const entries: PrefixEntry[] = [];
  for (const [path, location] of sorted) {
    // Whatever is a prefix of this path sorts before it, the longest last: walk back along the chain.
    let shorter = entries.length - 1;
    while (shorter >= 0 && !path.startsWith(entries[shorter]?.path ?? ""))
      shorter = entries[shorter]?.shorter ?? -1;
    entries.push({ path, location, shorter });
  }
  return entries;
}

/** The longest prefix location of a level that `path` begins with, or null. */
export function longestPrefix(entries: readonly PrefixEntry[], path: ByteString): LocationPlan | null {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.path ?? "") <= path) low = middle + 1;
    else high = middle;
  }
  for (let entry = entries[low - 1]; entry !== undefined; entry = entries[entry.shorter]) {
    if (path.startsWith(entry.path)) return entry.location;
  }
  return null;
}
