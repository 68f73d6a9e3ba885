import type { ByteString } from "../base/bytes.ts";

/**
 * Reads the server name out of the first bytes of a TLS connection, so that the server (with its certificates, and with
 * whether it asks the client for one) is chosen before the handshake begins. Everything else in a ClientHello is left
 * to OpenSSL, a malformed one, too: then there is just no name.
 */
export type ServerNameResult =
  /** The ClientHello goes on. */
  | { readonly kind: "more" }
  /** As sent; null where the client sent none. */
  | { readonly kind: "name"; readonly name: ByteString | null };

const MORE: ServerNameResult = { kind: "more" };
const NO_NAME: ServerNameResult = { kind: "name", name: null };

/** Longer ones exist only to cost memory; the largest key shares of today need a tenth. */
const CLIENT_HELLO_BYTES_MAX = 16 * 1024;
/** One does for every client there is; very many of a byte each would cost more to look at than to send. */
const RECORDS_MAX = 16;
const RECORD_HANDSHAKE = 22;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_CLIENT_HELLO = 1;
const MESSAGE_HEADER_BYTES = 4;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST = 0;

/** Whether a connection that begins with this byte means TLS: a handshake record, or SSLv2's (nginx's test). */
export function looksLikeTls(firstByte: number): boolean {
  return firstByte === RECORD_HANDSHAKE || (firstByte & 0x80) !== 0;
}

/** Looks at all bytes that a connection has sent so far. */
export function readServerName(bytes: Buffer): ServerNameResult {
  const message = joinRecords(bytes);
  if (message === null) return NO_NAME;
  if (message.length < MESSAGE_HEADER_BYTES) return MORE;
  if (message[0] !== MESSAGE_CLIENT_HELLO) return NO_NAME;
  const end = MESSAGE_HEADER_BYTES + message.readUIntBE(1, 3);
  if (end > CLIENT_HELLO_BYTES_MAX) return NO_NAME;
  if (message.length < end) return MORE;
  return { kind: "name", name: findServerName(message.subarray(MESSAGE_HEADER_BYTES, end)) };
}

/** The handshake bytes of the records so far (RFC 8446 section 5.1 lets a message be split); null: not a handshake. */
function joinRecords(bytes: Buffer): Buffer | null {
  const fragments: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== RECORD_HANDSHAKE) return null;
    if (bytes.length - at < RECORD_HEADER_BYTES) break;
    const start = at + RECORD_HEADER_BYTES;
    const length = bytes.readUInt16BE(at + 3);
    if (length === 0 || fragments.length === RECORDS_MAX) return null;
    fragments.push(bytes.subarray(start, start + length));
    at = start + length;
  }
  return fragments.length === 1 ? (fragments[0] ?? null) : Buffer.concat(fragments);
}

/** RFC 8446 section 4.1.2, RFC 6066 section 3; null where anything is out of place. */
function findServerName(hello: Buffer): ByteString | null {
  const reader = new Reader(hello);
  reader.skip(2 + 32); // version, random
  reader.skip(reader.uint8()); // session id
  reader.skip(reader.uint16()); // cipher suites
  reader.skip(reader.uint8()); // compression methods
  const extensionsEnd = reader.uint16() + reader.at;
  while (reader.isGood && reader.at < extensionsEnd) {
    const type = reader.uint16();
    const length = reader.uint16();
    if (type !== EXTENSION_SERVER_NAME) {
      reader.skip(length);
      continue;
    }
    const listBytes = reader.uint16();
    const nameType = reader.uint8();
    const name = reader.text(reader.uint16());
    const isWhole = listBytes + 2 === length && name.length + 3 === listBytes;
    return reader.isGood && isWhole && nameType === NAME_TYPE_HOST && name !== "" ? name : null;
  }
  return null;
}

/** Reads numbers and text in network order. Past the end all is 0 and empty, and {@link isGood} turns false. */
class Reader {
  at = 0;
  isGood = true;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint8(): number {
    return this.#advance(1) ? this.#bytes.readUInt8(this.at - 1) : 0;
  }

  uint16(): number {
    return this.#advance(2) ? this.#bytes.readUInt16BE(this.at - 2) : 0;
  }

  text(length: number): ByteString {
    return this.#advance(length) ? this.#bytes.toString("latin1", this.at - length, this.at) : "";
  }

  skip(length: number): void {
    this.#advance(length);
  }

  #advance(length: number): boolean {
    this.isGood &&= this.at + length <= this.#bytes.length;
    if (this.isGood) this.at += length;
    return this.isGood;
  }
}
