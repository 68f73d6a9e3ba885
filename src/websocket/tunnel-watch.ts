import type { ByteString } from "../base/bytes.ts";
import { Deadline } from "../base/timers.ts";
import { type ClosingDelay, CLOSING_TIMEOUT_MS, ClosingHandshake } from "./closing.ts";
import { GOING_AWAY, MESSAGE_TOO_BIG, POLICY_VIOLATION } from "./close-codes.ts";
import { type Farewell, farewellTo, type TunnelTimes } from "./farewell.ts";
import { FrameFilter } from "./frame-filter.ts";
import type { Violation } from "./frame-rules.ts";
import { PacedFilter } from "./paced-filter.ts";
import { Pulse } from "./pulse.ts";
import type { Rate } from "./rate.ts";
import type { RelayFilter, Tunnel, TunnelEndCause, TunnelEndReason, TunnelSide } from "./relay.ts";

/** What a tunnel of frames is held to. Times in milliseconds, sizes in bytes; null: no limit. */
export interface WatchSettings {
  readonly websocket_ping_interval: number | null;
  readonly websocket_idle_timeout: number | null;
  readonly websocket_max_duration: number | null;
  readonly websocket_max_message_size: number | null;
  readonly websocket_max_frame_size: number | null;
  readonly websocket_max_fragments: number | null;
  /** All of them hold; `off` among them: none does. */
  readonly websocket_rate: readonly (Rate | "off")[];
}

/** The first Close frame of a tunnel. */
export interface CloseSeen {
  readonly by: TunnelSide;
  /** 1005 where the frame had none (RFC 6455 section 7.1.5). */
  readonly code: number;
  readonly reason: string;
}

/** What is known of a tunnel from its frames. */
export interface FrameCounts {
  readonly messagesFromClient: number;
  readonly messagesFromUpstream: number;
  /** Of the first Close frame, else of the one that the proxy has sent. */
  readonly closeCode: number | null;
  readonly closeReason: string;
  readonly rttMs: number | null;
}

/** Wants to know of single frames. Reasons are byte strings. */
export interface FrameObserver {
  /** A Close frame of a side, or of ours; 1005 for one without a code. */
  onCloseFrame(from: TunnelSide | "proxy", to: TunnelSide, code: number, reason: ByteString): void;
  /** A whole message; `bytes` are those of its payload as it came, `frames` how many it came in. */
  onMessage(from: TunnelSide, opcode: number, bytes: number, frames: number): void;
}

/** A frame that ends the tunnel, and who sent it. */
export interface Offence {
  readonly by: TunnelSide;
  readonly violation: Violation;
  readonly isLimit: boolean;
}

const LIMITS = {
  "max-frame-size": { code: MESSAGE_TOO_BIG, message: "frame above websocket_max_frame_size" },
  "max-message-size": { code: MESSAGE_TOO_BIG, message: "message above websocket_max_message_size" },
  "max-fragments": {
    code: POLICY_VIOLATION,
    message: "message in more fragments than websocket_max_fragments",
  },
  "messages-rate": { code: POLICY_VIOLATION, message: "message above websocket_rate" },
  "bytes-rate": { code: POLICY_VIOLATION, message: "frame above websocket_rate" },
} as const;

/**
 * Knows a tunnel for a WebSocket. It follows the frames of both directions, keeps an idle tunnel alive by pings, notices
 * a peer that answers none, holds both sides to the limits, and sees to it that a side that still lives when the tunnel
 * ends is told why by a Close frame.
 */
export class TunnelWatch {
  readonly fromClient: FrameFilter;
  readonly fromUpstream: FrameFilter;
  close: CloseSeen | null = null;
  offence: Offence | null = null;
  readonly observer: FrameObserver | null;

  readonly #settings: WatchSettings;
  readonly #times: () => TunnelTimes;
  readonly #onOffence: (offence: Offence) => void;
  readonly #onClosingTimeout: (delay: ClosingDelay, reason: TunnelEndReason) => void;
  /** Those that are set; most tunnels have none. */
  #idle: Deadline | null = null;
  #duration: Deadline | null = null;
  /** For each side that is asked whether it lives; null without pings. */
  #pulses: Readonly<Record<TunnelSide, Pulse>> | null = null;
  /** In front of the filters, where a side is held to a rate. */
  readonly #paced: Readonly<Record<TunnelSide, PacedFilter | null>>;
  #tunnel: Tunnel | null = null;
  /** What the proxy itself has told a side. */
  #farewell: Farewell | null = null;
  #closing: ClosingHandshake | null = null;
  /** What that one tells the client. */
  #asked: Farewell | null = null;
  /** How long an offender may have to wait until it is told. */
  #telling: Deadline | null = null;

