import { formatSeconds } from "../base/units.ts";
import type { Request } from "../compile/request.ts";
import type { Peer } from "../upstream/peer.ts";
import type { PeerGroup } from "../upstream/peer-group.ts";
import { type ClosingDelay, ClosingHandshake } from "../websocket/closing.ts";
import type { DrainReason, LiveTunnel } from "../websocket/register.ts";
import type { Tunnel, TunnelEndReason } from "../websocket/relay.ts";
import type { TunnelWatch } from "../websocket/tunnel-watch.ts";
import type { ProxyRules } from "./rules.ts";

/** An open tunnel with what a drain, and a reload that may drain it, have to know. */
export class ProxiedTunnel implements LiveTunnel {
  readonly request: Request;
  readonly rules: ProxyRules;
  readonly peer: Peer;
  readonly group: PeerGroup;
  readonly startedAtMs: number = performance.now();
  readonly #tunnel: Tunnel;
  /** Null for a tunnel without frames. */
  readonly #watch: TunnelWatch | null;
  #closing: ClosingHandshake | null = null;

  constructor(
    request: Request,
    rules: ProxyRules,
    parts: {
      readonly peer: Peer;
      readonly group: PeerGroup;
      readonly tunnel: Tunnel;
      readonly watch: TunnelWatch | null;
    },
  ) {
    this.request = request;
    this.rules = rules;
    this.peer = parts.peer;
    this.group = parts.group;
    this.#tunnel = parts.tunnel;
    this.#watch = parts.watch;
  }

  close(reason: DrainReason, code: number, timeoutMs: number): void {
    if (this.#watch !== null) this.#watch.closeInOrder(reason, code, timeoutMs);
    else if (this.#closing !== null) this.#closing.limitTo(timeoutMs);
    else this.#closeWithoutFrames(reason, code, timeoutMs);
  }

  shutdown(): void {
    this.#tunnel.shutdown("shutdown");
  }

  destroy(): void {
    this.#tunnel.destroy("shutdown");
  }

  /** Both connections are closed. */
  release(): void {
    this.#watch?.release();
    this.#closing?.stop();
  }

  #closeWithoutFrames(reason: DrainReason, code: number, timeoutMs: number): void {
    this.#closing = new ClosingHandshake({
      tunnel: this.#tunnel,
      toClient: null,
      reason,
      farewell: { code, reason: "" },
      timeoutMs,
      isTheirs: false,
      onSent: () => {},
      onTimeout: (delay) => logCut(this.request, this.startedAtMs, delay, reason),
    });
    this.#closing.start();
  }
}

/** What kept a tunnel from ending in time. */
const DELAYS: Readonly<Record<ClosingDelay, string>> = {
  frame: "a frame to the client was under way until the end",
  client: "the client has not answered the Close frame",
  upstream: "the upstream has not answered the Close frame",
  theirs: "a closing handshake that a peer had begun has not been finished",
  connection: "a peer has not closed its connection",
};

/** Tells of a tunnel that had to be cut. */
export function logCut(
  request: Request,
  startedAtMs: number,
  delay: ClosingDelay,
  reason: TunnelEndReason,
): void {
  const level = reason === "drain" || reason === "shutdown" ? "notice" : "info";
  const openFor = formatSeconds(performance.now() - startedAtMs);
  request.log(level, `tunnel cut after ${openFor} s: ${DELAYS[delay]}`);
}
