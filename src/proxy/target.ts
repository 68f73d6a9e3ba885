import type { ByteString } from "../base/bytes.ts";
import type { Request } from "../compile/request.ts";
import { escapeUri } from "../http/uri.ts";

/** Makes the request target that goes upstream. */
export type TargetMaker = (request: Request) => ByteString;

/**
 * For a proxy_pass without a URI: the target as the client sent it while the path is still the client's own, otherwise
 * the changed path, escaped again, with the arguments. An absolute form loses its scheme and authority.
 */
export function originalTarget(request: Request): ByteString {
  if (!request.pathIsOriginal) return escapedTarget(request.path, request.args);
  const { head } = request;
  if (head.form !== "absolute") return head.target;
  return head.rawQuery === null ? head.rawPath : `${head.rawPath}?${head.rawQuery}`;
}

/**
 * For a proxy_pass with a URI in a prefix location: the URI in place of the part of the path that the location matched.
 * A path that `rewrite … break` has changed has no such part and passes whole, as in nginx.
 */
export function replacedTarget(uri: ByteString, locationPath: ByteString): TargetMaker {
  return (request) => {
    if (!request.pathMatchesLocation) return escapedTarget(request.path, request.args);
    return uri + escapedTarget(request.path.slice(locationPath.length), request.args);
  };
}

function escapedTarget(path: ByteString, args: ByteString): ByteString {
  const escaped = escapeUri(path, "uri");
  return args === "" ? escaped : `${escaped}?${args}`;
}
