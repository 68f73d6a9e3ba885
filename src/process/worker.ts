import { headline } from "../config/format-diagnostic.ts";
import { Gate, type PreparedPlan } from "./gate.ts";
import { load, type Source } from "./load.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { listeningAddresses } from "./single-server.ts";
import { reopenLogs } from "./log-files.ts";
import { dropPrivileges } from "./privileges.ts";

/** One worker process: does what the main process says, and ends when it is told to or when that one is gone. */
export function runWorker(): void {
  const gate = new Gate();
  let prepared: { readonly generation: number; readonly plan: PreparedPlan } | null = null;

  const prepare = async (generation: number, source: Source): Promise<void> => {
    const { plan, diagnostics } = await load(source);
    if (plan === null) return answer({ kind: "prepared", generation, messages: diagnostics.map(headline) });
    const result = await gate.prepare(plan);
    if (!result.ok) return answer({ kind: "prepared", generation, messages: result.messages });
    prepared = { generation, plan: result.prepared };
    answer({ kind: "prepared", generation, messages: [] });
  };

  const commit = (generation: number): void => {
    if (prepared?.generation !== generation) return;
    gate.commit(prepared.plan);
    prepared = null;
    if (gate.plan !== null) dropPrivileges(gate.plan.main.user);
    answer({ kind: "committed", generation, addresses: listeningAddresses(gate) });
  };

  const end = (): void => {
    for (const file of gate.plan?.logFiles ?? []) file.flush();
    process.exit(0);
  };

  process.on("message", (message: ToWorker) => {
    switch (message.kind) {
      case "prepare":
        void prepare(message.generation, message.source);
        break;
      case "commit":
        commit(message.generation);
        break;
      case "abandon":
        if (prepared !== null) gate.abandon(prepared.plan);
        prepared = null;
        break;
      case "reopen":
        if (gate.plan !== null) reopenLogs(gate.plan);
        break;
      case "drain":
        void gate.drain().then(end);
        break;
      case "stop":
        gate.closeNow();
        end();
    }
  });
  // Without the main process nobody would ever stop this one.
  process.on("disconnect", () => {
    gate.closeNow();
    end();
  });
  // A terminal sends Ctrl-C to the whole group; the main process decides what becomes of its workers.
  for (const signal of ["SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1"] as const) process.on(signal, () => {});
  answer({ kind: "started", generation: 0 });
}

/** Tells the main process. */
function answer(message: FromWorker): void {
  process.send?.(message);
}
