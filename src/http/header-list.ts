import { assert } from "../base/assert.ts";
import type { ByteString } from "../base/bytes.ts";
import { isHeaderName, lowerHeaderName } from "./header-names.ts";
import { trimWhitespace, withoutControls } from "./tokens.ts";

/** Where each part of a header stands in the flat array. */
const NAME = 0;
const LOWER = 1;
const VALUE = 2;
const STRIDE = 3;

/**
 * The header fields of one message in their order, with names as received and looked up in lower case. Nothing is ever
 * keyed by a name, so a header called `__proto__` is one like any other.
 *
 * Invariant: every name is a token and no value holds a control byte but HTAB, whatever the configuration or a variable
 * put in; so a list can be written as it is.
 */
export class HeaderList {
  readonly #parts: ByteString[] = [];

  /** How many header fields there are; a name that occurs twice counts twice. */
  get length(): number {
    return this.#parts.length / STRIDE;
  }

  /** The name as received of the field at `index`, which must be below {@link length}; so for the next two. */
  nameAt(index: number): ByteString {
    return this.#part(index * STRIDE + NAME);
  }

  lowerNameAt(index: number): ByteString {
    return this.#part(index * STRIDE + LOWER);
  }

  valueAt(index: number): ByteString {
    return this.#part(index * STRIDE + VALUE);
  }

  /** The first value under a name in lower case. */
  get(lower: ByteString): ByteString | undefined {
    const at = this.#find(lower, 0);
    return at < 0 ? undefined : this.#parts[at + VALUE];
  }

  /** All values under a name in lower case, in their order. */
  getAll(lower: ByteString): readonly ByteString[] {
    const values: ByteString[] = [];
    for (let at = this.#find(lower, 0); at >= 0; at = this.#find(lower, at + STRIDE)) {
      values.push(this.#part(at + VALUE));
    }
    return values;
  }

  has(lower: ByteString): boolean {
    return this.#find(lower, 0) >= 0;
  }

  /** Adds a field at the end. Control bytes in the value become spaces (RFC 9110 section 5.5); the name must be a token. */
  append(name: ByteString, value: ByteString): void {
    assert(isHeaderName(name), `not a header name: ${JSON.stringify(name)}`);
    this.#parts.push(name, lowerHeaderName(name), trimWhitespace(withoutControls(value)));
  }

  /** Adds the field that stands at `index` of another list, without checking again what was checked once. */
  appendFrom(other: HeaderList, index: number): void {
    this.appendParsed(other.nameAt(index), other.lowerNameAt(index), other.valueAt(index));
  }

  /** Adds a field that the parser has checked already. */
  appendParsed(name: ByteString, lower: ByteString, value: ByteString): void {
    this.#parts.push(name, lower, value);
  }

  /** All fields as they go over the wire, each with its CR LF. */
  toLines(): ByteString {
    const parts = this.#parts;
    let lines = "";
    for (let at = 0; at < parts.length; at += STRIDE)
      lines += `${parts[at + NAME]}: ${parts[at + VALUE]}\r\n`;
    return lines;
  }

  /** Puts one field in the place of all of that name: where the first one stood, or at the end. */
  set(name: ByteString, value: ByteString): void {
    const lower = lowerHeaderName(name);
    const first = this.#find(lower, 0);
    if (first < 0) {
      this.append(name, value);
      return;
    }
    assert(isHeaderName(name), `not a header name: ${JSON.stringify(name)}`);
    this.#parts[first + NAME] = name;
    this.#parts[first + VALUE] = trimWhitespace(withoutControls(value));
    this.#removeFrom(first + STRIDE, lower);
  }

  /** Removes all fields of a name in lower case and says whether there was one. */
  delete(lower: ByteString): boolean {
    const first = this.#find(lower, 0);
    if (first < 0) return false;
    this.#removeFrom(first, lower);
    return true;
  }

  clear(): void {
    this.#parts.length = 0;
  }

  #part(position: number): ByteString {
    const part = this.#parts[position];
    assert(part !== undefined, "no such header");
    return part;
  }

  /** The position of the first field called `lower` at or after position `from` of the flat array, or -1. */
  #find(lower: ByteString, from: number): number {
    const parts = this.#parts;
    for (let at = from; at < parts.length; at += STRIDE) {
      if (parts[at + LOWER] === lower) return at;
    }
    return -1;
  }

  /** Moves the fields that stay over those that go, in one pass. */
  #removeFrom(from: number, lower: ByteString): void {
    const parts = this.#parts;
    let to = from;
    for (let at = from; at < parts.length; at += STRIDE) {
      if (parts[at + LOWER] === lower) continue;
      for (let part = 0; part < STRIDE; part++) parts[to + part] = this.#part(at + part);
      to += STRIDE;
    }
    parts.length = to;
  }
}
