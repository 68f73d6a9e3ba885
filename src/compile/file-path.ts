import type { ByteString } from "../base/bytes.ts";
import type { Request } from "./request.ts";

/** `$document_root`: what root or alias give for the request's location. */
export function documentRoot(request: Request): ByteString {
  return request.location.core.root.template.render(request);
}

/**
 * `$request_filename`: the path in the file system that `path` (by default the request's) stands for. With alias, the
 * folder takes the place of the location's own prefix; in a regular expression location alias names the file itself.
 */
export function filePath(request: Request, path: ByteString = request.path): ByteString {
  const { root } = request.location.core;
  const folder = root.template.render(request);
  if (!root.isAlias) return folder + path;
  const { match, path: prefix } = request.location;
  return match === "regex" ? folder : folder + path.slice(prefix.length);
}
