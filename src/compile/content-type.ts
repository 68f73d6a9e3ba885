import { asciiLowerCase, type ByteString } from "../base/bytes.ts";
import type { Request } from "./request.ts";

/** The content type that `types` has for the extension of a path, else default_type. */
export function contentTypeOf(request: Request, path: ByteString = request.path): ByteString {
  const { types, default_type } = request.location.core;
  const dot = path.lastIndexOf(".");
  if (dot <= path.lastIndexOf("/")) return default_type;
  return types.get(asciiLowerCase(path.slice(dot + 1))) ?? default_type;
}
