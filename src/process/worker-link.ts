import cluster, { type Worker } from "node:cluster";
import { fileURLToPath } from "node:url";
import type { Diagnostic } from "../config/diagnostic.ts";
import type { ServerCounts } from "../observe/server-counts.ts";
import { fault } from "./faults.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import type { ListeningAddress } from "./server.ts";

/** How long a worker may take to start, to prepare a plan or to commit one before it counts as stuck. */
const ANSWER_MS_MAX = 60_000;
/** A worker that has been told to stop is killed when it has not got any further for so long. */
const STOP_MS_MAX = 5000;
/** How long it may take to say what it has counted. */
const COUNT_MS_MAX = 500;

/** How a worker ended, as the log says it: `exited with code 1`. */
export interface WorkerEnd {
  readonly text: string;
  /** It said goodbye itself. */
  readonly inOrder: boolean;
}

/** To be called once, before the first {@link WorkerLink.fork}. */
export function setUpCluster(): void {
  cluster.schedulingPolicy = cluster.SCHED_RR;
  cluster.setupPrimary({
    exec: fileURLToPath(new URL("worker-main.js", import.meta.url)),
    args: [],
    serialization: "advanced",
  });
}

/** One worker process as the main process sees it. */
export class WorkerLink {
  readonly startedAtMs: number = performance.now();
  readonly ended: Promise<WorkerEnd>;
  /** Told what it has counted, unasked. */
  onCounts: (counts: ServerCounts) => void = () => {};
  /** It wants to know what all have counted: to be answered by `totals`. */
  onTotalsWanted: (id: number) => void = () => {};
  /** It was told to stop, does not get on with that, and is being killed. `waitedMs`: since it last did. */
  onStuck: (waitedMs: number) => void = () => {};
  readonly #worker: Worker;
  /** Set once the process has ended. */
  #end: WorkerEnd | null = null;
  /** What fails when the process ends. */
  readonly #unanswered = new Set<(how: string) => void>();
  #isListening = false;
  /** Armed from {@link stop} on. */
  #patience: NodeJS.Timeout | null = null;

  constructor() {
    const worker = cluster.fork();
    this.#worker = worker;
    this.ended = new Promise((resolve) => {
      const finish = (end: WorkerEnd): void => {
        this.#end = end;
        if (this.#patience !== null) clearTimeout(this.#patience);
        for (const fail of this.#unanswered) fail(end.text);
        resolve(end);
      };
      worker.on("message", (message: FromWorker) => {
        if (message.kind === "counts") this.onCounts(message.counts);
        if (message.kind === "totals-wanted") this.onTotalsWanted(message.id);
        if (message.kind === "stopping") this.#patience?.refresh();
      });
      worker.on("exit", (code, signal) => {
        const end = describeEnd(code, signal);
        // What it has said last may still stand in the channel.
        if (worker.isConnected()) worker.once("disconnect", () => finish(end));
        else finish(end);
      });
      // A channel that breaks while a message is under way: the exit that follows says the rest. Without a process
      // nothing follows.
      worker.on("error", (error) => {
        if (worker.process.pid === undefined)
          finish({ text: `could not be started (${error.message})`, inOrder: false });
      });
    });
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  /** Resolves when the worker listens to what it is told; to its end where it never does. */
  async listens(): Promise<readonly Diagnostic[]> {
    const answer = await this.#answer("started");
    this.#isListening = answer.kind === "started";
    return answer.kind === "fault" ? [answer.fault] : [];
  }

  /** Why the worker cannot run the source; empty where it can. */
  async prepare(
    generation: number,
    request: Pick<ToWorker & { kind: "prepare" }, "source" | "ticketSecret">,
  ): Promise<readonly Diagnostic[]> {
    this.tell({ kind: "prepare", generation, ...request });
    const answer = await this.#answer("prepared", generation);
    return answer.kind === "prepared" ? answer.faults : answer.kind === "fault" ? [answer.fault] : [];
  }

  /** Resolves to where the worker listens now; null where it ends or stays silent instead. */
  async commit(generation: number, isDraining: boolean): Promise<readonly ListeningAddress[] | null> {
    this.tell({ kind: "commit", generation, isDraining });
    const answer = await this.#answer("committed", generation);
    return answer.kind === "committed" ? answer.addresses : null;
  }

  /** Resolves with true when the worker's last tunnel has ended, or the worker itself; with false at a commit before. */
  async drainTunnels(): Promise<boolean> {
    this.tell({ kind: "drain-tunnels" });
    const answer = await this.#answer("tunnels-drained", undefined, null);
    return answer.kind !== "tunnels-drained" || answer.isEmpty;
  }

  /** Lets the worker accept nothing more; resolves when its last connection has ended. */
  async leave(drains: boolean): Promise<void> {
    this.tell({ kind: "leave", drains });
    await this.#answer("left", undefined, null);
  }

  /** What it has counted; null where it does not say. */
  async count(): Promise<ServerCounts | null> {
    if (!this.#isListening || this.#end !== null) return null;
    this.tell({ kind: "count" });
    const answer = await this.#answer("counted", undefined, COUNT_MS_MAX);
    return answer.kind === "counted" ? answer.counts : null;
  }

  /** Lets the worker end: at once, if it does not listen, or where it does not get on with it. */
  stop(): void {
    if (!this.#isListening) return this.#kill();
    this.tell({ kind: "stop" });
    if (this.#end !== null) return;
    this.#patience ??= setTimeout(() => {
      this.onStuck(STOP_MS_MAX);
      this.#kill();
    }, STOP_MS_MAX);
  }

  tell(message: ToWorker): void {
    if (this.#worker.isConnected()) this.#worker.send(message, () => {});
  }

  #kill(): void {
    this.#worker.process.kill("SIGKILL");
  }

  /** The worker's answer of that kind, or what stands in its way. */
  #answer(
    kind: FromWorker["kind"],
    generation?: number,
    limitMs: number | null = ANSWER_MS_MAX,
  ): Promise<FromWorker | { readonly kind: "fault"; readonly fault: Diagnostic }> {
    return new Promise((resolve) => {
      const finish = (answer: FromWorker | { kind: "fault"; fault: Diagnostic }): void => {
        clearTimeout(timer);
        this.#worker.off("message", onMessage);
        this.#unanswered.delete(fail);
        resolve(answer);
      };
      const fail = (how: string): void =>
        finish({ kind: "fault", fault: fault("worker-failed", `worker process ${this.pid} ${how}`) });
      const onMessage = (message: FromWorker): void => {
        if (message.kind !== kind) return;
        if (!("generation" in message) || message.generation === generation) finish(message);
      };
      const timer =
        limitMs === null ? undefined : setTimeout(() => fail(`gave no answer in ${limitMs} ms`), limitMs);
      this.#worker.on("message", onMessage);
      this.#unanswered.add(fail);
      if (this.#end !== null) fail(this.#end.text);
    });
  }
}

function describeEnd(code: number | null, signal: string | null): WorkerEnd {
  // Node gives an empty signal where there was none.
  if (signal !== null && signal !== "") return { text: `exited on signal ${signal}`, inOrder: false };
  return { text: `exited with code ${code ?? 0}`, inOrder: code === 0 };
}
