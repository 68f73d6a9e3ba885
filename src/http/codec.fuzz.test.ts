import { METHODS } from "node:http";
import { describe, expect, it } from "vitest";
import type { BodyRule } from "./body-parser.ts";
import type { HeadRule } from "./head-error.ts";
import { NodeServerOracle, readResponseWithNode } from "./node-oracle.fuzz.ts";
import {
  fuzzRuns,
  fuzzSeed,
  pick,
  randomRequests,
  randomResponse,
  seededRandom,
} from "./random-messages.fuzz.ts";
import { compareReadings, readRequests, readResponse, type Reading } from "./readings.fuzz.ts";

/** Where the codec refuses what Node reads, and why it should. */
const STRICTER_THAN_NODE: Partial<Record<HeadRule | BodyRule, string>> = {
  "transfer-encoding-in-http-1.0": "RFC 9112 section 6.1: faulty framing, and nginx answers 400",
  "duplicate-host": "RFC 9112 section 3.2: more than one Host is 400",
  "duplicate-header": "fields that nginx takes once",
  "invalid-host": "RFC 9112 section 3.2: an invalid Host is 400",
  "missing-host": "Node checks it beside its parser and closes without an error event",
  "invalid-authority": "the authority of an absolute form chooses the server: no userinfo, no empty host",
  "invalid-target": "`*` is for OPTIONS alone, and one space stands between the parts of a request line",
  "invalid-version": "one space stands between the parts of a request line",
  "fragment-in-target": "a target has no fragment; servers that keep it see another path than we do",
  "unsupported-version": "505 belongs to whoever speaks 1.x only",
  "http-0.9": "a request line without a version",
  "bare-cr": "Node skips line ends of any kind before a request",
  "unknown-transfer-encoding": "501, as nginx; Node lets other codings pass before `chunked`",
  "invalid-content-length": "over 2^53 - 1",
  "length-and-transfer-encoding": "both, even where Transfer-Encoding is empty",
  "chunk-too-large": "over 2^53 - 1",
  "invalid-chunk-size": "more than 16 digits, leading zeros among them",
  "invalid-chunk-extension": "a control byte in a chunk extension",
  "duplicate-transfer-encoding": "one coding, named once",
  "invalid-status-line": "the version is 1.x, and a status has three digits from 100",
};

/** Why the codec may read what Node refuses, and whether that can be so of a message and what follows it. */
interface Laxity {
  readonly reason: string;
  readonly mayBe: (message: string) => boolean;
}

const BARE_LF: Laxity = {
  reason: "a bare LF may end a line of a head",
  mayBe: (message) => /(?:^|[^\r])\n/.test(message),
};
const UNKNOWN_METHOD: Laxity = {
  reason: "every method in capitals is read, as in nginx",
  mayBe: (message) => !METHODS.includes(/^[\r\n]*([A-Z_-]+)/.exec(message)?.[1] ?? "GET"),
};
const DROPPED_TRAILER: Laxity = {
  reason: "trailers that would frame a message are dropped",
  mayBe: (message) => /0\r\n(?:.*\r\n)*(?:Content-Length|Transfer-Encoding)/i.test(message),
};

const LAXER_THAN_NODE: Readonly<Record<string, readonly Laxity[]>> = {
  HPE_INVALID_METHOD: [UNKNOWN_METHOD],
  HPE_INVALID_URL: [
    { reason: "bytes of UTF-8 in a target, as in nginx", mayBe: (message) => /[\x80-\xff]/.test(message) },
    { reason: "a scheme may hold digits", mayBe: (message) => /^\s*\S+ [a-z]+[0-9+.-]/i.test(message) },
  ],
  HPE_INVALID_VERSION: [
    { reason: "1.2 to 1.9 are read as 1.1", mayBe: (message) => /HTTP\/1\.[2-9]/.test(message) },
    { reason: "PRI is a method like any other", mayBe: (message) => message.includes("PRI ") },
    BARE_LF,
  ],
  HPE_CR_EXPECTED: [BARE_LF],
  HPE_INVALID_HEADER_TOKEN: [BARE_LF],
  HPE_INVALID_STATUS: [BARE_LF],
  HPE_STRICT: [{ reason: "chunk extensions are skipped unread", mayBe: (message) => message.includes(";") }],
  HPE_INVALID_CONTENT_LENGTH: [
    DROPPED_TRAILER,
    BARE_LF,
    { reason: "a tab may follow a value", mayBe: (message) => /Content-Length:.*\t\r\n/i.test(message) },
  ],
  HPE_INVALID_TRANSFER_ENCODING: [DROPPED_TRAILER],
};

type Read = (input: Buffer, cuts?: readonly number[]) => Reading;

