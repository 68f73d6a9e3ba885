import type { ByteString } from "../base/bytes.ts";
import type { RequestHead } from "./head-parser.ts";

/**
 * `$request`: the request line as the client sent it. Of a head that could not be read (its method is empty) the target is
 * what came of the whole line.
 */
export function requestLine({ method, target, versionMinor }: RequestHead): ByteString {
  return method === "" ? target : `${method} ${target} HTTP/1.${versionMinor}`;
}
