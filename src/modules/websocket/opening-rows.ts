import { type ByteString, byteStringFromText } from "../../base/bytes.ts";
import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import { custom, enumOf, MANY } from "../../compile/values.ts";
import type { Word } from "../../config/tree.ts";
import type { OpeningSettings } from "../../proxy/upgrade.ts";
import { parseCompression } from "./parse-compression.ts";
import { parseAllowedOrigins } from "./parse-origins.ts";

/** How a tunnel is opened. */
export const openingRows: RowsOf<OpeningSettings> = {
  websocket_upgrade: one({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("auto", "manual", "off"),
    default: "auto" as const,
    nginx: false,
    doc: "auto: a valid opening handshake is passed on where the location sets neither Upgrade nor Connection itself; manual: only what proxy_set_header says, as in nginx; off: it is refused with 426.",
  }),
  websocket_handshake: one({
    in: HTTP_SERVER_LOCATION,
    type: enumOf("strict", "relaxed"),
    default: "strict" as const,
    nginx: false,
    doc: "strict: client and upstream must keep all rules of RFC 6455 section 4; relaxed: only those without which a tunnel would not be safe.",
  }),
  proxy_upgrade_protocols: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("websocket | any | name …", [1, MANY], parseProtocols),
    default: new Set(["websocket"]),
    defaultText: "websocket",
    nginx: false,
    doc: "The protocols that a connection may be upgraded to. h2c never is.",
  }),
  websocket_allowed_origins: one({
    in: HTTP_SERVER_LOCATION,
    type: custom("any | same | null | origin | ~regex …", [1, MANY], parseAllowedOrigins),
    default: "any" as const,
    nginx: false,
    doc: "The pages that may open a WebSocket, by their Origin; others get 403, and the upstream is not asked. same: those of the host and port that the request is for; an origin: `https://app.example.com`, `https://*.example.com` for names below it, `http://localhost:*` for any port; without a scheme both https and http are meant; null: sandboxed pages. Programs, which send no Origin, pass.",
  }),
  websocket_compression: one({
    in: HTTP_SERVER_LOCATION,
    type: custom(
      "pass | off | offload [level=number] [window=bits] [min=size] [takeover=on | off]",
      [1, 5],
      parseCompression,
    ),
    default: { kind: "pass" } as const,
    defaultText: "pass",
    nginx: false,
    doc: "pass: client and upstream agree on permessage-deflate between themselves; off: the upstream sees no offer of it; offload: wsgate compresses for the client, and the upstream sees plain messages. level is zlib's, from 1 (fast) to 9 (small; default 3); window the largest window, from 9 to 15 bits (default 12, 4 kB); messages to the client below min (default 256) go as they are. With takeover=on (default) windows are kept between messages, which makes short messages half as long; a tunnel then takes about 100 kB to compress (220 kB with window=15) until ten seconds without a message, and 25 kB to inflate. With takeover=off nothing is kept between messages. (Measured with 500 tunnels, 15 seconds after a message of each: 90 kB more than a tunnel without compression, since what compressors give back stays with the process for the next ones; none more with takeover=off.) Limits and rates hold for what the upstream gets: inflated messages, in frames of up to 16 kB. A message that inflates to more than 16 MB and 256 times its size ends the tunnel with 1009.",
  }),
};

function parseProtocols(args: readonly Word[], check: Check): "any" | ReadonlySet<ByteString> | undefined {
  const names = args.map((word) => word.text.toLowerCase());
  const h2c = args.find((word) => word.text.toLowerCase().startsWith("h2c"));
  if (h2c !== undefined) {
    check.error(h2c.span, `invalid value "${h2c.text}"`, {
      code: "invalid-value",
      notes: [{ message: "a tunnel that speaks HTTP/2 would pass requests by every rule of this proxy" }],
    });
    return undefined;
  }
  return names.includes("any") ? "any" : new Set(names.map(byteStringFromText));
}
