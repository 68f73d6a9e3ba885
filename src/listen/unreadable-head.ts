import type { ByteString } from "../base/bytes.ts";
import { NO_BODY } from "../http/framing.ts";
import type { RequestHead } from "../http/head-parser.ts";
import { HeaderList } from "../http/header-list.ts";

/**
 * Stands for a head that could not be read to its end, so that its refusal goes the way of every other answer: error
 * page, access log. Its method is empty, and its target is the whole first line as far as it came: `$request`.
 */
export function unreadableHead(startLine: ByteString, headBytes: number): RequestHead {
  return {
    method: "",
    target: startLine,
    form: "origin",
    scheme: null,
    authority: null,
    rawPath: "/",
    rawQuery: null,
    versionMinor: 1,
    headers: new HeaderList(),
    host: null,
    port: null,
    framing: NO_BODY,
    keepAlive: false,
    upgrade: [],
    expectContinue: false,
    headBytes,
  };
}