/** Null if the two agree or differ as the tables above say they may; otherwise what is wrong. */
function complaint(read: Read, input: string, oracle: Reading): string | null {
  const codec = read(Buffer.from(input, "latin1"));
  const verdict = compareReadings(codec, oracle);
  switch (verdict.kind) {
    case "agree":
      return null;
    case "codec-refuses":
      return verdict.reason in STRICTER_THAN_NODE ? null : `only the codec refuses: ${verdict.reason}`;
    case "oracle-refuses": {
      const message = input.slice(verdict.from);
      const mayBe = LAXER_THAN_NODE[verdict.reason]?.some((laxity) => laxity.mayBe(message)) === true;
      return mayBe || refusesAtHeadEnd(read, input, codec) ? null : `only Node refuses: ${verdict.reason}`;
    }
    default:
      return `the codec read ${verdict.codec}\nNode read ${verdict.oracle}`;
  }
}

/** What the fields of a head mean, the codec says when the head is whole: Node speaks earlier. */
function refusesAtHeadEnd(read: Read, input: string, codec: Reading): boolean {
  const ended = read(Buffer.from(`${input}\r\n\r\n`, "latin1"));
  return ended.refused !== null && ended.messages.length === codec.messages.length;
}

/** Fuzzes `read` against Node's server; the first complaint, with the seed that brings it back, or null. */
async function fuzzRequests(read: Read, seed: number, runs: number): Promise<string | null> {
  const oracle = new NodeServerOracle();
  for (let run = 0; run < runs; run++) {
    const text = randomRequests(seededRandom(seed + run));
    const wrong = complaint(read, text, await oracle.read(Buffer.from(text, "latin1")));
    if (wrong !== null) return `WSGATE_FUZZ_SEED=${seed + run}: ${wrong}\nin ${JSON.stringify(text)}`;
  }
  return null;
}

async function fuzzResponses(seed: number, runs: number): Promise<string | null> {
  for (let run = 0; run < runs; run++) {
    const random = seededRandom(seed + run);
    const method = pick(random, ["GET", "GET", "GET", "HEAD"]);
    const text = randomResponse(random);
    const read: Read = (input, cuts) => readResponse(method, input, cuts);
    const wrong = complaint(read, text, await readResponseWithNode(method, Buffer.from(text, "latin1")));
    if (wrong !== null)
      return `WSGATE_FUZZ_SEED=${seed + run}: ${wrong}\nin ${method} ${JSON.stringify(text)}`;
  }
  return null;
}

/** Reads `input` whole, cut in two at every boundary, and byte by byte; the first difference, or null. */
function cutDifference(read: Read, input: Buffer): string | null {
  const whole = JSON.stringify(read(input));
  for (let cut = 1; cut < input.length; cut++) {
    const cutOnce = JSON.stringify(read(input, [cut]));
    if (cutOnce !== whole) return `cut at ${cut}: ${cutOnce}\nwhole: ${whole}`;
  }
  const inBytes = JSON.stringify(read(input, Array.from(input.keys())));
  return inBytes === whole ? null : `byte by byte: ${inBytes}\nwhole: ${whole}`;
}

function fuzzCuts(read: Read, seed: number, runs: number): string | null {
  for (let run = 0; run < runs; run++) {
    const input = Buffer.from(randomRequests(seededRandom(seed + run)), "latin1");
    const difference = cutDifference(read, input);
    if (difference !== null) return `WSGATE_FUZZ_SEED=${seed + run}: ${difference}`;
  }
  return null;
}

describe("the codec, fuzzed", () => {
  const seed = fuzzSeed();
  // The seed belongs in the report of every run, so that a failure elsewhere can be repeated here.
  process.stdout.write(`codec fuzz: WSGATE_FUZZ_SEED=${seed}\n`);

  it("reads requests as Node does, but for the differences written down", { timeout: 600_000 }, async () => {
    expect(await fuzzRequests(readRequests, seed, fuzzRuns(4000))).toBeNull();
  });

  it("reads responses as Node does, but for the differences written down", { timeout: 600_000 }, async () => {
    expect(await fuzzResponses(seed, fuzzRuns(2000))).toBeNull();
  });

  it("reads requests the same however they are cut", { timeout: 600_000 }, () => {
    expect(fuzzCuts(readRequests, seed, fuzzRuns(150))).toBeNull();
  });

  it("reads responses the same however they are cut", { timeout: 600_000 }, () => {
    for (let run = 0; run < fuzzRuns(150); run++) {
      const input = Buffer.from(randomResponse(seededRandom(seed + run)), "latin1");
      const read: Read = (bytes, cuts) => readResponse("GET", bytes, cuts);
      expect(cutDifference(read, input), `WSGATE_FUZZ_SEED=${seed + run}`).toBeNull();
    }
  });

  it("notices a codec that does not see Transfer-Encoding", async () => {
    const blind: Read = (input) =>
      readRequests(
        Buffer.from(input.toString("latin1").replaceAll("Transfer-Enc", "Trans_er-Enc"), "latin1"),
      );
    expect(await fuzzRequests(blind, 1, 1000)).toMatch(/Node/);
  });

  it("notices a codec that loses a byte where the input is cut", () => {
    const forgetful: Read = (input, cuts = []) =>
      readRequests(Buffer.from(input.filter((_, i) => !cuts.includes(i))));
    expect(fuzzCuts(forgetful, 1, 10)).toMatch(/cut at/);
  });
});
