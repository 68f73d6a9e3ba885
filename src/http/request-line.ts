import type { ByteString } from "../base/bytes.ts";
import type { RequestHead } from "./head-parser.ts";

/**
 * `$request`: the request line as the client sent it, or as HTTP/1.1 would have it of an HTTP/2 request. Of a head that could not be read (its method is empty) the target is
 * what came of the whole line.
 */
export function requestLine(head: RequestHead): ByteString {
  const { method, target } = head;
  return method === "" ? target : `${method} ${target} ${protocolOf(head)}`;
}

/** `$server_protocol`: `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`. */
export function protocolOf({ versionMajor, versionMinor }: RequestHead): ByteString {
  return `HTTP/${versionMajor}.${versionMinor}`;
}
