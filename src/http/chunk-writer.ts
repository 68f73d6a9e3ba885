import type { ByteString } from "../base/bytes.ts";
import type { HeaderList } from "./header-list.ts";

/** What stands around the data of a chunked body (RFC 9112 section 7.1): head, data, {@link CHUNK_END}, and at last a {@link LAST_CHUNK}. */

/** What comes before a chunk of `bytes` bytes. `bytes` is above 0: an empty chunk would end the body. */
export function chunkHead(bytes: number): ByteString {
  return `${bytes.toString(16)}\r\n`;
}

/** What comes after the data of each chunk. */
export const CHUNK_END = "\r\n";

/** The end of a body without trailers. */
export const LAST_CHUNK = "0\r\n\r\n";

/** The end of a body with trailers. */
export function lastChunk(trailers: HeaderList): ByteString {
  return `0\r\n${trailers.toLines()}\r\n`;
}