  constructor(
    settings: WatchSettings,
    options: {
      readonly allowsRsv1: boolean;
      /** A peer that has answered no ping for `proxy_read_timeout` is dead. */
      readonly times: () => TunnelTimes;
      readonly observer?: FrameObserver | null;
      readonly onOffence: (offence: Offence) => void;
      /** A closing handshake of the proxy's has taken too long; the tunnel is going to be cut. */
      readonly onClosingTimeout: (delay: ClosingDelay, reason: TunnelEndReason) => void;
    },
  ) {
    this.#settings = settings;
    this.observer = options.observer ?? null;
    this.#times = options.times;
    this.#onOffence = options.onOffence;
    this.#onClosingTimeout = options.onClosingTimeout;
    const { allowsRsv1 } = options;
    this.fromClient = new FrameFilter(this, "client", { isMasked: true, allowsRsv1 });
    this.fromUpstream = new FrameFilter(this, "upstream", { isMasked: false, allowsRsv1 });
    this.#paced = { client: this.#paceOf(this.fromClient), upstream: this.#paceOf(this.fromUpstream) };
  }

  /** What stands in the relay, in the way from that side. */
  filterFrom(side: TunnelSide): RelayFilter {
    return this.#paced[side] ?? (side === "client" ? this.fromClient : this.fromUpstream);
  }

