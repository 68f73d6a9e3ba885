import { Deadline } from "../base/timers.ts";
import { CLOSING_TIMEOUT_MS } from "./closing.ts";

/** `websocket_drain`: how a tunnel is asked to end, and how long that may take. */
export interface DrainSettings {
  /** From the beginning of the drain to the moment in which what is left is cut. */
  readonly timeMs: number;
  /** What the client is told. */
  readonly code: number;
  /** Not all at once, see {@link TunnelRegister.drain}. */
  readonly spreads: boolean;
}

/** The directives about ends that the proxy chooses. */
export interface DrainRules {
  /** Null: tunnels are left alone. */
  readonly websocket_drain: DrainSettings | null;
  /** What becomes of a tunnel when a reload takes away what it came by or leads to. */
  readonly websocket_removal: "keep" | "drain";
}

/** drain: asked for, or the peer is gone; shutdown: the process ends. */
export type DrainReason = "drain" | "shutdown";

/** An open tunnel as the register knows it. */
export interface LiveTunnel {
  readonly rules: DrainRules;
  /** Ends it by a closing handshake, which may take `timeoutMs`; then it is cut. Asked twice, the shorter time counts. */
  close(reason: DrainReason, code: number, timeoutMs: number): void;
  /** Ends it now: what is pending, a Close frame and FIN to both sides. */
  shutdown(): void;
  /** Closes both connections. */
  destroy(): void;
}

/** When a tunnel is to be asked, and when it has to be gone. */
interface Appointment<Tunnel> {
  readonly tunnel: Tunnel;
  readonly reason: DrainReason;
  readonly atMs: number;
  readonly endMs: number;
}

/** For how long the work on many tunnels may keep the event loop from anything else. */
const TURN_MS_MAX = 20;

/** The open tunnels of one gate, and the drains that are under way among them. */
export class TunnelRegister<Tunnel extends LiveTunnel = LiveTunnel> {
  readonly #tunnels = new Set<Tunnel>();
  /** Sorted, the next one last. */
  #appointments: Appointment<Tunnel>[] = [];
  readonly #clock: Deadline = new Deadline();
  /** Why every tunnel that opens from now on is asked at once to end; null: it is welcome. */
  #refusal: DrainReason | null = null;
  /** All have been ended, and so is each that opens from now on. */
  #isShut = false;
  /** Who waits for the last tunnel. */
  #waiting: ((isEmpty: boolean) => void)[] = [];
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  get size(): number {
    return this.#tunnels.size;
  }

  /** New opening handshakes are to be refused. */
  get isRefusing(): boolean {
    return this.#refusal !== null;
  }

