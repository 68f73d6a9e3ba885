/** What it costs to follow the frames of a tunnel, for a read that holds one message; a transport that takes everything. */
import type { Transport } from "../../src/base/transport.ts";
import type { TunnelTimes } from "../../src/websocket/farewell.ts";
import type { FrameFilter } from "../../src/websocket/frame-filter.ts";
import { TunnelWatch, type WatchSettings } from "../../src/websocket/tunnel-watch.ts";
import { clientMessage, serverMessage } from "../load/frames.ts";
import type { HotFunction } from "../loop.ts";

const SERVER_64: Buffer = serverMessage(64);

const SETTINGS: WatchSettings = {
  websocket_ping_interval: 20_000,
  websocket_idle_timeout: null,
  websocket_max_duration: null,
  websocket_max_message_size: null,
  websocket_max_frame_size: null,
  websocket_max_fragments: null,
  websocket_rate: [],
};

const TIMES: TunnelTimes = {
  proxy_read_timeout: 60_000,
  proxy_send_timeout: 60_000,
  send_timeout: 60_000,
  websocket_idle_timeout: null,
  websocket_max_duration: null,
};

let taken = 0;
const SINK: Transport = Object.assign(Object.create(null), {
  pendingBytes: 0,
  write: (_chunk: Buffer, start: number, end: number): boolean => {
    taken += end - start;
    return taken >= 0;
  },
});

function watch(): TunnelWatch {
  return new TunnelWatch(SETTINGS, {
    allowsRsv1: false,
    times: () => TIMES,
    onOffence: () => {},
    onClosingTimeout: () => {},
  });
}

function passing(name: string, filter: FrameFilter, message: Buffer): HotFunction {
  return { name, run: () => filter.pass(message, 0, message.length, SINK) };
}

export const frames: readonly HotFunction[] = [
  { name: "a message of 64 B past no filter", run: () => SINK.write(SERVER_64, 0, SERVER_64.length) },
  passing("a client's message of 64 B past its filter", watch().fromClient, clientMessage(64)),
  passing("a server's message of 64 B past its filter", watch().fromUpstream, SERVER_64),
  passing("a client's message of 16 KiB past its filter", watch().fromClient, clientMessage(16 * 1024)),
  passing(
    "sixteen messages of 64 B in one read past their filter",
    watch().fromClient,
    Buffer.concat(Array.from({ length: 16 }, () => clientMessage(64))),
  ),
];
