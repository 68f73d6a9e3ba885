import { Gate } from "./gate.ts";
import type { ListeningAddress, Server } from "./server.ts";

/** Everything in one process. */
export function createSingleServer(): Server {
  const gate = new Gate();
  return {
    async apply(plan) {
      const result = await gate.prepare(plan);
      if (!result.ok) return result;
      gate.commit(result.prepared);
      return { ok: true };
    },
    drain: () => gate.drain(),
    stop() {
      gate.closeNow();
      return Promise.resolve();
    },
    reopenLogs() {},
    get addresses(): readonly ListeningAddress[] {
      return listeningAddresses(gate);
    },
  };
}

export function listeningAddresses(gate: Gate): readonly ListeningAddress[] {
  return gate.listeners.map((listener) => ({ text: listener.addressText, ssl: listener.plan.ssl }));
}
