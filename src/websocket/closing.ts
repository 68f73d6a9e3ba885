import { Deadline } from "../base/timers.ts";
import type { Farewell } from "./farewell.ts";
import type { FrameFilter } from "./frame-filter.ts";
import type { Tunnel, TunnelEndReason, TunnelSide } from "./relay.ts";

/*
 * The closing handshake of a tunnel that the proxy itself ends in good order: drain, shutdown, idle timeout, longest
 * duration (RFC 6455 sections 1.4, 5.5.1 and 7.1). The proxy asks the client; by the client's answer the upstream is asked, with the same code and reason.
 *
 *   state     what has been said                                      what leads on
 *   waiting   nothing yet: a frame to the client is under way         its end → asked; a Close of either side → theirs; an
 *                                                                     offence of the client's → telling
 *   asked     our Close to the client. What the client had sent       the client's Close → answered, or over where the
 *             before it saw it still reaches the upstream. What the   upstream has sent one meanwhile; the client's end
 *             upstream sends can be delivered no more: it is dropped  without a Close → the relay's: the upstream gets ours
 *   answered  the client's Close, which has been passed on; the       the upstream's Close, which stays here → over
 *             client has got FIN
 *   theirs    a Close of a side that came before ours: that side's    both connections closed
 *             handshake goes on as if there were none of ours
 *   telling   nothing yet: of what the client has broken it is told   the end of that frame → over
 *             in the place of our Close
 *   over      nothing is left to be said, or the tunnel has no        both connections closed
 *             frames: both sides have got FIN
 *
 * Whatever happens, all is over when the time is: a client that has not answered is cut off, and the upstream gets a Close
 * frame of ours, FIN, and a moment to take them in; an upstream that has not answered is cut off.
 */
type State = "waiting" | "asked" | "answered" | "theirs" | "telling" | "over";

/** What was waited for when the time was over. */
export type ClosingDelay =
  /** A frame that was under way to the client has not come to its end. */
  | "frame"
  | "client"
  | "upstream"
  /** A closing handshake that one of the sides had begun. */
  | "theirs"
  /** The end of a connection, after all had been said. */
  | "connection";

export interface ClosingOptions {
  readonly tunnel: Tunnel;
  /** In the way to the client; null for a tunnel without frames: it is ended without a word. */
  readonly toClient: FrameFilter | null;
  readonly reason: TunnelEndReason;
  /** What the client is told. */
  readonly farewell: Farewell;
  readonly timeoutMs: number;
  /** A side has sent a Close frame, and its handshake is under way. */
  readonly isTheirs: boolean;
  /** The client has been told. */
  readonly onSent: () => void;
  /** The time is over, and the tunnel is going to be cut. */
  readonly onTimeout: (delay: ClosingDelay) => void;
}

/** How long sides may take for their part where nothing else limits it. */
export const CLOSING_TIMEOUT_MS = 10_000;
/** How long an upstream lives after its client has been cut off. */
const CUT_GRACE_MS = 1000;

export class ClosingHandshake {
  readonly #options: ClosingOptions;
  readonly #limit: Deadline = new Deadline();
  #limitAtMs = Number.POSITIVE_INFINITY;
  #state: State = "waiting";
  #hasUpstreamClosed = false;

  constructor(options: ClosingOptions) {
    this.#options = options;
  }

  start(): void {
    const { tunnel, toClient, farewell, timeoutMs, isTheirs } = this.#options;
    this.limitTo(timeoutMs);
    if (!tunnel.isOpen) this.#state = "over";
    else if (toClient === null) this.#conclude();
    else if (isTheirs) this.#state = "theirs";
    else toClient.sendClose(farewell, () => this.#closeOnSent());
  }

  /** It is to be over within this time, if it was not to be sooner. */
  limitTo(timeoutMs: number): void {
    const atMs = performance.now() + timeoutMs;
    if (atMs >= this.#limitAtMs) return;
    this.#limitAtMs = atMs;
    this.#limit.arm(Math.max(1, timeoutMs), () => this.#limitOnExpiry());
  }

  /** Our Close frame is on its way: a Close of theirs is an answer to it. */
  get hasAsked(): boolean {
    return this.#state === "asked" || this.#state === "answered" || this.#state === "over";
  }

  /**
   * The client has broken a rule, and is told that instead, for which the time still counts. `onSent` is called when it has
   * been. False where nothing is waited for: it can be told at once, or knows of an end.
   */
  tellInstead(farewell: Farewell, reason: TunnelEndReason, onSent: () => void): boolean {
    const { tunnel, toClient } = this.#options;
    if (this.#state !== "waiting" || toClient === null || !tunnel.isOpen) return false;
    this.#state = "telling";
    this.limitTo(CLOSING_TIMEOUT_MS);
    tunnel.beginClosing(reason);
    toClient.sendClose(farewell, () => {
      this.#state = "over";
      onSent();
    });
    return true;
  }

  /** A Close frame has come and, where the other side has none yet, been passed on. */
  onClose(by: TunnelSide): void {
    const { tunnel, toClient } = this.#options;
    if (this.#state === "waiting") {
      this.#state = "theirs";
      toClient?.forgetClose();
    } else if (by === "upstream") {
      this.#hasUpstreamClosed = true;
      if (this.#state === "answered") this.#conclude();
    } else if (this.#state === "asked") {
      this.#state = "answered";
      if (this.#hasUpstreamClosed) this.#conclude();
      else tunnel.endTowards("client");
    }
  }

  /** The tunnel is over. */
  stop(): void {
    this.#limit.disarm();
  }

  #closeOnSent(): void {
    this.#state = "asked";
    this.#options.onSent();
    this.#options.tunnel.beginClosing(this.#options.reason);
  }

  #conclude(): void {
    this.#state = "over";
    this.#options.tunnel.shutdown(this.#options.reason);
  }

  #limitOnExpiry(): void {
    const { tunnel, reason, onTimeout } = this.#options;
    const delay = this.#delay();
    onTimeout(delay);
    if (delay !== "frame" && delay !== "client") return tunnel.destroy(reason);
    this.#state = "over";
    tunnel.giveUp("client", reason);
    this.#limit.arm(CUT_GRACE_MS, () => tunnel.destroy(reason));
  }

  #delay(): ClosingDelay {
    const { tunnel } = this.#options;
    switch (this.#state) {
      case "waiting":
        return tunnel.isOpen ? "frame" : "connection";
      case "telling":
        return "frame";
      case "asked":
        return tunnel.isGone("client") ? "connection" : "client";
      case "answered":
        return tunnel.isGone("upstream") ? "connection" : "upstream";
      case "theirs":
        return tunnel.isOpen ? "theirs" : "connection";
      case "over":
        return "connection";
    }
  }
}