  /** Registers an open tunnel; to be called back when it has ended. */
  add(tunnel: Tunnel): () => void {
    this.#tunnels.add(tunnel);
    // Its handshake was under way when the drain began.
    if (this.#isShut) tunnel.shutdown();
    else if (this.#refusal !== null) this.#schedule([tunnel], this.#refusal, Number.POSITIVE_INFINITY, true);
    return () => this.#remove(tunnel);
  }

  filter(predicate: (tunnel: Tunnel) => boolean): readonly Tunnel[] {
    return [...this.#tunnels].filter(predicate);
  }

  /** Resolves with true when no tunnel is open, with false when they are welcome again before that. */
  untilEmpty(): Promise<boolean> {
    if (this.#tunnels.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Asks tunnels to end, each within the time of its `websocket_drain`, or within `timeMsMax` if that is less. They are
   * asked in random order, evenly over the time but for what the last closing handshakes need, each at a random moment of
   * its own slot: clients that come back as soon as they are asked come back one by one.
   */
  drain(tunnels: readonly Tunnel[], reason: DrainReason, timeMsMax: number = Number.POSITIVE_INFINITY): void {
    this.#schedule(tunnels, reason, timeMsMax, false);
  }

  /** Drains all tunnels, and those that open from now on, until {@link welcome}. */
  drainAll(reason: DrainReason, timeMsMax: number = Number.POSITIVE_INFINITY): void {
    this.#refusal = reason;
    this.drain([...this.#tunnels], reason, timeMsMax);
  }

  /** New tunnels are welcome again. Those that a drain was begun for are still asked. */
  welcome(): void {
    this.#refusal = null;
    this.#tellWaiting(false);
  }

  /**
   * Ends all tunnels now, whatever a drain had in mind for them. Thousands take several turns of the event loop, so that
   * what the first ones answer is heard meanwhile; `onTurn` is called after each.
   */
  async shutdownAll(onTurn: () => void = () => {}): Promise<void> {
    this.#refusal = "shutdown";
    this.#isShut = true;
    this.#forgetAppointments();
    await this.#inTurns((tunnel) => tunnel.shutdown(), onTurn);
  }

  /** Closes what {@link shutdownAll} has left, in turns as well. */
  async destroyAll(onTurn: () => void = () => {}): Promise<void> {
    await this.#inTurns((tunnel) => tunnel.destroy(), onTurn);
  }

  /** Also for tunnels that are added meanwhile. */
  async #inTurns(act: (tunnel: Tunnel) => void, onTurn: () => void): Promise<void> {
    let beganMs = performance.now();
    for (const tunnel of this.#tunnels) {
      act(tunnel);
      if (performance.now() - beganMs < TURN_MS_MAX) continue;
      onTurn();
      await new Promise((resolve) => setImmediate(resolve));
      beganMs = performance.now();
    }
  }

  #remove(tunnel: Tunnel): void {
    this.#tunnels.delete(tunnel);
    if (this.#tunnels.size > 0) return;
    this.#forgetAppointments();
    this.#tellWaiting(true);
  }

  #tellWaiting(isEmpty: boolean): void {
    for (const resolve of this.#waiting.splice(0)) resolve(isEmpty);
  }

  #forgetAppointments(): void {
    this.#appointments = [];
    this.#clock.disarm();
  }

  #schedule(tunnels: readonly Tunnel[], reason: DrainReason, timeMsMax: number, isAtOnce: boolean): void {
    const nowMs = performance.now();
    for (const [settings, alike] of bySettings(tunnels)) {
      const timeMs = Math.min(settings.timeMs, timeMsMax);
      const spreadMs = isAtOnce || !settings.spreads ? 0 : askingMs(timeMs);
      shuffled(alike, this.#random).forEach((tunnel, index) => {
        const moment = (index + this.#random()) / alike.length;
        this.#appointments.push({ tunnel, reason, atMs: nowMs + moment * spreadMs, endMs: nowMs + timeMs });
      });
    }
    this.#appointments.sort((a, b) => b.atMs - a.atMs);
    this.#keepAppointments();
  }

  /** Asks those whose moment has come, and waits for the next one's. */
  #keepAppointments(): void {
    const nowMs = performance.now();
    for (let next = this.#appointments.at(-1); next !== undefined; next = this.#appointments.at(-1)) {
      if (next.atMs > nowMs) {
        this.#clock.arm(next.atMs - nowMs, () => this.#keepAppointments());
        return;
      }
      this.#appointments.pop();
      const { tunnel, reason, endMs } = next;
      const { websocket_drain } = tunnel.rules;
      if (websocket_drain !== null && this.#tunnels.has(tunnel))
        tunnel.close(reason, websocket_drain.code, endMs - nowMs);
    }
  }
}

/** The first part of a drain, in which tunnels are asked: the rest is for the last one's handshake. */
function askingMs(timeMs: number): number {
  return timeMs - Math.min(CLOSING_TIMEOUT_MS, timeMs / 3);
}

/** Those that are to be drained, by the directive that says how. */
function bySettings<Tunnel extends LiveTunnel>(
  tunnels: readonly Tunnel[],
): ReadonlyMap<DrainSettings, readonly Tunnel[]> {
  const groups = new Map<DrainSettings, Tunnel[]>();
  for (const tunnel of tunnels) {
    const settings = tunnel.rules.websocket_drain;
    if (settings === null) continue;
    const group = groups.get(settings);
    if (group === undefined) groups.set(settings, [tunnel]);
    else group.push(tunnel);
  }
  return groups;
}

function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
