/** One HTTP/1.1 request, written byte for byte, and what comes back. */
import type { HeadLimits } from "../../http/head-limits.ts";
import { type ResponseHead, ResponseHeadParser } from "../../http/head-parser.ts";
import { BodyParser } from "../../http/body-parser.ts";
import { leave } from "./goodbye.ts";
import { connect, type Ending, type Route, type Wire } from "./wire.ts";

/** The head of an answer, as data. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly versionMinor: 0 | 1;
  /** Names as they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export type ExchangeOutcome =
  /** `body` is what came of it within its limit, as a byte string. */
  | { readonly kind: "answer"; readonly answer: Answer; readonly body: string }
  /** Bytes came that are no HTTP; `rule` says what they break. */
  | { readonly kind: "not-http"; readonly bytes: string; readonly rule: string }
  | {
      readonly kind: "ended";
      readonly ending: Ending;
      /** OpenSSL's words where TLS ended it; else empty. */
      readonly detail: string;
      readonly bytes: number;
    }
  | { readonly kind: "timeout" }
  | { readonly kind: "unconnected"; readonly code: string };

export interface Exchange {
  /** What was sent, as a byte string. */
  readonly request: string;
  readonly outcome: ExchangeOutcome;
  /** From the request to the whole head of the answer, or to whatever came instead. */
  readonly ms: number;
}

/** What is read of a body: enough to see who wrote it. */
const BODY_BYTES_MAX = 16 * 1024;
/** A body is worth no more waiting than this. */
const BODY_MS_MAX = 1_000;
const HEAD_LIMITS: HeadLimits = {
  clientHeaderBufferBytes: 64 * 1024,
  largeBufferBytes: 64 * 1024,
  largeBufferCount: 1,
  headersCountMax: 500,
};

/** Connects, sends the request, reads the answer, and closes: a WebSocket with a Close frame. */
export async function exchange(route: Route, request: string, timeoutMs: number): Promise<Exchange> {
  const opened = await exchangeAndKeep(route, request, timeoutMs);
  if (opened.wire !== null) await leave(opened.wire);
  return opened.exchange;
}

/** As {@link exchange}, but leaves a connection open that was answered with 101. */
export async function exchangeAndKeep(
  route: Route,
  request: string,
  timeoutMs: number,
): Promise<{ readonly exchange: Exchange; readonly wire: Wire | null }> {
  const connected = await connect(route, timeoutMs);
  if (!connected.ok) {
    const outcome: ExchangeOutcome = { kind: "unconnected", code: connected.code };
    return { exchange: { request, outcome, ms: connected.ms }, wire: null };
  }
  const { wire } = connected;
  const startedMs = performance.now();
  wire.send(request);
  const method = request.slice(0, request.indexOf(" "));
  const outcome = await readAnswer(wire, method, startedMs + timeoutMs);
  const ms = performance.now() - startedMs;
  if (outcome.kind === "answer" && outcome.answer.status === 101)
    return { exchange: { request, outcome, ms }, wire };
  wire.destroy();
  return { exchange: { request, outcome, ms }, wire: null };
}

/** The value of a header by its name in lower case, several joined by ", "; undefined where there is none. */
export function header(answer: Answer, lower: string): string | undefined {
  const values = answer.headers.filter(([name]) => name.toLowerCase() === lower).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

async function readAnswer(wire: Wire, method: string, deadlineMs: number): Promise<ExchangeOutcome> {
  const parser = new ResponseHeadParser(method, HEAD_LIMITS);
  let seen = "";
  for (;;) {
    seen += wire.received.toString("latin1", 0, 512);
    const head = readHead(wire, parser);
    if (parser.error !== null)
      return { kind: "not-http", bytes: seen.slice(0, 512), rule: parser.error.message };
    if (head !== null) {
      const body = await readBody(wire, head, Math.min(deadlineMs, performance.now() + BODY_MS_MAX));
      return { kind: "answer", answer: answerOf(head), body };
    }
    if (wire.ending !== null) {
      const { ending, endingDetail: detail } = wire;
      return { kind: "ended", ending, detail, bytes: seen.length };
    }
    if (!(await wire.change(deadlineMs))) return { kind: "timeout" };
  }
}

/** The final head, as far as it has come; null while it has not, or where it is broken. */
function readHead(wire: Wire, parser: ResponseHeadParser): ResponseHead | null {
  while (wire.received.length > 0) {
    const chunk = wire.received;
    wire.take(parser.execute(chunk, 0, chunk.length));
    if (parser.error !== null) return null;
    if (parser.head?.isInterim === false) return parser.head;
    if (parser.head !== null) parser.reset();
  }
  return null;
}

async function readBody(wire: Wire, head: ResponseHead, deadlineMs: number): Promise<string> {
  if (head.status === 101) return "";
  let body = "";
  const parser = new BodyParser(head.framing, {
    onData: (buffer, start, end) => {
      body += buffer.toString("latin1", start, end);
    },
    onTrailers: () => {},
  });
  while (parser.state === "more" && body.length < BODY_BYTES_MAX) {
    if (wire.received.length > 0) {
      const chunk = wire.received;
      wire.take(parser.feed(chunk, 0, chunk.length));
    } else if (wire.ending !== null || !(await wire.change(deadlineMs))) break;
  }
  return body.slice(0, BODY_BYTES_MAX);
}

function answerOf({ status, reason, versionMinor, headers }: ResponseHead): Answer {
  const pairs = Array.from({ length: headers.length }, (_, index): [string, string] => [
    headers.nameAt(index),
    headers.valueAt(index),
  ]);
  return { status, reason, versionMinor, headers: pairs };
}
