import type { Request } from "../compile/request.ts";
import { acceptOffer, type DeflateAgreement, formatAgreement } from "../websocket/deflate-parameters.ts";
import type { ProxyRules } from "./rules.ts";

/**
 * With `websocket_compression offload`, answers the client's offer of permessage-deflate in the place of the upstream,
 * which has not seen it: writes the answer's field, and returns what both are bound by from now on.
 */
export function answerDeflate(request: Request, rules: ProxyRules): DeflateAgreement | null {
  const { websocket_compression } = rules;
  if (websocket_compression.kind !== "offload") return null;
  // Another extension may give frames a meaning that we do not know.
  if (request.upstreamHeaders?.get("sec-websocket-extensions")) return null;
  const agreement = acceptOffer(
    request.head.headers.getAll("sec-websocket-extensions"),
    websocket_compression,
  );
  if (agreement !== null)
    request.response.headers.set("Sec-WebSocket-Extensions", formatAgreement(agreement));
  return agreement;
}
