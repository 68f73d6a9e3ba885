import type { ByteString } from "../base/bytes.ts";
import { formatSeconds } from "../base/units.ts";
import type { Request, TunnelTotals } from "../compile/request.ts";
import { quoted } from "../observe/quoted.ts";
import { BINARY, TEXT } from "../websocket/frame-head.ts";
import type { FrameObserver } from "../websocket/tunnel-watch.ts";

/** What of a tunnel's life is told in the error log, at level info. */
export const TUNNEL_EVENTS = ["open", "end", "close-frame", "message"] as const;
export type TunnelEvent = (typeof TUNNEL_EVENTS)[number];

export interface TunnelLogSettings {
  /** null: nothing. */
  readonly websocket_log: readonly TunnelEvent[] | null;
}

const NO_CODE = 1005;

export function logOpen(request: Request, settings: TunnelLogSettings): void {
  if (!tells(request, settings, "open")) return;
  const { upstreamHeaders: headers } = request;
  const subprotocol = headers?.get("sec-websocket-protocol");
  const extensions = headers?.getAll("sec-websocket-extensions").join(", ") ?? "";
  request.log(
    "info",
    `tunnel opened: ${quoted(request.response.headers.get("upgrade") ?? "websocket")}` +
      (subprotocol === undefined ? "" : `, subprotocol ${quoted(subprotocol)}`) +
      (extensions === "" ? "" : `, extensions ${quoted(extensions)}`),
  );
}

export function logEnd(request: Request, settings: TunnelLogSettings, totals: TunnelTotals): void {
  if (!tells(request, settings, "end")) return;
  const { endedBy, reason, frames, durationMs, bytesFromClient, bytesFromUpstream } = totals;
  const close =
    frames === null || frames.closeCode === null
      ? ""
      : `, ${closeText(frames.closeCode, frames.closeReason)}`;
  const fromClient = frames === null ? "" : `${messages(frames.messagesFromClient)}, `;
  const fromUpstream = frames === null ? "" : `${messages(frames.messagesFromUpstream)}, `;
  request.log(
    "info",
    `tunnel ended by ${endedBy}: ${reason}${close}, after ${formatSeconds(durationMs)}s; ` +
      `client sent ${fromClient}${bytesFromClient} bytes, upstream ${fromUpstream}${bytesFromUpstream} bytes`,
  );
}

/** Null where nobody wants to know of frames. */
export function frameObserver(request: Request, settings: TunnelLogSettings): FrameObserver | null {
  const tellsCloses = tells(request, settings, "close-frame");
  const tellsMessages = tells(request, settings, "message");
  if (!tellsCloses && !tellsMessages) return null;
  return {
    onCloseFrame(from, to, code, reason) {
      if (!tellsCloses) return;
      const sender = from === "proxy" ? `wsgate sent the ${to}` : `${from} sent`;
      request.log("info", `${sender} a Close frame: ${closeText(code, reason)}`);
    },
    onMessage(from, opcode, bytes, frames) {
      if (!tellsMessages) return;
      const kind = opcode === TEXT ? "text" : opcode === BINARY ? "binary" : `opcode ${opcode}`;
      const parts = frames === 1 ? "" : ` in ${frames} frames`;
      request.log("info", `${from} sent a ${kind} message of ${bytes} bytes${parts}`);
    },
  };
}

function tells(request: Request, { websocket_log }: TunnelLogSettings, event: TunnelEvent): boolean {
  return websocket_log !== null && websocket_log.includes(event) && request.logs("info");
}

function closeText(code: number, reason: ByteString): ByteString {
  const text = code === NO_CODE ? "no code" : String(code);
  return reason === "" ? text : `${text} ${quoted(reason)}`;
}

function messages(count: number): string {
  return `${count} message${count === 1 ? "" : "s"}`;
}
