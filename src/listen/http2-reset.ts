import type { ServerHttp2Stream } from "node:http2";
import { Deadline } from "../base/timers.ts";

/** How often it is looked whether a last frame has left the queue of a client that reads slowly. */
export const QUEUE_CHECK_MS = 100;

/**
 * Calls `then` when nghttp2 is not at work. Node calls its listeners from within nghttp2's reading and its sending, ticks and
 * microtasks included; a reset or an end of a session sends at once, and so frees streams that nghttp2 goes on to read: the
 * process dies of a damaged heap, or of one of Node's assertions (nodejs/node#64113, #64841, #64850). No stream and no
 * session is closed or destroyed but from here.
 */
export function outsideNghttp2(then: () => void): void {
  setImmediate(then);
}

/**
 * Resets a stream (RST_STREAM) and drops what is pending. Node's own `close` ends the writable half first and so sends
 * END_STREAM: of an answer that breaks off a client would believe that it has all of it. Here there is nothing to end.
 */
export function resetStream(stream: ServerHttp2Stream, code: number): void {
  stream.end = () => stream;
  outsideNghttp2(() => {
    stream.close(code);
    stream.destroy();
  });
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
  const giveUpAtMs = performance.now() + timeoutMs;
  const deadline = new Deadline();
  stream.once("close", () => deadline.disarm());
  const look = (): void => {
    if (stream.destroyed) return;
    if (stream.state.localClose === 1) then(true);
    else if (performance.now() >= giveUpAtMs) then(false);
    else deadline.arm(QUEUE_CHECK_MS, look);
  };
  outsideNghttp2(look);
}
