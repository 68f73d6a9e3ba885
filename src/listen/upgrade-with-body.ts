import type { Request } from "../compile/request.ts";
import type { RequestHead } from "../http/head-parser.ts";

/*
 * An upgrade that comes with a body is how requests have been smuggled (CVE-2026-58055): one side reads the bytes after
 * the head as the body, the other as the new protocol. A WebSocket handshake never has a body (RFC 6455 section 4.1),
 * so that one is refused. Other protocols are offered along with ordinary requests, h2c by Java's client with every first
 * POST; a server may ignore such an offer (RFC 9110 section 7.8), and we do.
 */

/** The status that refuses a handshake with a body, and 0 for everything else. Writes the line that says why. */
export function upgradeRefusal(request: Request, { framing, upgrade }: RequestHead): number {
  const isBodiless = framing.kind === "none" || (framing.kind === "length" && framing.length === 0);
  if (isBodiless || !upgrade.includes("websocket")) return 0;
  request.log("info", "client sent a WebSocket handshake with a body");
  return 400;
}

/** The head as that of a request that offers nothing, unless its body is empty. */
export function withoutUpgrade(head: RequestHead): RequestHead {
  return head.framing.kind === "length" && head.framing.length === 0 ? head : { ...head, upgrade: [] };
}
