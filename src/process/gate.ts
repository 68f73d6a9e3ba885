import { randomBytes } from "node:crypto";
import type { Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { Listener } from "../listen/listener.ts";
import { TlsAcceptor } from "../listen/tls-acceptor.ts";
import { connectionCounts } from "../observe/connections.ts";
import { bindFault } from "./faults.ts";
import { closeLogs, openLogs } from "./log-files.ts";
import { requestHandler } from "./request-handler.ts";

/** A plan whose files and addresses have been opened, and which can take over at once or be given up. */
export interface PreparedPlan {
  readonly plan: Plan;
  /** Listeners that the plan before did not have, bound and holding their connections back. */
  readonly opened: ReadonlyMap<string, Listener>;
}

export type PrepareResult =
  | { readonly ok: true; readonly prepared: PreparedPlan }
  /** One for each address or file that could not be had. */
  | { readonly ok: false; readonly faults: readonly Diagnostic[] };

/**
 * One process's share of the proxy: the plan in force and the listeners that serve it. A new plan is prepared first,
 * which may fail and then changes nothing, and committed, which cannot fail.
 */
export class Gate {
  #plan: Plan | null = null;
  #listeners = new Map<string, Listener>();
  /** Listeners of former plans whose last connections are still open, with the promise of their end. */
  readonly #leaving = new Map<Listener, Promise<void>>();
  readonly #tls: TlsAcceptor;

  /** `ticketSecret`: what session tickets are sealed with, the same in all workers. */
  constructor(ticketSecret: Buffer = makeTicketSecret()) {
    this.#tls = new TlsAcceptor(ticketSecret);
  }

  get plan(): Plan | null {
    return this.#plan;
  }

  get listeners(): readonly Listener[] {
    return [...this.#listeners.values()];
  }

  /** Opens what the plan needs and this process does not have yet: log files and addresses. All or nothing. */
  async prepare(plan: Plan): Promise<PrepareResult> {
    const faults: Diagnostic[] = [...openLogs(plan)];
    if (faults.length > 0) return { ok: false, faults };
    const opened = new Map<string, Listener>();
    for (const listenerPlan of plan.listeners) {
      if (this.#listeners.has(listenerPlan.key)) continue;
      const listener = await Listener.open(listenerPlan, {
        handler: requestHandler,
        counts: connectionCounts,
        connectionsMax: () => this.#plan?.main.worker_connections ?? plan.main.worker_connections,
        tls: this.#tls,
        isHeld: true,
      });
      if (listener instanceof Listener) opened.set(listenerPlan.key, listener);
      else faults.push(bindFault(listenerPlan, listener));
    }
    const prepared = { plan, opened };
    if (faults.length === 0) return { ok: true, prepared };
    this.abandon(prepared);
    return { ok: false, faults };
  }

  /** Gives back what a prepared plan has opened. */
  abandon({ plan, opened }: PreparedPlan): void {
    for (const listener of opened.values()) listener.closeNow();
    for (const part of plan.stateful) part.retire();
    closeLogs(plan);
  }

  /** Puts a prepared plan in force: new requests go by it, those in flight and open tunnels keep the one they have. */
  commit({ plan, opened }: PreparedPlan): void {
    const before = this.#plan;
    const listenersBefore = this.#listeners;
    this.#plan = plan;
    this.#listeners = new Map();
    for (const listenerPlan of plan.listeners) {
      const kept = listenersBefore.get(listenerPlan.key);
      if (kept !== undefined) kept.plan = listenerPlan;
      const listener = kept ?? opened.get(listenerPlan.key);
      if (listener !== undefined) this.#listeners.set(listenerPlan.key, listener);
    }
    for (const [key, listener] of listenersBefore) {
      if (!this.#listeners.has(key)) this.#leave(listener);
    }
    if (before !== null) succeed(before, plan);
    for (const listener of opened.values()) listener.letGo();
  }

  /** Stops accepting and resolves when every connection has come to its own end, tunnels included. */
  async drain(): Promise<void> {
    for (const listener of this.#listeners.values()) this.#leave(listener);
    this.#listeners.clear();
    await Promise.all(this.#leaving.values());
    this.#release();
  }

  /** Closes everything at once, also what is draining; resolves when the last connection is gone. */
  async closeNow(): Promise<void> {
    for (const listener of this.#listeners.values()) this.#leave(listener);
    this.#listeners.clear();
    for (const listener of this.#leaving.keys()) listener.closeNow();
    this.#release();
    await Promise.all(this.#leaving.values());
  }

  #leave(listener: Listener): void {
    this.#leaving.set(
      listener,
      listener.close().finally(() => this.#leaving.delete(listener)),
    );
  }

  #release(): void {
    const plan = this.#plan;
    this.#plan = null;
    if (plan === null) return;
    for (const part of plan.stateful) part.retire();
    closeLogs(plan);
  }
}

/** A secret for a new {@link TlsAcceptor}; 32 bytes are as many as its hash takes in. */
export function makeTicketSecret(): Buffer {
  return randomBytes(32);
}

/** Hands over what the plan before knows, and ends it: what its requests in flight still need lives on with them. */
function succeed(before: Plan, plan: Plan): void {
  for (const part of plan.stateful) {
    const predecessor = before.stateful.find((each) => each.key === part.key);
    if (predecessor !== undefined) part.adopt(predecessor);
  }
  for (const part of before.stateful) part.retire();
  closeLogs(before);
}
