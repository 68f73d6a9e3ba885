import { NO_BODY } from "../http/framing.ts";
import type { RequestHead } from "../http/head-parser.ts";
import type { ReceivedHead } from "../http/head-scanner.ts";

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
