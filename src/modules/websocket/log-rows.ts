import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { one, type RowsOf } from "../../compile/rows.ts";
import { anyOf, orOff } from "../../compile/values.ts";
import { TUNNEL_EVENTS, type TunnelLogSettings } from "../../proxy/tunnel-log.ts";

/** What is told of a tunnel beside its line in the access log. */
export const logRows: RowsOf<TunnelLogSettings> = {
  websocket_log: one({
    in: HTTP_SERVER_LOCATION,
    type: orOff(anyOf(...TUNNEL_EVENTS)),
    default: ["end"] as const,
    defaultText: "end",
    nginx: false,
    doc: "What of a tunnel's life gets a line in the error log, at level info. open: with its subprotocol and extensions; end: who ended it and why, how long it was open, and what was sent; close-frame: each Close frame, also those of wsgate, with code and reason; message: the kind and size of each message.",
  }),
};
