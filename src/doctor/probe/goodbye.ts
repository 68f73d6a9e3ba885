import { randomBytes } from "node:crypto";
import { CLOSE, closePayload, controlFrame } from "../../websocket/frame-head.ts";
import type { Wire } from "./wire.ts";

/** The longest wait for the other side's Close frame. */
const GOODBYE_MS = 500;
const NORMAL_CLOSURE = 1000;

/** Ends a tunnel as RFC 6455 section 7.1.1 wants it, so that no log shows 1006. */
export function sayGoodbye(wire: Wire): void {
  wire.send(controlFrame(CLOSE, closePayload(NORMAL_CLOSURE, ""), randomBytes(4)));
}

/** Says it, gives the other side time to end the connection, and lets go. */
export async function leave(wire: Wire): Promise<void> {
  sayGoodbye(wire);
  const deadlineMs = performance.now() + GOODBYE_MS;
  while (wire.ending === null && (await wire.change(deadlineMs)));
  wire.destroy();
}
