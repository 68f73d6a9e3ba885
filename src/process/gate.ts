import type { Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { Listener } from "../listen/listener.ts";
import { TlsAcceptor } from "../listen/tls-acceptor.ts";
import { connectionCounts } from "../observe/connections.ts";
import { bindFault } from "./faults.ts";
import { closeLogs, openLogs } from "./log-files.ts";
import { RemovalCheck } from "./removal.ts";
import { requestHandler } from "./request-handler.ts";
import { makeTicketSecret } from "./ticket-secret.ts";
import { PlanTunnels } from "../proxy/plan-tunnels.ts";
import type { ProxiedTunnel } from "../proxy/live-tunnel.ts";
import { TunnelRegister } from "../websocket/register.ts";

/** When everything ends at once, those tunnels are given up of which none has come to its end for so long. */
const FAREWELL_MS = 500;
/** All of them after this, so that no client can draw out the end by trickling away. */
const FAREWELL_MS_MAX = 5000;

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
  /** Goes from plan to plan, as tunnels do. */
  readonly #tunnels = new TunnelRegister<ProxiedTunnel>();
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
    this.#handOnTunnels(plan);
    for (const listener of opened.values()) listener.letGo();
  }

  /**
   * Turns new tunnels away and asks the open ones to end, as their websocket_drain says, while everything else goes on;
   * the next {@link commit} ends that. Resolves with true when no tunnel is left, with false at a commit before.
   */
  drainTunnels(): Promise<boolean> {
    this.#tunnels.drainAll("drain");
    return this.#tunnels.untilEmpty();
  }

  /** Stops accepting, drains tunnels, and resolves when every connection has come to its end. */
  drain(): Promise<void> {
    this.#tunnels.drainAll("shutdown", this.#plan?.main.worker_shutdown_timeout ?? undefined);
    return this.leave();
  }

  /** Stops accepting and resolves when every connection has come to its own end, tunnels included. */
  async leave(): Promise<void> {
    this.#leaveAll();
    await this.#untilGone();
  }

  /**
   * Closes everything at once, also what is draining; resolves when the last connection is gone. Where there are tunnels,
   * all has a moment more, in which their sides are told. `onProgress` is called as long as it gets on, which with
   * thousands of them on a busy machine takes seconds.
   */
  async closeNow(onProgress: () => void = () => {}): Promise<void> {
    this.#leaveAll();
    await this.#tunnels.shutdownAll(onProgress);
    await this.#untilTold(onProgress);
    await this.#tunnels.destroyAll(onProgress);
    for (const listener of this.#leaving.keys()) listener.closeNow();
    await this.#untilGone();
  }

  /** Until no tunnel is left, or no more of them come to their end. */
  async #untilTold(onProgress: () => void): Promise<void> {
    const endMs = performance.now() + FAREWELL_MS_MAX;
    let left = Number.POSITIVE_INFINITY;
    while (this.#tunnels.size < left && performance.now() < endMs) {
      onProgress();
      left = this.#tunnels.size;
      await Promise.race([this.#tunnels.untilEmpty(), after(FAREWELL_MS)]);
    }
  }

  /** A tunnel may outlive its client's connection, and has a line for the log at its end. */
  async #untilGone(): Promise<void> {
    await Promise.all(this.#leaving.values());
    await this.#tunnels.untilEmpty();
    this.#release();
  }

  #leaveAll(): void {
    for (const listener of this.#listeners.values()) this.#leave(listener);
    this.#listeners.clear();
  }

  /** New tunnels of the plan stand in the register, and those are drained that have lost what they were for. */
  #handOnTunnels(plan: Plan): void {
    this.#tunnels.welcome();
    const ours = plan.stateful.filter((part) => part instanceof PlanTunnels);
    for (const part of ours) part.register = this.#tunnels;
    const isRemovable = ({ rules }: ProxiedTunnel): boolean => rules.websocket_removal === "drain";
    const candidates = this.#tunnels.filter(isRemovable);
    if (candidates.length === 0) return;
    const check = new RemovalCheck(plan, new Map(ours.flatMap((part) => [...part.passes()])));
    const removed = candidates.filter((tunnel) => check.removedFrom(tunnel) !== null);
    if (removed.length === 0) return;
    const message = `draining tunnels that the new configuration has no place for: ${removed.length}`;
    plan.main.error_log.write("notice", message);
    this.#tunnels.drain(removed, "drain");
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

/** After the poll for input, too: on a busy machine it may be all that has kept tunnels from their end. */
function after(timeMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(() => setImmediate(resolve), timeMs).unref());
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
