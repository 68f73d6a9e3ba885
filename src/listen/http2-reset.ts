import type { ServerHttp2Stream } from "node:http2";
import { Deadline } from "../base/timers.ts";

/** How often it is looked whether a stream's last frame has left the queue of a client that reads slowly. */
const QUEUE_CHECK_MS = 100;

/**
 * Resets a stream (RST_STREAM) and drops what is pending. Node's own `close` ends the writable half first and so sends
 * END_STREAM: of an answer that breaks off a client would believe that it has all of it. Here there is nothing to end.
 */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  stream.end = () => stream;
  stream.close(code);
  stream.destroy();
}

/**
 * Calls `then` once END_STREAM has gone to the socket, or with false when `timeoutMs` have passed without it; not at all
 * where the stream is closed first. For a reset that is to come after the answer: a stream is `finished` while its
 * last frames still stand in the session's queue, and Node 22 and 26 throw out of that what belongs to a stream which
 * is reset, the head of an answer included. Others send it first, and do not mind the wait of a turn.
 */
export function afterSending(
  stream: ServerHttp2Stream,
  timeoutMs: number,
  then: (isSent: boolean) => void,
): void {
  if (stream.state.localClose === 1) return then(true);
  const giveUpAtMs = performance.now() + timeoutMs;
  const deadline = new Deadline();
  stream.once("close", () => deadline.disarm());
  const look = (): void => {
    if (stream.destroyed) return;
    if (stream.state.localClose === 1) then(true);
    else if (performance.now() >= giveUpAtMs) then(false);
    else deadline.arm(QUEUE_CHECK_MS, look);
  };
  setImmediate(look);
}
