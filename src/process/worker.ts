import cluster from "node:cluster";
import { byteStringFromText } from "../base/bytes.ts";
import type { Plan } from "../compile/plan.ts";
import { headline } from "../config/format-diagnostic.ts";
import { Gate, type PreparedPlan } from "./gate.ts";
import { endOnBug } from "./last-resort.ts";
import { load } from "./load.ts";
import { flushLogs, reopenLogs } from "./log-files.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { changeDirectory, dropPrivileges } from "./privileges.ts";
import { listeningAddresses } from "./single-server.ts";
import { shareCounts } from "./worker-counts.ts";

/** Runs this process as a worker: it does what the main process says, and ends when told to or when that one is gone. */
export function runWorker(): void {
  const worker = new WorkerProcess();
  process.title = "wsgate: worker process";
  const plan = (): Plan | null => worker.gate?.plan ?? null;
  endOnBug(
    () => plan()?.main.error_log ?? null,
    () => flushLogs(plan()),
  );
  process.on("message", (message: ToWorker) => worker.obey(message));
  // Without the main process nobody would ever stop this one. Node would end it on the spot, its tunnels untold, unless it
  // takes the disconnect for one of our own.
  if (cluster.worker !== undefined) cluster.worker.exitedAfterDisconnect = true;
  process.on("disconnect", () => void worker.end());
  process.on("SIGTERM", () => void worker.end());
  // A terminal sends Ctrl-C to the whole group; the main process decides what becomes of its workers.
  for (const signal of ["SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const)
    process.on(signal, () => {});
  shareCounts();
  answer({ kind: "started" });
}

class WorkerProcess {
  gate: Gate | null = null;
  #prepared: { readonly generation: number; readonly plan: PreparedPlan } | null = null;
  /** What concerns plans is done one after the other; `stop` and `reopen` do not wait. */
  #turn: Promise<void> = Promise.resolve();

  obey(message: ToWorker): void {
    switch (message.kind) {
      case "prepare":
        this.#inTurn(() => this.#prepare(message));
        break;
      case "commit":
        this.#inTurn(() => this.#commit(message));
        break;
      case "abandon":
        this.#inTurn(() => this.#abandon());
        break;
      case "drain-tunnels":
        this.#inTurn(() => this.#drainTunnels());
        break;
      case "leave":
        this.#inTurn(() => this.#leave(message.drains));
        break;
      case "reopen":
        this.#reopen();
        break;
      case "stop":
        void this.end();
    }
  }

  async end(): Promise<void> {
    await this.gate?.closeNow(() => answer({ kind: "stopping" }));
    process.exit(0);
  }

  async #prepare({ generation, source, ticketSecret }: ToWorker & { kind: "prepare" }): Promise<void> {
    this.gate ??= new Gate(ticketSecret);
    const { plan, diagnostics } = await load(source);
    if (plan === null) return answer({ kind: "prepared", generation, faults: diagnostics });
    const result = await this.gate.prepare(plan);
    if (!result.ok) return answer({ kind: "prepared", generation, faults: result.faults });
    const faults = [...dropPrivileges(plan.main), ...changeDirectory(plan.main)];
    if (faults.length > 0) this.gate.abandon(result.prepared);
    else this.#prepared = { generation, plan: result.prepared };
    answer({ kind: "prepared", generation, faults });
  }

  #commit({ generation, isDraining }: ToWorker & { kind: "commit" }): void {
    const { gate } = this;
    const prepared = this.#prepared;
    if (gate === null || prepared?.generation !== generation) return;
    gate.commit(prepared.plan);
    this.#prepared = null;
    // Not by a message of its own: clients would come between the two.
    if (isDraining) void gate.drainTunnels();
    answer({ kind: "committed", generation, addresses: listeningAddresses(gate) });
  }

  #abandon(): void {
    if (this.#prepared !== null) this.gate?.abandon(this.#prepared.plan);
    this.#prepared = null;
  }

  /** Nobody waits for the last tunnel: a plan may come before. */
  #drainTunnels(): void {
    void this.gate?.drainTunnels().then((isEmpty) => answer({ kind: "tunnels-drained", isEmpty }));
  }

  #leave(drains: boolean): void {
    process.title = "wsgate: worker process is shutting down";
    const left = drains ? this.gate?.drain() : this.gate?.leave();
    void left?.then(() => answer({ kind: "left" }));
  }

  #reopen(): void {
    const plan = this.gate?.plan;
    if (plan === null || plan === undefined) return;
    for (const fault of reopenLogs(plan))
      plan.main.error_log.write("emerg", byteStringFromText(headline(fault)));
  }

  #inTurn(task: () => Promise<void> | void): void {
    this.#turn = this.#turn.then(task);
  }
}

/** Tells the main process, if there still is one: where it has just gone, that is told by the end of the channel. */
function answer(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
