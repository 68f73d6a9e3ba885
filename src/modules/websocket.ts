import { type ByteString, byteStringFromText } from "../base/bytes.ts";
import type { Check } from "../compile/check.ts";
import { HTTP_SERVER_LOCATION } from "../compile/contexts.ts";
import type { Module, VariableRow } from "../compile/module.ts";
import type { TunnelTotals } from "../compile/request.ts";
import { one, settingsAt } from "../compile/rows.ts";
import { custom, enumOf, MANY } from "../compile/values.ts";
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
      "How the tunnel ended: eof, reset, read-timeout, ….",
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
