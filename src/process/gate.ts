import type { ListenerPlan, Plan } from "../compile/plan.ts";
import { Listener } from "../listen/listener.ts";
import { connectionCounts } from "../observe/connections.ts";
import type { LogFile } from "../observe/log-file.ts";
import { openLogs } from "./log-files.ts";
import { requestHandler } from "./request-handler.ts";

/** A plan whose files and addresses have been opened, and which can take over at once or be given up. */
export interface PreparedPlan {
  readonly plan: Plan;
  /** Listeners that the plan before did not have, bound and holding their connections back. */
  readonly opened: ReadonlyMap<string, Listener>;
  readonly openedFiles: readonly LogFile[];
}

export type PrepareResult =
  | { readonly ok: true; readonly prepared: PreparedPlan }
  /** In nginx's words, one for each address or file that could not be had. */
  | { readonly ok: false; readonly messages: readonly string[] };

/**
 * One process's share of the proxy: the plan in force and the listeners that serve it. A new plan is prepared first,
 * which may fail and then changes nothing, and committed, which cannot fail.
 */
export class Gate {
  #plan: Plan | null = null;
  #listeners = new Map<string, Listener>();
  /** Listeners of former plans whose last connections are still open. */
  readonly #leaving = new Set<Promise<void>>();

  get plan(): Plan | null {
    return this.#plan;
  }

  get listeners(): readonly Listener[] {
    return [...this.#listeners.values()];
  }

  /** Opens what the plan needs and this process does not have yet: log files and addresses. All or nothing. */
  async prepare(plan: Plan): Promise<PrepareResult> {
    const logs = openLogs(plan);
    const messages = [...logs.messages];
    const opened = new Map<string, Listener>();
    for (const listenerPlan of plan.listeners) {
      if (this.#listeners.has(listenerPlan.key)) continue;
      const listener = await this.#open(listenerPlan);
      if (listener instanceof Listener) opened.set(listenerPlan.key, listener);
      else messages.push(listener.message);
    }
    const prepared = { plan, opened, openedFiles: logs.opened };
    if (messages.length === 0) return { ok: true, prepared };
    this.abandon(prepared);
    return { ok: false, messages };
  }

  /** Gives back what a prepared plan has opened. */
  abandon(prepared: PreparedPlan): void {
    for (const listener of prepared.opened.values()) listener.closeNow();
    for (const file of prepared.openedFiles) file.close();
  }

  /** Puts a prepared plan in force: new requests go by it, those in flight and open tunnels keep the one they have. */
  commit({ plan, opened }: PreparedPlan): void {
    const before = this.#plan;
    const next = new Map<string, Listener>();
    for (const listenerPlan of plan.listeners) {
      const kept = this.#listeners.get(listenerPlan.key);
      if (kept !== undefined) kept.plan = listenerPlan;
      const listener = kept ?? opened.get(listenerPlan.key);
      if (listener !== undefined) next.set(listenerPlan.key, listener);
    }
    for (const part of plan.stateful) {
      const predecessor = before?.stateful.find((each) => each.key === part.key);
      if (predecessor !== undefined) part.adopt(predecessor);
    }
    for (const [key, listener] of this.#listeners) {
      if (!next.has(key)) this.#leave(listener);
    }
    this.#listeners = next;
    this.#plan = plan;
    for (const part of before?.stateful ?? []) part.retire();
    for (const file of before?.logFiles ?? []) {
      // Requests in flight may still log to it; it is flushed with each turn and closed when the process ends.
      if (!plan.logFiles.includes(file)) file.flush();
    }
  }

  /** Stops accepting and resolves when every connection has come to its own end, tunnels included. */
  async drain(): Promise<void> {
    for (const listener of this.#listeners.values()) this.#leave(listener);
    this.#listeners.clear();
    await Promise.all(this.#leaving);
    this.#release();
  }

  /** Closes everything at once. */
  closeNow(): void {
    for (const listener of this.#listeners.values()) listener.closeNow();
    this.#listeners.clear();
    this.#release();
  }

  async #open(plan: ListenerPlan): ReturnType<typeof Listener.open> {
    return Listener.open(plan, {
      handler: requestHandler,
      counts: connectionCounts,
      connectionsMax: () => this.#plan?.main.worker_connections ?? 0,
    });
  }

  #leave(listener: Listener): void {
    const gone = listener.close().finally(() => this.#leaving.delete(gone));
    this.#leaving.add(gone);
  }

  #release(): void {
    for (const part of this.#plan?.stateful ?? []) part.retire();
    for (const file of this.#plan?.logFiles ?? []) file.flush();
  }
}
