/**
 * Random HTTP/1.1 byte streams for the fuzz tests: mostly valid, with every part that a peer could get wrong now and then
 * wrong, and with bytes flipped, dropped, doubled and inserted. The same seed gives the same stream.
 */

import { assert } from "../base/assert.ts";

/** Numbers from 0 up to 1, as Math.random, but repeatable (mulberry32). */
export type Random = () => number;

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * The seed of this run: WSGATE_FUZZ_SEED; otherwise always the same one in the short form, which must not fail on another
 * day than the change that breaks it, and a new one in the long form, whose work it is to search.
 */
export function fuzzSeed(): number {
  const fresh = process.env["WSGATE_FUZZ_RUNS"] === undefined ? 1 : Date.now() % 2 ** 31;
  return Number(process.env["WSGATE_FUZZ_SEED"] ?? fresh);
}

/** How many rounds: WSGATE_FUZZ_RUNS for the long form, otherwise `short`. */
export function fuzzRuns(short: number): number {
  return Number(process.env["WSGATE_FUZZ_RUNS"] ?? short);
}

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)];
  assert(value !== undefined, "nothing to pick from");
  return value;
}

export function chance(random: Random, probability: number): boolean {
  return random() < probability;
}

function integer(random: Random, below: number): number {
  return Math.floor(random() * below);
}

/** One to three pipelined requests as one byte string, damaged in every third case. */
export function randomRequests(random: Random): string {
  let text = "";
  for (let left = 1 + integer(random, 3); left > 0; left--) text += randomRequest(random);
  return chance(random, 0.25) ? damage(random, text) : text;
}

/** One response, damaged in every third case. */
export function randomResponse(random: Random): string {
  const statusLine = chance(random, 0.9)
    ? `HTTP/1.${pick(random, ["1", "1", "1", "0"])} ${pick(random, STATUSES)} ${pick(random, ["OK", "", "Not Found"])}`
    : pick(random, ODD_STATUS_LINES);
  const text = withHeadersAndBody(random, `${statusLine}${lineEnd(random)}`, []);
  return chance(random, 0.35) ? damage(random, text) : text;
}

/** The head of one request that says nothing about a body, damaged in every third case. */
export function randomRequestHead(random: Random): string {
  const line = randomRequestLine(random);
  const headers = randomHost(random);
  for (let left = integer(random, 4); left > 0; left--) headers.push(randomHeader(random));
  if (chance(random, 0.1)) headers.push(`Transfer-Encoding: ${pick(random, ODD_CODINGS)}`);
  const text = `${line}${headers.map((header) => header + lineEnd(random)).join("")}${lineEnd(random)}`;
  return chance(random, 0.3) ? damage(random, text) : text;
}

/** A well-formed head whose lines are long, in sizes around those of buffers of 256 and 512 bytes. */
export function randomLongHead(random: Random): string {
  const filler = (): string => "a".repeat(integer(random, pick(random, [20, 150, 300, 560])));
  const headers: string[] = [];
  for (let left = integer(random, 7); left > 0; left--) headers.push(`X: ${filler()}\r\n`);
  return `GET /${filler()} HTTP/1.1\r\nHost: a\r\n${headers.join("")}\r\n`;
}

/** A path to be normalized, with everything that normalization is about. */
export function randomPath(random: Random): string {
  let path = "/";
  for (let left = integer(random, 10); left > 0; left--) path += pick(random, PATH_PIECES);
  return path;
}

function randomRequest(random: Random): string {
  return withHeadersAndBody(random, randomRequestLine(random), randomHost(random));
}

function randomRequestLine(random: Random): string {
  const method = chance(random, 0.97) ? pick(random, METHODS) : pick(random, ODD_METHODS);
  const target = chance(random, 0.94) ? pick(random, TARGETS) : pick(random, ODD_TARGETS);
  const version = chance(random, 0.97) ? pick(random, VERSIONS) : pick(random, ODD_VERSIONS);
  const space = (): string => (chance(random, 0.995) ? " " : pick(random, ["  ", "\t", ""]));
  const empty = chance(random, 0.03) ? pick(random, ["\r\n", "\n", "\r\n\r\n", "\r"]) : "";
  return `${empty}${method}${space()}${target}${space()}${version}${lineEnd(random)}`;
}