  /** The tunnel is open: begins to watch. */
  start(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    const { websocket_ping_interval, websocket_idle_timeout, websocket_max_duration } = this.#settings;
    if (websocket_ping_interval !== null) {
      const { fromClient, fromUpstream } = this;
      const options = {
        intervalMs: websocket_ping_interval,
        deadMs: this.#times().proxy_read_timeout,
        onDead: (side: TunnelSide): void => tunnel.giveUp(side, "ping-timeout"),
      };
      // Pings to a side stand between the frames that go to it.
      this.#pulses = {
        client: new Pulse(fromClient, fromUpstream, options),
        upstream: new Pulse(fromUpstream, fromClient, options),
      };
    }
    if (websocket_idle_timeout !== null) this.#armIdle(websocket_idle_timeout);
    if (websocket_max_duration !== null) {
      this.#duration = new Deadline();
      this.#duration.arm(websocket_max_duration, () => this.closeInOrder("max-duration"));
    }
    // What came early may have broken a rule before there was a tunnel to end.
    if (this.offence !== null) this.#endBy(this.offence);
  }

  /**
   * Ends the tunnel by a closing handshake, see closing.ts, which may take `timeoutMs`. `code` is what the client is told,
   * unless it is what the reason alone says.
   */
  closeInOrder(
    reason: TunnelEndReason,
    code: number | null = null,
    timeoutMs: number = CLOSING_TIMEOUT_MS,
  ): void {
    const tunnel = this.#tunnel;
    if (tunnel === null) return;
    if (this.#closing !== null) return this.#closing.limitTo(timeoutMs);
    const usual = this.farewellTo("client", { endedBy: "proxy", reason, about: null, error: null });
    const farewell = { code: code ?? usual?.code ?? GOING_AWAY, reason: usual?.reason ?? "" };
    this.#asked = farewell;
    this.#closing = new ClosingHandshake({
      tunnel,
      toClient: this.fromUpstream,
      reason,
      farewell,
      timeoutMs,
      isTheirs: this.close !== null,
      onSent: () => {
        this.#farewell = farewell;
      },
      onTimeout: (delay) => this.#onClosingTimeout(delay, reason),
    });
    this.#closing.start();
    // What is paced stands before the frame under way to the client, and before the answers of both sides.
    this.#paced.client?.setFree();
    this.#paced.upstream?.setFree();
  }

  /** How the tunnel ends is known: no more pings, and no more limits but that of a closing handshake. */
  stop(): void {
    this.#pulses?.client.stop();
    this.#pulses?.upstream.stop();
    this.#idle?.disarm();
    this.#duration?.disarm();
  }

  /** Both connections are closed. */
  release(): void {
    this.#closing?.stop();
    this.#telling?.disarm();
    this.#tunnel = null;
    this.#paced.client?.stop();
    this.#paced.upstream?.stop();
  }

  /** What the frames told, once the tunnel is over. */
  totals(): FrameCounts {
    return {
      messagesFromClient: this.fromClient.messages,
      messagesFromUpstream: this.fromUpstream.messages,
      closeCode: this.close?.code ?? this.#farewell?.code ?? null,
      closeReason: this.close?.reason ?? this.#farewell?.reason ?? "",
      rttMs: this.#pulses?.client.rttMs ?? null,
    };
  }

  // For the filters

  /** Null, or the limit that a data frame goes beyond. */
  limitBrokenBy(frameBytes: number, messageBytes: number, fragments: number): Violation | null {
    this.#idle?.touch();
    const { websocket_max_frame_size, websocket_max_message_size, websocket_max_fragments } = this.#settings;
    if (frameBytes > (websocket_max_frame_size ?? Infinity)) return limit("max-frame-size");
    if (messageBytes > (websocket_max_message_size ?? Infinity)) return limit("max-message-size");
    return fragments > (websocket_max_fragments ?? Infinity) ? limit("max-fragments") : null;
  }

  /** More of a frame of data has come whose head has come before. */
  onPayload(): void {
    this.#idle?.touch();
  }

  /** A side has sent something that cannot be passed on yet; `isMessage`: more of a message. */
  onHeard(from: TunnelSide, isMessage: boolean): void {
    (from === "client" ? this.fromClient : this.fromUpstream).noteHeard();
    this.#tunnel?.noteHeard(from);
    if (isMessage) this.onPayload();
  }

  onOffence(offence: Offence): void {
    if (this.offence !== null) return;
    this.offence = offence;
    this.#onOffence(offence);
    this.#endBy(offence);
  }

  /** The offender is told as soon as the frame is over that is under way to it, within the time of a closing handshake. */
  #endBy({ by, violation, isLimit }: Offence): void {
    const tunnel = this.#tunnel;
    const reason = isLimit ? "limit" : "violation";
    const way = by === "client" ? this.fromUpstream : this.fromClient;
    const farewell = { code: violation.code, reason: violation.message };
    const onSent = (): void => {
      this.onFarewell(by, farewell);
      this.#end(reason);
    };
    if (by === "client" && this.#closing?.tellInstead(farewell, reason, onSent) === true) return;
    if (tunnel === null || !tunnel.isOpen || this.#closing !== null || way.isBetweenFrames)
      return this.#end(reason);
    tunnel.beginClosing(reason);
    this.#telling = new Deadline();
    this.#telling.arm(CLOSING_TIMEOUT_MS, () => this.#end(reason));
    way.sendClose(farewell, onSent);
    this.#paced[way.from]?.setFree();
  }

  onClose(by: TunnelSide, payload: Buffer): void {
    const seen = closeSeen(by, payload);
    this.observer?.onCloseFrame(by, by === "client" ? "upstream" : "client", seen.code, seen.reason);
    // An answer to our own is no news.
    if (this.#closing?.hasAsked === true) return;
    this.close ??= seen;
  }

  /**
   * What the upstream is told where the client only answers a Close frame of ours: the same, since it is we who close, and
   * answers repeat the code alone. Null: what the client says, which may be a closing handshake of its own.
   */
  closeInstead(by: TunnelSide, payload: Buffer): Farewell | null {
    if (by === "upstream" || this.#asked === null || this.#closing?.hasAsked !== true) return null;
    const { code, reason } = closeSeen(by, payload);
    return code === this.#asked.code && reason === "" ? this.#asked : null;
  }

  /** The bytes of that Close frame have gone where they go. */
  onClosePassed(by: TunnelSide): void {
    this.#closing?.onClose(by);
  }

  /** True for an answer to a ping of ours, which is not passed on. */
  onPong(by: TunnelSide, payload: Buffer): boolean {
    return this.#pulses?.[by].isAnswer(payload) === true;
  }

  /** What a side that lives is told at the end; null for one that knows, as it has ended the tunnel itself. */
  farewellTo(side: TunnelSide, cause: TunnelEndCause): Farewell | null {
    if (this.offence === null) return farewellTo(side, cause, this.#times());
    const { by, violation } = this.offence;
    if (by === side) return { code: violation.code, reason: violation.message };
    return { code: GOING_AWAY, reason: `${by} sent a ${violation.message}` };
  }

  /** A side has been told. */
  onFarewell(to: TunnelSide, farewell: Farewell): void {
    (to === "client" ? this.fromClient : this.fromUpstream).isTold = true;
    // What the client is told counts: it is the one who asks.
    if (to === "client" || this.#farewell === null) this.#farewell = farewell;
  }

  #paceOf(filter: FrameFilter): PacedFilter | null {
    const by = filter.from;
    const { websocket_rate } = this.#settings;
    const rates = websocket_rate.flatMap((rate) => (rate !== "off" && rate.from === by ? [rate] : []));
    if (rates.length === 0 || websocket_rate.includes("off")) return null;
    return new PacedFilter(filter, rates, (unit) =>
      this.onOffence({ by, violation: limit(`${unit}-rate`), isLimit: true }),
    );
  }

  #armIdle(timeoutMs: number): void {
    this.#idle ??= new Deadline();
    this.#idle.arm(timeoutMs, () => {
      // A message that waits for us is no silence.
      if (this.fromClient.isUnheard || this.fromUpstream.isUnheard) this.#armIdle(timeoutMs);
      else this.closeInOrder("idle-timeout");
    });
  }

  #end(reason: TunnelEndReason): void {
    this.#tunnel?.shutdown(reason);
  }
}

function closeSeen(by: TunnelSide, payload: Buffer): CloseSeen {
  return {
    by,
    code: payload.length < 2 ? 1005 : payload.readUInt16BE(0),
    reason: payload.toString("latin1", 2),
  };
}

function limit(rule: keyof typeof LIMITS): Violation {
  return { rule, ...LIMITS[rule] };
}
