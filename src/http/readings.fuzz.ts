import type { ByteString } from "../base/bytes.ts";
import { BodyParser, isFramingTrailer } from "./body-parser.ts";
import type { Framing } from "./framing.ts";
import { RequestHeadParser, ResponseHeadParser } from "./head-parser.ts";
import type { HeaderList } from "./header-list.ts";

/** One message as a parser saw it, in a form in which two parsers can be compared. */
export interface SeenMessage {
  readonly startLine: string;
  /** Names as received and values, in turn. */
  readonly headers: readonly string[];
  body: string;
  trailers: readonly string[];
  complete: boolean;
}

/** What a parser made of a stream of bytes. */
export interface Reading {
  readonly messages: readonly SeenMessage[];
  /** Why the stream was refused, in the parser's own words; null if it was not. */
  readonly refused: string | null;
  /** Where each complete message ended; only the codec says so. */
  readonly ends?: readonly number[];
}

/** The codec with nothing ignored, so that every name it passes on can be compared. */
const EVERY_NAME = { ignoreInvalidHeaders: false, underscoresInHeaders: true };

/**
 * Reads pipelined requests with the codec, in the pieces that `cuts` (ascending offsets) make of the input. The stream does
 * not end; reading stops after a request that does not keep the connection alive.
 */
export function readRequests(input: Buffer, cuts: readonly number[] = []): Reading {
  const messages: SeenMessage[] = [];
  const ends: number[] = [];
  const parser = new RequestHeadParser(undefined, EVERY_NAME);
  let body: BodyParser | null = null;
  let start = 0;
  for (const end of [...cuts, input.length]) {
    while (start < end) {
      if (body === null) {
        start += parser.execute(input, start, end);
        if (parser.error !== null) return { messages, ends, refused: parser.error.rule };
        if (parser.head === null) continue;
        const { method, target, versionMinor, headers, framing } = parser.head;
        const seen = seenMessage(`${method} ${target} HTTP/1.${versionMinor}`, headers);
        messages.push(seen);
        body = recordingBodyParser(framing, seen);
      } else {
        start += body.feed(input, start, end);
        if (body.error !== null) return { messages, ends, refused: body.error.rule };
      }
      if (body.state !== "done") continue;
      markComplete(messages);
      ends.push(start);
      if (parser.head?.keepAlive !== true) return { messages, ends, refused: null };
      body = null;
      parser.reset();
    }
  }
  return { messages, ends, refused: null };
}

/** Reads the one response to a request of method `method` with the codec; the connection ends with the input. */
export function readResponse(method: ByteString, input: Buffer, cuts: readonly number[] = []): Reading {
  const parser = new ResponseHeadParser(method);
  const messages: SeenMessage[] = [];
  let body: BodyParser | null = null;
  let start = 0;
  for (const end of [...cuts, input.length]) {
    while (start < end && body?.state !== "done") {
      if (body === null) {
        start += parser.execute(input, start, end);
        if (parser.error !== null) return { messages, refused: parser.error.rule };
        if (parser.head === null) continue;
        const { versionMinor, status, reason, headers, framing } = parser.head;
        const seen = seenMessage(`HTTP/1.${versionMinor} ${status} ${reason}`, headers);
        messages.push(seen);
        body = recordingBodyParser(framing, seen);
      } else {
        start += body.feed(input, start, end);
        if (body.error !== null) return { messages, refused: body.error.rule };
      }
    }
  }
  if (body === null) return { messages, refused: "premature-end" };
  body.end();
  if (body.error !== null) return { messages, refused: body.error.rule };
  markComplete(messages);
  return { messages, refused: null };
}

function seenMessage(startLine: string, headers: HeaderList): SeenMessage {
  return { startLine, headers: flatten(headers), body: "", trailers: [], complete: false };
}

function recordingBodyParser(framing: Framing, seen: SeenMessage): BodyParser {
  return new BodyParser(framing, {
    onData: (buffer, start, end) => {
      seen.body += buffer.toString("latin1", start, end);
    },
    onTrailers: (trailers) => {
      seen.trailers = flatten(trailers);
    },
  });
}

