/**
 * Sets of bytes, as character classes are made of: bit n of the number is byte n. PCRE without its UTF mode matches
 * bytes and takes its classes from the C locale, so everything above 0x7f is no letter, no digit and no space.
 */
export type ByteSet = bigint;

export const emptySet: ByteSet = 0n;
export const allBytes: ByteSet = (1n << 256n) - 1n;

export function byteRange(first: number, last: number): ByteSet {
  return ((1n << BigInt(last - first + 1)) - 1n) << BigInt(first);
}

export function singleByte(byte: number): ByteSet {
  return 1n << BigInt(byte);
}

export function complement(set: ByteSet): ByteSet {
  return allBytes ^ set;
}

export function hasByte(set: ByteSet, byte: number): boolean {
  return ((set >> BigInt(byte)) & 1n) === 1n;
}

function setOf(bytes: string): ByteSet {
  let set = emptySet;
  for (let i = 0; i < bytes.length; i++) set |= singleByte(bytes.charCodeAt(i));
  return set;
}

const upper = byteRange(0x41, 0x5a);
const lower = byteRange(0x61, 0x7a);
const alpha = upper | lower;
const digit = byteRange(0x30, 0x39);
const graph = byteRange(0x21, 0x7e);
const space = byteRange(0x09, 0x0d) | singleByte(0x20);

export const newline: ByteSet = singleByte(0x0a);
export const digits: ByteSet = digit;
export const spaces: ByteSet = space;
export const wordBytes: ByteSet = alpha | digit | singleByte(0x5f);
/** `\h`: in an 8-bit locale PCRE counts the no-break space 0xa0 among the horizontal spaces. */
export const horizontalSpaces: ByteSet = setOf("\t \xa0");
/** `\v`: a class in PCRE (line feed, vertical tab, form feed, carriage return, NEL), one character in JavaScript. */
export const verticalSpaces: ByteSet = byteRange(0x0a, 0x0d) | singleByte(0x85);

/** `[:name:]`, in the C locale. */
export const posixClasses: ReadonlyMap<string, ByteSet> = new Map([
  ["alnum", alpha | digit],
  ["alpha", alpha],
  ["ascii", byteRange(0x00, 0x7f)],
  ["blank", setOf("\t ")],
  ["cntrl", byteRange(0x00, 0x1f) | singleByte(0x7f)],
  ["digit", digit],
  ["graph", graph],
  ["lower", lower],
  ["print", graph | singleByte(0x20)],
  ["punct", graph ^ (alpha | digit)],
  ["space", space],
  ["upper", upper],
  ["word", wordBytes],
  ["xdigit", digit | byteRange(0x41, 0x46) | byteRange(0x61, 0x66)],
]);

/** Adds to every ASCII letter its other case; no other byte has one in the C locale. */
export function foldCase(set: ByteSet): ByteSet {
  return set | ((set & upper) << 0x20n) | ((set & lower) >> 0x20n);
}

/** The byte of a set that holds only one. */
export function onlyByte(set: ByteSet): number | undefined {
  if (set === emptySet || (set & (set - 1n)) !== 0n) return undefined;
  return set.toString(2).length - 1;
}

/** The set as runs of neighbouring bytes, in order. */
export function runsOf(set: ByteSet): { readonly first: number; readonly last: number }[] {
  const runs: { first: number; last: number }[] = [];
  for (let byte = 0; byte < 256; byte++) {
    if (!hasByte(set, byte)) continue;
    const run = runs.at(-1);
    if (run !== undefined && run.last === byte - 1) run.last = byte;
    else runs.push({ first: byte, last: byte });
  }
  return runs;
}
