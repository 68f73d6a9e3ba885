import type { ByteString } from "../base/bytes.ts";
import { longestPrefix } from "../compile/locations.ts";
import type { LocationPlan, LocationTree } from "../compile/plan.ts";
import { execRegex } from "../compile/regex.ts";
import type { Request } from "../compile/request.ts";

/** Where a search ended. `slash`: the path is a proxied location's without its final slash, and is redirected there. */
export type Located =
  | { readonly kind: "location"; readonly location: LocationPlan | null }
  | { readonly kind: "slash"; readonly path: ByteString };

/**
 * The location for a path, in nginx's order (ngx_http_core_find_location): an exact one ends the search; else the
 * longest prefix is kept, its inner locations are searched, and then, unless it is `^~`, the regular expressions of
 * the level in order. The innermost level's regular expressions are tried first.
 */
export function findLocation(request: Request, tree: LocationTree): Located {
  const { path } = request;
  const exact = tree.exact.get(path);
  if (exact !== undefined) return { kind: "location", location: exact };

  const prefix = longestPrefix(tree.prefixes, path);
  if (prefix === null || prefix.path.length < path.length) {
    const withSlash = longestPrefix(tree.prefixes, `${path}/`);
    if (withSlash !== null && withSlash.redirectsToSlash && withSlash.path.length === path.length + 1) {
      return { kind: "slash", path: withSlash.path };
    }
  }

  if (prefix !== null && !isEmpty(prefix.locations)) {
    const inner = findLocation(request, prefix.locations);
    if (inner.kind === "slash") return inner;
    if (inner.location !== null && isFinal(inner.location)) return inner;
    if (inner.location !== null) return regexOr(request, tree, prefix, inner.location);
  }
  return regexOr(request, tree, prefix, prefix);
}

/** The first regular expression of the level that matches, unless the level's prefix forbids to look; else `found`. */
function regexOr(
  request: Request,
  tree: LocationTree,
  prefix: LocationPlan | null,
  found: LocationPlan | null,
): Located {
  if (prefix?.match !== "prefix-no-regex") {
    for (const { regex, location } of tree.regexes) {
      if (!execRegex(request, regex, request.path)) continue;
      if (isEmpty(location.locations)) return { kind: "location", location };
      const inner = findLocation(request, location.locations);
      return inner.kind === "slash" || inner.location !== null ? inner : { kind: "location", location };
    }
  }
  return { kind: "location", location: found };
}

/** A search inside an outer location is over with these; a mere prefix leaves the outer regular expressions a chance. */
function isFinal(location: LocationPlan): boolean {
  return location.match === "exact" || location.match === "regex";
}

function isEmpty(tree: LocationTree): boolean {
  return tree.exact.size === 0 && tree.prefixes.length === 0 && tree.regexes.length === 0;
}