function markComplete(messages: readonly SeenMessage[]): void {
  const last = messages.at(-1);
  if (last !== undefined) last.complete = true;
}

function flatten(headers: HeaderList): string[] {
  const flat: string[] = [];
  for (let i = 0; i < headers.length; i++) flat.push(headers.nameAt(i), headers.valueAt(i));
  return flat;
}

/** How the codec's reading compares with another parser's. */
export type Verdict =
  | { readonly kind: "agree" }
  /** One of the two refused what the other still read; `reason` is the refusal's. */
  | {
      readonly kind: "codec-refuses" | "oracle-refuses";
      readonly reason: string;
      /** Where in the input the message begins that they do not agree about. */
      readonly from: number;
    }
  | { readonly kind: "differ"; readonly codec: string; readonly oracle: string };

/** Compares two readings up to the first message that one of them did not complete. */
export function compareReadings(codec: Reading, oracle: Reading): Verdict {
  const comparable = Math.min(comparableLength(codec), comparableLength(oracle));
  const ours = completeMessages(codec).slice(0, comparable);
  const theirs = completeMessages(oracle).slice(0, comparable);
  const both = Math.min(ours.length, theirs.length);
  for (let i = 0; i < both; i++) {
    const [a, b] = [JSON.stringify(ours[i]), JSON.stringify(theirs[i])];
    if (a !== b) return { kind: "differ", codec: a, oracle: b };
  }
  if (both === comparable) return { kind: "agree" };
  const from = codec.ends?.[both - 1] ?? 0;
  const codecStopped = ours.length === both ? codec.refused : null;
  const oracleStopped = theirs.length === both ? oracle.refused : null;
  if (codecStopped !== null && oracleStopped === null) {
    return { kind: "codec-refuses", reason: codecStopped, from };
  }
  if (oracleStopped !== null && codecStopped === null) {
    return { kind: "oracle-refuses", reason: oracleStopped, from };
  }
  if (ours.length === theirs.length) return { kind: "agree" };
  return { kind: "differ", codec: `${ours.length} messages`, oracle: `${theirs.length} messages` };
}

/** The messages that were read to their end, without the trailers that the codec drops. */
function completeMessages(reading: Reading): SeenMessage[] {
  const complete: SeenMessage[] = [];
  for (const message of reading.messages) {
    if (!message.complete) continue;
    complete.push({ ...message, trailers: withoutFramingTrailers(message.trailers) });
  }
  return complete;
}

/** How many messages can be compared: up to the first where Node goes its own way. */
function comparableLength(reading: Reading): number {
  for (const [i, message] of reading.messages.entries()) {
    if (asksForUpgrade(message)) return i;
    if (hasConnectionTrailer(message) || isOfTwoMinds(message)) return i + 1;
  }
  return Number.POSITIVE_INFINITY;
}

function withoutFramingTrailers(trailers: readonly string[]): string[] {
  return trailers.filter((_, i) => !isFramingTrailer((trailers[i - (i % 2)] ?? "").toLowerCase()));
}

/** Of a request for an upgrade Node reads no body, and what follows it, not as HTTP. */
function asksForUpgrade(message: SeenMessage): boolean {
  return /^connection\n[^\n]*upgrade/im.test(message.headers.join("\n"));
}

/** Node obeys a `Connection` among the trailers. */
function hasConnectionTrailer(message: SeenMessage): boolean {
  return message.trailers.some((text, i) => i % 2 === 0 && text.toLowerCase() === "connection");
}

/** Of `keep-alive` and `close` in one HTTP/1.0 message Node obeys the former; RFC 9112 section 9.3 the latter. */
function isOfTwoMinds(message: SeenMessage): boolean {
  const headers = message.headers.join("\n");
  const says = (word: string): boolean => new RegExp(`^connection\n[^\n]*${word}`, "im").test(headers);
  return message.startLine.endsWith("HTTP/1.0") && says("close") && says("keep-alive");
}
