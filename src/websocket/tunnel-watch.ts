import { randomBytes } from "node:crypto";
import { Deadline } from "../base/timers.ts";
import { BAD_GATEWAY, GOING_AWAY, MESSAGE_TOO_BIG, POLICY_VIOLATION } from "./close-codes.ts";
import { FrameFilter } from "./frame-filter.ts";
import type { Violation } from "./frame-rules.ts";
import type { Tunnel, TunnelEndCause, TunnelEndReason, TunnelSide } from "./relay.ts";

/** What a tunnel of frames is held to. Times in milliseconds, sizes in bytes; null: no limit. */
export interface WatchSettings {
  readonly websocket_ping_interval: number | null;
  readonly websocket_idle_timeout: number | null;
  readonly websocket_max_duration: number | null;
  readonly websocket_max_message_size: number | null;
  readonly websocket_max_frame_size: number | null;
  readonly websocket_max_fragments: number | null;
}

/** The first Close frame of a tunnel. */
export interface CloseSeen {
  readonly by: TunnelSide;
  /** 1005 where the frame had none (RFC 6455 section 7.1.5). */
  readonly code: number;
  readonly reason: string;
}

/** What a Close frame of ours says. */
export interface Farewell {
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
} as const;

/** Payload of our pings: a nonce of the tunnel, by which its answers are known, and a number. */
const NONCE_BYTES = 4;

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
  /** The last round trip of a ping to the client, in milliseconds; null before the first answer. */
  rttMs: number | null = null;

  readonly #settings: WatchSettings;
  readonly #deadMs: number;
  readonly #onOffence: (offence: Offence) => void;
  readonly #idle: Deadline = new Deadline();
  readonly #duration: Deadline = new Deadline();
  readonly #pulses: readonly Pulse[];
  #tunnel: Tunnel | null = null;
  /** What the proxy itself has told a side. */
  #farewell: Farewell | null = null;

  /** `deadMs`: a peer that has answered no ping for so long is dead (proxy_read_timeout). */
  constructor(
    settings: WatchSettings,
    options: {
      readonly allowsRsv1: boolean;
      readonly deadMs: number;
      readonly onOffence: (offence: Offence) => void;
    },
  ) {
    this.#settings = settings;
    this.#deadMs = options.deadMs;
    this.#onOffence = options.onOffence;
    const { allowsRsv1 } = options;
    this.fromClient = new FrameFilter(this, "client", { isMasked: true, allowsRsv1 });
    this.fromUpstream = new FrameFilter(this, "upstream", { isMasked: false, allowsRsv1 });
    this.#pulses = [
      // Pings to a side stand between the frames that go to it.
      new Pulse(this.fromClient, this.fromUpstream),
      new Pulse(this.fromUpstream, this.fromClient),
    ];
  }

  /** The tunnel is open: begins to watch. */
  start(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    const { websocket_ping_interval, websocket_idle_timeout, websocket_max_duration } = this.#settings;
    if (websocket_ping_interval !== null) {
      for (const pulse of this.#pulses)
        pulse.start(websocket_ping_interval, this.#deadMs, () => this.#end("ping-timeout"));
    }
    if (websocket_idle_timeout !== null)
      this.#idle.arm(websocket_idle_timeout, () => this.#end("idle-timeout"));
    if (websocket_max_duration !== null)
      this.#duration.arm(websocket_max_duration, () => this.#end("max-duration"));
    // What came early may have broken a rule before there was a tunnel to end.
    if (this.offence !== null) this.#end(this.offence.isLimit ? "limit" : "violation");
  }

  /** The tunnel is over. */
  stop(): void {
    for (const pulse of this.#pulses) pulse.stop();
    this.#idle.disarm();
    this.#duration.disarm();
  }

  /** What the frames told, once the tunnel is over. */
  totals(): FrameCounts {
    return {
      messagesFromClient: this.fromClient.messages,
      messagesFromUpstream: this.fromUpstream.messages,
      closeCode: this.close?.code ?? this.#farewell?.code ?? null,
      closeReason: this.close?.reason ?? this.#farewell?.reason ?? "",
      rttMs: this.rttMs,
    };
  }

  // For the filters

  /** Null, or the limit that a data frame goes beyond. */
  limitBrokenBy(frameBytes: number, messageBytes: number, fragments: number): Violation | null {
    this.#idle.touch();
    const { websocket_max_frame_size, websocket_max_message_size, websocket_max_fragments } = this.#settings;
    if (frameBytes > (websocket_max_frame_size ?? Infinity)) return limit("max-frame-size");
    if (messageBytes > (websocket_max_message_size ?? Infinity)) return limit("max-message-size");
    return fragments > (websocket_max_fragments ?? Infinity) ? limit("max-fragments") : null;
  }

  onOffence(offence: Offence): void {
    if (this.offence !== null) return;
    this.offence = offence;
    this.#onOffence(offence);
    this.#end(offence.isLimit ? "limit" : "violation");
  }

  onClose(by: TunnelSide, payload: Buffer): void {
    this.close ??= {
      by,
      code: payload.length < 2 ? 1005 : payload.readUInt16BE(0),
      reason: payload.toString("latin1", 2),
    };
  }

  /** True for an answer to a ping of ours, which is not passed on. */
  onPong(by: TunnelSide, payload: Buffer): boolean {
    for (const pulse of this.#pulses) {
      const rttMs = pulse.asked.from === by ? pulse.roundTrip(payload) : null;
      if (rttMs === null) continue;
      if (by === "client") this.rttMs = rttMs;
      return true;
    }
    return false;
  }

  /** What a side that lives is told at the end; null for one that knows, as it has ended the tunnel itself. */
  farewellTo(side: TunnelSide, cause: TunnelEndCause): Farewell | null {
    const farewell = this.#findFarewell(side, cause);
    // What the client is told counts: it is the one who asks.
    if (farewell !== null && (side === "client" || this.#farewell === null)) this.#farewell = farewell;
    return farewell;
  }

  #findFarewell(side: TunnelSide, cause: TunnelEndCause): Farewell | null {
    if (this.offence !== null) {
      const { by, violation } = this.offence;
      if (by === side) return { code: violation.code, reason: violation.message };
      return { code: GOING_AWAY, reason: `the ${by} broke a rule` };
    }
    if (cause.endedBy === side) return null;
    if (cause.endedBy === "proxy")
      return { code: GOING_AWAY, reason: REASONS[cause.reason] ?? "the proxy ends this tunnel" };
    const how = cause.reason === "eof" ? "closed its connection without a Close frame" : "connection broke";
    return { code: side === "client" ? BAD_GATEWAY : GOING_AWAY, reason: `${cause.endedBy} ${how}` };
  }

  #end(reason: TunnelEndReason): void {
    this.#tunnel?.shutdown(reason);
  }
}

const REASONS: Partial<Readonly<Record<TunnelEndReason, string>>> = {
  "read-timeout": "nothing was sent for proxy_read_timeout",
  "send-timeout": "the other side takes nothing any more",
  "ping-timeout": "the other side answers no ping",
  "idle-timeout": "no message for websocket_idle_timeout",
  "max-duration": "open for websocket_max_duration",
  shutdown: "the proxy is going down",
};

function limit(rule: keyof typeof LIMITS): Violation {
  return { rule, ...LIMITS[rule] };
}

/** Asks one side whether it lives when it has been silent for a while. */
class Pulse {
  /** Where the side's own frames are heard. */
  readonly asked: FrameFilter;
  /** In the way to the side: where pings are written. */
  readonly #way: FrameFilter;
  readonly #deadline: Deadline = new Deadline();
  readonly #nonce: Buffer = randomBytes(NONCE_BYTES);
  #intervalMs = 0;
  #deadMs = 0;
  #onDead: () => void = () => {};
  #pings = 0;
  #pingedAtMs = 0;
  /** Silence since the first unanswered ping. */
  #unansweredMs = 0;

  constructor(asked: FrameFilter, way: FrameFilter) {
    this.asked = asked;
    this.#way = way;
  }

  start(intervalMs: number, deadMs: number, onDead: () => void): void {
    this.#intervalMs = intervalMs;
    this.#deadMs = deadMs;
    this.#onDead = onDead;
    this.asked.onHeard = () => this.#deadline.touch();
    this.#arm();
  }

  stop(): void {
    this.#deadline.disarm();
  }

  /** Milliseconds since the ping that this answers; null if it answers none of ours. */
  roundTrip(payload: Buffer): number | null {
    if (payload.length !== NONCE_BYTES * 2 || !payload.subarray(0, NONCE_BYTES).equals(this.#nonce))
      return null;
    return performance.now() - this.#pingedAtMs;
  }

  #arm(): void {
    this.asked.wasHeard = false;
    this.#deadline.arm(this.#intervalMs, () => this.#onSilence());
  }

  #onSilence(): void {
    // Something was heard since the last look: the silence is a new one.
    if (this.asked.wasHeard) this.#unansweredMs = 0;
    else if (this.#pings > 0) this.#unansweredMs += this.#intervalMs;
    if (this.#unansweredMs >= this.#deadMs) return this.#onDead();
    const payload = Buffer.alloc(NONCE_BYTES * 2);
    this.#nonce.copy(payload);
    payload.writeUInt32BE(++this.#pings >>> 0, NONCE_BYTES);
    this.#pingedAtMs = performance.now();
    this.#way.writePing(payload);
    this.#arm();
  }
}
