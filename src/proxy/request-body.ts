import type { Request } from "../compile/request.ts";
import { BODY_OF_NO_BYTES, MemoryBody, NO_BODY, type OutgoingBody, StreamedBody } from "./outgoing-body.ts";
import type { ProxyRules } from "./rules.ts";

/** The body that goes upstream, where it need not be read whole before anything is sent; else null. */
export function bodyAtOnce(request: Request, rules: ProxyRules): OutgoingBody | null {
  if (rules.proxy_set_body !== null) {
    return new MemoryBody([Buffer.from(rules.proxy_set_body.render(request), "latin1")]);
  }
  if (!rules.proxy_pass_request_body || request.head.framing.kind === "none") return NO_BODY;
  const length = request.downstream.requestBodyLength;
  if (length === 0) return BODY_OF_NO_BYTES;
  // HTTP/1.0 has no chunks: nginx reads a body of unknown length whole then, whatever the location says.
  const isWhole = rules.proxy_request_buffering || (length === null && rules.proxy_http_version === "1.0");
  return isWhole ? null : new StreamedBody(request.downstream);
}
