import type { ByteString } from "../../base/bytes.ts";
import { formatSeconds } from "../../base/units.ts";
import type { VariableRow } from "../../compile/module.ts";
import type { FrameTotals, Request, TunnelTotals } from "../../compile/request.ts";
import { findDeflate } from "../../websocket/deflate-parameters.ts";

/** What is to be told of a tunnel once it is over. */
export const websocketVariables: readonly VariableRow[] = [
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
  variable(
    "websocket_bytes_in",
    "Bytes that the client sent in the tunnel, as they were on the wire.",
    (tunnel) => String(tunnel.bytesFromClient),
  ),
  variable(
    "websocket_bytes_out",
    "Bytes that the upstream sent in the tunnel, as they were on the wire.",
    (tunnel) => String(tunnel.bytesFromUpstream),
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
  frameVariable("websocket_close_reason", "The reason beside that code.", (frames) =>
    frames.closeCode === null ? undefined : frames.closeReason,
  ),
  frameVariable(
    "websocket_rtt",
    "Seconds that the last ping to the client and its answer took, to the millisecond.",
    (frames) => (frames.rttMs === null ? undefined : formatSeconds(frames.rttMs)),
  ),
  {
    name: "websocket_compression",
    family: false,
    doc: "permessage-deflate with its parameters, as the client was told that it is agreed on; empty without it.",
    from: "upstream",
    changeable: false,
    nginx: false,
    get: () => (request) =>
      hasSwitched(request)
        ? (findDeflate(request.response.headers.getAll("sec-websocket-extensions")) ?? "")
        : undefined,
  },
  {
    ...variable("websocket_compression_ratio", "", () => ""),
    doc: "How many times longer messages were than they were on the client's wire, with websocket_compression offload.",
    get: () => (request) => request.tunnel?.compressionRatio?.toFixed(2),
  },
  {
    name: "websocket_subprotocol",
    family: false,
    doc: "The subprotocol that the upstream chose.",
    from: "upstream",
    changeable: false,
    nginx: false,
    get: () => (request) =>
      hasSwitched(request) ? request.upstreamHeaders?.get("sec-websocket-protocol") : undefined,
  },
];

/** By the upstream's answer: over HTTP/2 the client's is a 200. */
function hasSwitched(request: Request): boolean {
  return request.attempts?.at(-1)?.status === 101;
}

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
