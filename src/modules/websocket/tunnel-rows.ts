import { HTTP_SERVER_LOCATION } from "../../compile/contexts.ts";
import { many, one, type RowsOf } from "../../compile/rows.ts";
import { custom, integer, MANY, offset, orOff, timeMsOrOff } from "../../compile/values.ts";
import type { WatchSettings } from "../../websocket/tunnel-watch.ts";
import { parseRate } from "./parse-rate.ts";

/** What an open tunnel is held to. */
export const tunnelRows: RowsOf<WatchSettings> = {
  websocket_ping_interval: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMsOrOff(),
    default: 20_000,
    defaultText: "20s",
    nginx: false,
    doc: "A side that has been silent for so long gets a ping. An answer counts as life, so that an idle tunnel outlasts proxy_read_timeout while both sides live; a side that answers none for that time is dead.",
  }),
  websocket_idle_timeout: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMsOrOff(),
    default: null,
    defaultText: "off",
    nginx: false,
    doc: "Ends a tunnel in which neither side has sent a message for so long, whatever pings say.",
  }),
  websocket_max_duration: one({
    in: HTTP_SERVER_LOCATION,
    type: timeMsOrOff(),
    default: null,
    defaultText: "off",
    nginx: false,
    doc: "Ends a tunnel after this time.",
  }),
  websocket_max_message_size: one({
    in: HTTP_SERVER_LOCATION,
    type: orOff(offset()),
    default: null,
    defaultText: "off",
    nginx: false,
    doc: "The longest message, as it is on the wire. Who sends a longer one gets a Close frame with 1009, the other side one with 1001.",
  }),
  websocket_max_frame_size: one({
    in: HTTP_SERVER_LOCATION,
    type: orOff(offset()),
    default: null,
    defaultText: "off",
    nginx: false,
    doc: "The longest frame. Who sends a longer one gets a Close frame with 1009, the other side one with 1001.",
  }),
  websocket_max_fragments: one({
    in: HTTP_SERVER_LOCATION,
    type: orOff(integer(1, MANY)),
    default: null,
    defaultText: "off",
    nginx: false,
    doc: "The most frames that a message may come in. Who sends more gets a Close frame with 1008, the other side one with 1001.",
  }),
  websocket_rate: many({
    in: HTTP_SERVER_LOCATION,
    type: custom(
      "number r/s | number r/m | size/s [burst=number | size] [from=client | upstream] [delay | close] | off",
      [1, 4],
      parseRate,
    ),
    inherit: "list",
    defaultText: "off",
    nginx: false,
    doc: "How fast one side of a tunnel may send: messages (`100r/s`, `30r/m`) or bytes as on the wire (`64k/s`; with websocket_compression offload, as the upstream gets them). burst: how much may come at once, by default as much as a second allows; from: whose, by default the client's; delay, the default: what is too much waits, and its sender feels it; close: it gets a Close frame with 1008, the other side one with 1001. Several hold together. Once wsgate itself closes the tunnel in good order, nothing is held back any more.",
  }),
};
