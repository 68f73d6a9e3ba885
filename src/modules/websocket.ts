import { type ByteString, byteStringFromText } from "../base/bytes.ts";
import type { Check } from "../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../compile/contexts.ts";
import type { Module, VariableRow } from "../compile/module.ts";
import type { FrameTotals, TunnelTotals } from "../compile/request.ts";
import { one, settingsAt } from "../compile/rows.ts";
import { custom, enumOf, integer, MANY, offset, orOff, timeMsOrOff } from "../compile/values.ts";
import { formatSeconds } from "../base/units.ts";
import type { Word } from "../config/tree.ts";
import { UPGRADE_SETTINGS } from "../proxy/upgrade.ts";

const rows = {
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
} as const;

/** WebSockets: how they are opened, and what is to be told of them. */
export const websocketModule: Module = {
  name: "wsgate_websocket_module",
  directives: rows,
  variables: [
    variable(
      "websocket_ended_by",
      "Who ended the tunnel: client, upstream or proxy.",
      (tunnel) => tunnel.endedBy,
    ),
    variable(
      "websocket_end",
      "How the tunnel ended: close, eof, reset, read-timeout, ping-timeout, limit, violation, ….",
      (tunnel) => tunnel.reason,
    ),
    variable("websocket_bytes_in", "Bytes that the client sent in the tunnel.", (tunnel) =>
      String(tunnel.bytesFromClient),
    ),
    variable("websocket_bytes_out", "Bytes that the upstream sent in the tunnel.", (tunnel) =>
      String(tunnel.bytesFromUpstream),
    ),
    variable("websocket_duration", "Seconds that the tunnel lasted, to the millisecond.", (tunnel) =>
      formatSeconds(tunnel.durationMs),
    ),
    frameVariable("websocket_messages_in", "Messages that the client sent.", (frames) =>
      String(frames.messagesFromClient),
    ),
    frameVariable("websocket_messages_out", "Messages that the upstream sent.", (frames) =>
      String(frames.messagesFromUpstream),
    ),
    frameVariable(
      "websocket_close_code",
      "The code of the first Close frame, 1005 for one without; or of the one that wsgate sent.",
      (frames) => (frames.closeCode === null ? undefined : String(frames.closeCode)),
    ),
    frameVariable("websocket_close_reason", "The reason beside that code.", (frames) => frames.closeReason),
    frameVariable(
      "websocket_rtt",
      "Seconds that the last ping to the client and its answer took, to the millisecond.",
      (frames) => (frames.rttMs === null ? undefined : formatSeconds(frames.rttMs)),
    ),
    {
      name: "websocket_subprotocol",
      family: false,
      doc: "The subprotocol that the upstream chose.",
      from: "upstream",
      changeable: false,
      nginx: false,
      get: () => (request) =>
        request.response.status === 101 ? request.upstreamHeaders?.get("sec-websocket-protocol") : undefined,
    },
  ],
  location(scope, check) {
    check.share(UPGRADE_SETTINGS).set(scope, settingsAt(rows, scope));
    return {};
  },
};

function variable(name: string, doc: string, read: (tunnel: TunnelTotals) => ByteString): VariableRow {
  return {
    name,
    family: false,
    doc,
    from: "log",
    changeable: false,
    nginx: false,
    get: () => (request) => (request.tunnel === null ? undefined : read(request.tunnel)),
  };
}

function frameVariable(
  name: string,
  doc: string,
  read: (frames: FrameTotals) => ByteString | undefined,
): VariableRow {
  return {
    ...variable(name, doc, () => ""),
    get: () => (request) => {
      const frames = request.tunnel?.frames ?? null;
      return frames === null ? undefined : read(frames);
    },
  };
}

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
