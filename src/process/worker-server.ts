import cluster, { type Worker } from "node:cluster";
import { fileURLToPath } from "node:url";
import type { Plan } from "../compile/plan.ts";
import type { Source } from "./load.ts";
import { giveLogsToUser, openLogs } from "./log-files.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import type { ApplyResult, ListeningAddress, Server, WriteLog } from "./server.ts";

/** A worker that ended sooner than this after its start is not replaced at once, so that a fault cannot spin. */
const RESPAWN_DELAY_MS = 1000;
/** How long a worker may take to prepare a plan before it counts as stuck. */
const PREPARE_MS_MAX = 60_000;

interface Applied {
  readonly plan: Plan;
  readonly source: Source;
}

/**
 * Workers behind shared listeners. The main process accepts and hands connections out in turn, which spreads
 * long-lived ones evenly and loses none when a worker leaves. A plan is applied in two steps, so that all workers
 * take it or none does.
 */
export class WorkerServer implements Server {
  #applied: Applied | null = null;
  #generation = 0;
  #addresses: readonly ListeningAddress[] = [];
  #ending = false;
  readonly #workers = new Map<Worker, number>();
  readonly #log: WriteLog;
  readonly #timers = new Set<NodeJS.Timeout>();
  #onEmpty: (() => void) | null = null;

  constructor(log: WriteLog) {
    this.#log = log;
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({
      exec: fileURLToPath(new URL("worker-main.js", import.meta.url)),
      args: [],
      serialization: "advanced",
    });
    cluster.on("exit", (worker, code, signal) => this.#workerOnExit(worker, code, signal));
  }

  get addresses(): readonly ListeningAddress[] {
    return this.#addresses;
  }

  async apply(plan: Plan, source: Source): Promise<ApplyResult> {
    // The main process opens them as well: it writes to them itself, and it may do what workers may not.
    const logs = openLogs(plan);
    if (logs.messages.length > 0) {
      for (const file of logs.opened) file.close();
      return { ok: false, messages: logs.messages };
    }
    giveLogsToUser(plan);
    const generation = ++this.#generation;
    const wanted = plan.main.worker_processes;
    const present = [...this.#workers.keys()];
    const added = await Promise.all(
      Array.from({ length: Math.max(0, wanted - present.length) }, () => this.#fork()),
    );
    const staying = [...present, ...added].slice(0, wanted);

    const answers = await Promise.all(staying.map((worker) => prepareIn(worker, generation, source)));
    const messages = [...new Set(answers.flat())];
    if (messages.length > 0) {
      for (const worker of staying) tell(worker, { kind: "abandon", generation });
      for (const worker of added) this.#dismiss(worker, "stop");
      return { ok: false, messages };
    }
    this.#applied = { plan, source };
    const committed = await Promise.all(staying.map((worker) => commitIn(worker, generation)));
    this.#addresses = committed.find((addresses) => addresses !== null) ?? this.#addresses;
    for (const worker of present.slice(wanted)) this.#dismiss(worker, "drain");
    return { ok: true };
  }

  async drain(): Promise<void> {
    this.#ending = true;
    for (const worker of this.#workers.keys()) tell(worker, { kind: "drain" });
    await this.#allGone();
  }

  async stop(): Promise<void> {
    this.#ending = true;
    for (const worker of this.#workers.keys()) tell(worker, { kind: "stop" });
    await this.#allGone();
  }

  reopenLogs(): void {
    for (const worker of this.#workers.keys()) tell(worker, { kind: "reopen" });
  }

  /** Resolves when the worker listens to what it is told, or has ended instead. */
  async #fork(): Promise<Worker> {
    const worker = cluster.fork();
    this.#workers.set(worker, performance.now());
    // A channel that breaks while a message is under way: the exit that follows says the rest.
    worker.on("error", () => {});
    await answerOf(worker, 0, "started");
    this.#log("notice", `start worker process ${worker.process.pid ?? 0}`);
    return worker;
  }

  /** A worker that is no longer wanted: its end is no accident. */
  #dismiss(worker: Worker, kind: "stop" | "drain"): void {
    this.#workers.delete(worker);
    tell(worker, { kind });
  }

  #workerOnExit(worker: Worker, code: number | null, signal: string | null): void {
    const startedAtMs = this.#workers.get(worker);
    this.#workers.delete(worker);
    if (this.#workers.size === 0) this.#onEmpty?.();
    if (startedAtMs === undefined || this.#ending) return;
    const how =
      signal === null || signal === "" ? `exited with code ${code ?? 0}` : `exited on signal ${signal}`;
    this.#log("alert", `worker process ${worker.process.pid ?? 0} ${how}; another one takes its place`);
    const delayMs = performance.now() - startedAtMs < RESPAWN_DELAY_MS ? RESPAWN_DELAY_MS : 0;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#replace();
    }, delayMs);
    this.#timers.add(timer);
  }

  async #replace(): Promise<void> {
    const applied = this.#applied;
    if (applied === null || this.#ending || this.#workers.size >= applied.plan.main.worker_processes) return;
    const worker = await this.#fork();
    const messages = await prepareIn(worker, this.#generation, applied.source);
    for (const message of messages) this.#log("emerg", message);
    if (messages.length > 0) worker.kill();
    else await commitIn(worker, this.#generation);
  }

  #allGone(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      if (this.#workers.size === 0) resolve();
    });
  }
}

function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}

/** Why the worker cannot run the source; empty where it can. */
async function prepareIn(worker: Worker, generation: number, source: Source): Promise<readonly string[]> {
  tell(worker, { kind: "prepare", generation, source });
  const answer = await answerOf(worker, generation, "prepared");
  return answer?.kind === "prepared"
    ? answer.messages
    : [`worker process ${worker.process.pid ?? 0} gave no answer`];
}

async function commitIn(worker: Worker, generation: number): Promise<readonly ListeningAddress[] | null> {
  tell(worker, { kind: "commit", generation });
  const answer = await answerOf(worker, generation, "committed");
  return answer?.kind === "committed" ? answer.addresses : null;
}

/** The worker's answer to what it was asked, null if it ends or stays silent instead. */
function answerOf(worker: Worker, generation: number, kind: FromWorker["kind"]): Promise<FromWorker | null> {
  return new Promise((resolve) => {
    const finish = (answer: FromWorker | null): void => {
      clearTimeout(timer);
      worker.off("message", onMessage);
      worker.off("exit", onExit);
      resolve(answer);
    };
    const onMessage = (message: FromWorker): void => {
      if (message.kind === kind && message.generation === generation) finish(message);
    };
    const onExit = (): void => finish(null);
    const timer = setTimeout(onExit, PREPARE_MS_MAX);
    worker.on("message", onMessage);
    worker.on("exit", onExit);
  });
}