function randomHost(random: Random): string[] {
  if (chance(random, 0.97)) return [`Host: ${pick(random, HOSTS)}`];
  return pick(random, [[], ["Host: a", "Host: a"], [`Host: ${pick(random, ODD_HOSTS)}`]]);
}

function withHeadersAndBody(random: Random, startLine: string, first: readonly string[]): string {
  const headers = [...first];
  for (let left = integer(random, 4); left > 0; left--) headers.push(randomHeader(random));
  let body = "";
  const framing = random();
  if (framing < 0.25) {
    body = "hello".slice(0, integer(random, 6));
    headers.push(`Content-Length: ${chance(random, 0.9) ? body.length : pick(random, ODD_LENGTHS)}`);
  } else if (framing < 0.5) {
    const coding = chance(random, 0.9) ? pick(random, ["chunked", "Chunked"]) : pick(random, ODD_CODINGS);
    headers.push(`Transfer-Encoding: ${coding}`);
    body = randomChunks(random);
  } else if (framing < 0.515) {
    headers.push("Content-Length: 5", "Transfer-Encoding: chunked");
    body = randomChunks(random);
  }
  if (chance(random, 0.3)) headers.reverse();
  return `${startLine}${headers.map((header) => header + lineEnd(random)).join("")}${lineEnd(random)}${body}`;
}

function randomHeader(random: Random): string {
  if (chance(random, 0.05)) return pick(random, ODD_HEADERS);
  return `${pick(random, NAMES)}${pick(random, [": ", ": ", ":", ":  ", ":\t"])}${pick(random, VALUES)}`;
}

/** A chunked body, its last chunk and perhaps a trailer included. */
export function randomChunks(random: Random): string {
  let body = "";
  for (let left = integer(random, 4); left > 0; left--) {
    const data = "abcdefghijklmnopqrstuvwxyz".slice(0, 1 + integer(random, 26));
    const size = chance(random, 0.97) ? data.length.toString(16) : pick(random, ODD_SIZES);
    const extension = chance(random, 0.1) ? pick(random, EXTENSIONS) : "";
    body += `${size}${extension}${lineEnd(random)}${data}${lineEnd(random)}`;
  }
  const trailers = chance(random, 0.15) ? `${randomHeader(random)}${lineEnd(random)}` : "";
  return `${body}0${lineEnd(random)}${trailers}${lineEnd(random)}`;
}

function lineEnd(random: Random): string {
  return chance(random, 0.997) ? "\r\n" : pick(random, ["\n", "\r", "\r\r\n", "\n\r\n", ""]);
}

function damage(random: Random, text: string): string {
  let damaged = text;
  for (let left = 1 + integer(random, 2); left > 0; left--) {
    const at = integer(random, damaged.length + 1);
    const byte = chance(random, 0.7)
      ? pick(random, DANGEROUS_BYTES)
      : String.fromCharCode(integer(random, 256));
    const [before, after] = [damaged.slice(0, at), damaged.slice(at)];
    damaged = pick(random, [
      before + byte + after,
      before + byte + after.slice(1),
      before + after.slice(1),
      before + after.slice(0, 4) + after,
    ]);
  }
  return damaged;
}

