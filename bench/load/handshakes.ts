/** Short lives: connect, upgrade, closing handshake, end; so many at a time. */
import { ClosedLoop } from "./closed-loop.ts";
import { openTunnel } from "./connect.ts";
import type { Session, Target } from "./work.ts";

export function openHandshakes(target: Target, atOnce: number): Session {
  async function liveOnce(lane: number): Promise<void> {
    const tunnel = await openTunnel(target, { data: () => {}, message: () => {} });
    await tunnel.close();
    loop.answered(lane);
  }

  const loop = new ClosedLoop(atOnce, atOnce, (lane) => {
    liveOnce(lane).catch((reason: Error) => loop.fail(reason));
  });
  return { run: (ms) => loop.run(ms), close: async () => {} };
}
