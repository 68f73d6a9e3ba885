import { Gate } from "./gate.ts";
import { changeDirectory } from "./privileges.ts";
import type { ListeningAddress, Server } from "./server.ts";

/** Everything in one process. */
export function createSingleServer(): Server {
  const gate = new Gate();
  return {
    async apply(plan, _source, confirm) {
      const result = await gate.prepare(plan);
      if (!result.ok) return result.faults;
      const faults = [...changeDirectory(plan.main), ...confirm()];
      if (faults.length > 0) gate.abandon(result.prepared);
      else gate.commit(result.prepared);
      return faults;
    },
    drainTunnels: () => gate.drainTunnels(),
    drain: () => gate.drain(),
    stop: () => gate.closeNow(),
    reopenLogs() {},
    get addresses(): readonly ListeningAddress[] {
      return listeningAddresses(gate);
    },
  };
}

export function listeningAddresses(gate: Gate): readonly ListeningAddress[] {
  return gate.listeners.map((listener) => ({ text: listener.addressText, ssl: listener.plan.ssl }));
}
