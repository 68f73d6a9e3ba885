/** WebSocket echo: each tunnel has at most one message on its way, and every byte of every answer is checked. */
import { ClosedLoop } from "./closed-loop.ts";
import { openMany, openTunnel } from "./connect.ts";
import { clientMessage, payloadOf } from "./frames.ts";
import type { Session, Target } from "./work.ts";

/** With large messages the tunnels take turns, so that the benchmark does not measure its own buffers. */
const IN_FLIGHT_BYTES_MAX: number = 64 * 1024 * 1024;

export async function openEcho(target: Target, tunnels: number, messageBytes: number): Promise<Session> {
  const message = clientMessage(messageBytes);
  const expected = payloadOf(messageBytes);

  const inFlightMax = Math.max(1, Math.floor(IN_FLIGHT_BYTES_MAX / messageBytes));
  const loop = new ClosedLoop(tunnels, inFlightMax, (lane) => opened[lane]?.socket.write(message));

  function onData(chunk: Buffer, start: number, end: number, offset: number): void {
    if (expected.compare(chunk, start, end, offset, offset + end - start) !== 0) {
      loop.fail(new Error("an echo differs from what was sent"));
    }
  }

  const opened = await openMany(tunnels, async (lane) => {
    const tunnel = await openTunnel(target, {
      data: onData,
      message: (size) => {
        if (size === messageBytes) loop.answered(lane);
        else loop.fail(new Error("an echo of another size"));
      },
    });
    tunnel.socket.once("close", () => loop.fail(new Error("a tunnel ended in the middle of a round")));
    return tunnel;
  });

  return {
    run: (ms) => loop.run(ms),
    close: async () => {
      await Promise.all(opened.map((tunnel) => tunnel.close()));
    },
  };
}

/** Tunnels that stay open and silent. There is nothing to run. */
export async function openIdle(target: Target, tunnels: number): Promise<Session> {
  const opened = await openMany(tunnels, () => openTunnel(target, { data: () => {}, message: () => {} }));
  return {
    run: async () => ({ units: 0, seconds: 0, p50Micros: 0, p99Micros: 0 }),
    close: async () => {
      await Promise.all(opened.map((tunnel) => tunnel.close()));
    },
  };
}
