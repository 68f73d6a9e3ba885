import { NO_BODY } from "../http/framing.ts";
import type { HeadError, HeadRule } from "../http/head-error.ts";
import type { RequestHead } from "../http/head-parser.ts";
import type { ReceivedHead } from "../http/head-scanner.ts";

/** What the first line of an incomplete head ends in once it is complete, or nearly. */
const WHOLE_LINE = / HTTP\/\d\.\d$/;

/** Rules about the request line; all others are about what comes after it. */
const LINE_RULES: ReadonlySet<HeadRule> = new Set([
  "invalid-method",
  "invalid-target",
  "fragment-in-target",
  "http-0.9",
  "invalid-version",
  "unsupported-version",
  "request-line-too-long",
  "too-many-empty-lines",
  "invalid-authority",
]);

/**
 * Stands for a head that could not be read to its end, so that its refusal goes the way of every other answer: error
 * page, access log. Its method is empty, and its target is the whole first line as far as it came: `$request`.
 */
export function unreadableHead({ startLine, headers }: ReceivedHead, headBytes: number): RequestHead {
  return {
    method: "",
    target: startLine,
    form: "origin",
    scheme: null,
    authority: null,
    rawPath: "/",
    rawQuery: null,
    versionMajor: 1,
    versionMinor: 1,
    headers,
    host: null,
    port: null,
    framing: NO_BODY,
    keepAlive: false,
    upgrade: [],
    expectContinue: false,
    headBytes,
  };
}

/** What was being done with such a head, in nginx's words; `error` is null for one that did not come whole. */
export function headActivity({ startLine }: ReceivedHead, error: HeadError | null): string {
  const isInLine = error === null ? !WHOLE_LINE.test(startLine) : LINE_RULES.has(error.rule);
  return `reading client request ${isInLine ? "line" : "headers"}`;
}