const DANGEROUS_BYTES = "\r\n\0 \t:,;/?#%0a\x0b\x7f\x80\xff_-@".split("");
const METHODS = ["GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "M-SEARCH"] as const;
const ODD_METHODS = ["get", "FOO", "G@T", "", "GE T", "PRI", "TRACE"] as const;
const TARGETS = ["/", "/a/b?c=d", "/a?b?c", "/%2e%2e/x", "/a//b/./c", "http://example.com/x?y"] as const;
const ODD_TARGETS = [
  "*",
  "a",
  "/a#b",
  "/a b",
  "",
  "http://example.com",
  "http://example.com?x",
  "http://",
  "http:///x",
  "HTTP://EXAMPLE.com:80/",
  "ws://example.com/",
  "http://user@example.com/",
  "http://[::1]:80/",
  "//example.com/",
  "/\x01",
  "/\x7f",
  "/|{}^",
  "/\xc3\xa4",
] as const;
const VERSIONS = [
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.0",
] as const;
const ODD_VERSIONS = [
  "HTTP/1.2",
  "HTTP/2.0",
  "HTTP/0.9",
  "HTTP/1.",
  "HTTP/1.10",
  "HTTP/11.1",
  "http/1.1",
  "HTTP/1.1 ",
  "HTTPS/1.1",
  "",
] as const;
const HOSTS = [
  "example.com",
  "Example.COM:8080",
  "a_b.example",
  "[::1]:80",
  "127.0.0.1",
  "example.com.",
] as const;
const ODD_HOSTS = [
  "",
  "a b",
  "a,b",
  "a@b",
  "a..b",
  "a:b",
  "a:99999",
  "[::1",
  "a/b",
  "\xc3\xa4.example",
  ".",
] as const;
const NAMES = [
  "Accept",
  "accept",
  "X-Custom",
  "Connection",
  "connection",
  "Upgrade",
  "Expect",
  "Cookie",
  "__proto__",
  "constructor",
  "X_Under",
  "a!#$%&'*+.^`|~",
  "Keep-Alive",
] as const;
const VALUES = [
  "x",
  "",
  "close",
  "keep-alive",
  "Keep-Alive, Upgrade",
  "upgrade",
  "websocket",
  "h2c, websocket",
  "100-continue",
  " padded\t ",
  "\xe4\xff",
  'a, "b, c"',
  ",,close,,",
] as const;
const ODD_HEADERS = [
  ": empty name",
  "No-Colon",
  "Space : x",
  " Folded: x",
  "\tfolded",
  "Bad\x01Name: x",
  "B\xe4d: x",
  "Bad(Name): x",
  "Control: a\x01b",
  "Nul: a\0b",
  "Del: a\x7fb",
  "Content-Length: 0",
  "Content-Length: 5",
  "Content-Length : 5",
  "Content_Length: 5",
  "Transfer-Encoding: chunked",
  "Transfer_Encoding: chunked",
  "Host: other",
  "CoNnEcTiOn: ClOsE",
] as const;
const ODD_LENGTHS = [
  "+5",
  "-5",
  "5, 5",
  "5,6",
  "0x5",
  "5 5",
  "",
  "05",
  "9007199254740991",
  "9007199254740992",
  "18446744073709551616",
  "5.0",
  "a",
] as const;
const ODD_CODINGS = [
  "identity",
  "gzip",
  "gzip, chunked",
  "chunked, gzip",
  "chunked, chunked",
  "xchunked",
  "chunked;a=b",
  "",
  "\x0bchunked",
  "chunked,",
  '"chunked"',
] as const;
const ODD_SIZES = [
  "",
  " 5",
  "5 ",
  "0x5",
  "+5",
  "-5",
  "g",
  "00005",
  "ffffffffffffffff",
  "1ffffffffffffff",
  "20000000000000",
  "00000000000000005",
] as const;
const EXTENSIONS = [";a", ";a=b", ';a="b"', "; a = b", ";", " ;a", ";\x01", ";a\n", '; a="\r\n"'] as const;
const PATH_PIECES = ["a", "b.c", "/", "/", "//", ".", "..", "/.", "/..", "/./", "/../"].concat([
  "%2e",
  "%2F",
  "%25",
  "%3f",
  "%23",
  "%00",
  "%0a",
  "%zz",
  "%4",
  "%",
  "+",
  "%20",
  "%c3%a4",
  "\xe4",
]);
const STATUSES = ["200", "204", "304", "404", "206", "301"] as const;
const ODD_STATUS_LINES = [
  "HTTP/1.1 200",
  "HTTP/1.1 20 OK",
  "HTTP/1.1 2000 OK",
  "HTTP/1.1 099 Low",
  "HTTP/1.1  200 OK",
  "HTTP/2 200 OK",
  "HTTP/1.2 200 OK",
  "http/1.1 200 OK",
  "ICY 200 OK",
  "HTTP/1.1 200\tOK",
  "HTTP/1.1 200 O\x01K",
  "HTTP/1.1",
] as const;
