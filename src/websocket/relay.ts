import { assert } from "../base/assert.ts";
import { SendDeadline } from "../base/send-deadline.ts";
import { Deadline } from "../base/timers.ts";
import { SideCounts, tunnelCounts } from "../observe/tunnel-counts.ts";
import type { Transport, TransportListener } from "../base/transport.ts";

/*
 * A tunnel between a client and an upstream: bytes are passed on as they came, in both directions at once.
 *
 *   phase    what it means                               what leads on
 *   open     both directions pass bytes                  a FIN, a lost connection, a timeout, shutdown() → ending;
 *                                                        beginClosing() → closing
 *   closing  the proxy ends the tunnel, and its filters  shutdown(), giveUp() → ending; both connections closed → ended
 *            still hold the closing handshake: bytes     (whoever has begun it limits its time)
 *            pass as before
 *   ending   the cause is known. Whoever still lives     both connections closed → ended;
 *            gets what is pending, then FIN; what a      halfCloseTimeout without a byte passed or taken
 *            half-closed side is still owed is passed    → both are closed
 *   ended    onEnd was called
 *
 * A direction passes bytes from its source to its sink until the source has ended, the sink is gone or the proxy ends
 * the tunnel; from then on it drops what comes, so that the source's FIN is seen and no RST destroys what is under way.
 */

export type TunnelSide = "client" | "upstream";

/**
 * eof: FIN without a word; reset: the connection broke; error: it failed otherwise (TLS, no route);
 * read-timeout: nothing came from either side; send-timeout: one side took nothing of what was pending for it.
 * The rest are reasons for which the proxy shuts a tunnel down.
 */
export type TunnelEndReason =
  | "eof"
  | "reset"
  | "error"
  | "read-timeout"
  | "send-timeout"
  | "close"
  | "ping-timeout"
  | "idle-timeout"
  | "max-duration"
  | "violation"
  | "limit"
  | "drain"
  | "shutdown";

/** Who ended a tunnel first, and why; what followed from it is not told. */
export interface TunnelEndCause {
  readonly endedBy: TunnelSide | "proxy";
  readonly reason: TunnelEndReason;
  /** With ping-timeout and send-timeout: the side that gave no sign of life. */
  readonly about: TunnelSide | null;
  /** What broke the connection, with reasons reset and error. */
  readonly error: Error | null;
}

export interface TunnelEnd extends TunnelEndCause {
  /** Bytes received in the tunnel, those that came before it was built included. */
  readonly bytesFromClient: number;
  readonly bytesFromUpstream: number;
}

/** Stands in one direction of a tunnel, where frames are read, counted and written. */
export interface RelayFilter {
  /** Called once, before anything passes, with what a filter needs that cannot pass everything on at once. */
  start?(flow: RelayFlow): void;
  /**
   * Passes the bytes of `chunk` on to `sink`: whole, in pieces with others between them, or not. The chunk is valid
   * during the call only. Returns what the last write returned: false pauses the source until the sink has drained.
   */
  pass(chunk: Buffer, start: number, end: number, sink: Transport): boolean;
  /** The last moment for words of our own to `sink`, before it gets FIN. Called once, if the sink still lives. */
  finish(sink: Transport, cause: TunnelEndCause): void;
  /** The sink takes bytes again, after a {@link RelayFlow.write} that returned false. */
  onSinkDrain?(): void;
}

/** One direction of a tunnel as its filter sees it. */
export interface RelayFlow {
  /** The source waits, its end as well, until {@link release}: the proxy itself keeps bytes back. No timeout counts meanwhile. */
  hold(): void;
  release(): void;
  readonly isHeld: boolean;
  /** The sink is full, and the source waits until it has drained. */
  readonly isBlocked: boolean;
  /** Something was written to the sink past {@link write}, which returned `hasRoom`. */
  noteWrite(hasRoom: boolean): void;
  /** Sends bytes outside of a {@link RelayFilter.pass}; the source waits while the sink is full. As Transport.write. */
  write(chunk: Buffer, start: number, end: number): boolean;
}

/** A source that works on what has come before it delivers it. It counts its bytes itself. */
export interface WorkingSource {
  /**
   * Reads no more, and calls `then` when all that has come is delivered, unless its connection is closed first. False where
   * nothing is under way: `then` is not called.
   */
  deliverAll(then: () => void): boolean;
}

export interface RelayOptions {
  /** What the client sent before the upstream had agreed; passed on first. */
  readonly clientBytes?: Buffer;
  /** What came from the upstream behind the head of its answer; passed on first. */
  readonly upstreamBytes?: Buffer;
  /** The client, where it is one that works on what comes. */
  readonly workingClient?: WorkingSource;
  /** In the way from the client to the upstream. */
  readonly clientFilter?: RelayFilter;
  /** In the way from the upstream to the client. */
  readonly upstreamFilter?: RelayFilter;
  /** Ends a tunnel without a byte from either side (nginx: `proxy_read_timeout`). */
  readonly readTimeoutMs: number;
  /** Ends a tunnel whose client takes nothing of what is pending for it (nginx: `send_timeout`). */
  readonly clientSendTimeoutMs: number;
  /** Likewise for the upstream (nginx: `proxy_send_timeout`). */
  readonly upstreamSendTimeoutMs: number;
  /** Once a side has ended: how long the other may stay without a byte passed or taken. Default 10,000. */
  readonly halfCloseTimeoutMs?: number;
  /** Called once, as soon as the cause is known: what is pending may still be on its way. */
  readonly onEnding?: (cause: TunnelEndCause) => void;
  /** Called once, when both connections are closed. */
  readonly onEnd: (end: TunnelEnd) => void;
}

const halfCloseTimeoutMsDefault = 10_000;

/**
 * Connects two transports to a tunnel. Both must be paused, and nobody else may use them from now on.
 * `onEnd` is never called before this has returned.
 */
export function relay(client: Transport, upstream: Transport, options: RelayOptions): Tunnel {
  return new Tunnel(client, upstream, options);
}

/** A pair of connections that is being relayed. */
export class Tunnel {
  readonly #options: RelayOptions;
  readonly #fromClient: Direction;
  readonly #fromUpstream: Direction;
  /** Read timeout while open, half-close timeout while ending. */
  readonly #deadline: Deadline = new Deadline();
  /** Null while open. */
  #cause: TunnelEndCause | null = null;
  #isClosing = false;
  #pendingBytesSeen = 0;

  constructor(client: Transport, upstream: Transport, options: RelayOptions) {
    this.#options = options;
    this.#fromClient = new Direction(this, this.#deadline, {
      from: "client",
      source: client,
      sink: upstream,
      work: options.workingClient ?? null,
      filter: options.clientFilter ?? null,
      sendTimeoutMs: options.upstreamSendTimeoutMs,
    });
    this.#fromUpstream = new Direction(this, this.#deadline, {
      from: "upstream",
      source: upstream,
      sink: client,
      work: null,
      filter: options.upstreamFilter ?? null,
      sendTimeoutMs: options.clientSendTimeoutMs,
    });
    this.#armReadTimeout();
    this.#fromClient.start(this.#fromUpstream, options.clientBytes);
    this.#fromUpstream.start(this.#fromClient, options.upstreamBytes);
  }

  get isOpen(): boolean {
    return this.#cause === null;
  }

  /** Whether the side has sent its FIN, or its connection is closed. */
  isGone(side: TunnelSide): boolean {
    const { sink } = this.#towards(side);
    return sink.isDestroyed || sink.peerHasEnded;
  }

  /** It is the proxy that ends the tunnel, but filters have something to say first: from here on without timeouts. */
  beginClosing(reason: TunnelEndReason): void {
    if (!this.isOpen) return;
    this.#isClosing = true;
    this.#because({ endedBy: "proxy", reason, about: null, error: null });
    this.#deadline.disarm();
  }

  /** While closing: the side gets FIN after what is pending. Its filter is still handed what would go there. */
  endTowards(side: TunnelSide): void {
    this.#towards(side).sink.end();
  }

  /** Ends the tunnel in good order: both sides get what is pending, then FIN. */
  shutdown(reason: TunnelEndReason): void {
    this.#end(reason);
  }

  /** Ends the tunnel without one side, which is lost: its connection is closed at once, the other one in good order. */
  giveUp(side: TunnelSide, reason: TunnelEndReason): void {
    this.#end(reason, side);
    this.#towards(side).sink.destroy();
  }

  /** Closes both connections at once; what is pending is lost. */
  destroy(reason: TunnelEndReason): void {
    this.#end(reason);
    this.#destroyBoth();
  }

  /** The side has sent something that is worked on before it is delivered: it is not silent. */
  noteHeard(side: TunnelSide): void {
    (side === "client" ? this.#fromClient : this.#fromUpstream).noteHeard();
  }

  // For its directions

  sourceOnEnd(direction: Direction): void {
    direction.finish(this.#because({ endedBy: direction.from, reason: "eof", about: null, error: null }));
  }

  sourceOnClose(direction: Direction, error: Error | null): void {
    // Somebody closed this side past the tunnel, to be rid of it: there is nothing to wait for on the other.
    if (this.isOpen && error === null) direction.sink.destroy();
    direction.finish(this.#because(causeOfClose(direction.from, error)));
    direction.opposite.drop();
    if (direction.opposite.isSourceClosed) this.#conclude();
  }

  sourceOnWriteError(direction: Direction, error: Error): void {
    this.#because(causeOfClose(direction.from, error));
    direction.opposite.drop();
  }

  sinkOnTimeout(direction: Direction): void {
    this.#end("send-timeout", direction.opposite.from);
    direction.sink.destroy();
  }

  #armReadTimeout(): void {
    this.#deadline.arm(this.#options.readTimeoutMs, () => {
      // What we keep back ourselves is no silence.
      if (this.#fromClient.isHeld || this.#fromUpstream.isHeld) this.#armReadTimeout();
      else this.#end("read-timeout");
    });
  }

  /** Where bytes for the side go. */
  #towards(side: TunnelSide): Direction {
    return side === "client" ? this.#fromUpstream : this.#fromClient;
  }

  #end(reason: TunnelEndReason, about: TunnelSide | null = null): void {
    if (!this.isOpen && !this.#isClosing) return;
    const cause = this.#because({ endedBy: "proxy", reason, about, error: null });
    if (this.#isClosing) this.#armHalfCloseTimeout();
    this.#isClosing = false;
    this.#fromClient.finish(cause);
    this.#fromUpstream.finish(cause);
  }

  /** The first cause is the cause; what follows from it is not. */
  #because(cause: TunnelEndCause): TunnelEndCause {
    if (this.#cause === null) {
      this.#cause = cause;
      this.#armHalfCloseTimeout();
      this.#options.onEnding?.(cause);
    }
    return this.#cause;
  }

  #armHalfCloseTimeout(): void {
    this.#pendingBytesSeen = this.#pendingBytes;
    const timeoutMs = this.#options.halfCloseTimeoutMs ?? halfCloseTimeoutMsDefault;
    this.#deadline.arm(timeoutMs, () => this.#halfCloseOnTimeout());
  }

  #halfCloseOnTimeout(): void {
    if (this.#pendingBytes === this.#pendingBytesSeen) this.#destroyBoth();
    else this.#armHalfCloseTimeout();
  }

  get #pendingBytes(): number {
    return this.#fromClient.sink.pendingBytes + this.#fromUpstream.sink.pendingBytes;
  }

  #destroyBoth(): void {
    this.#fromClient.source.destroy();
    this.#fromUpstream.source.destroy();
  }

  #conclude(): void {
    assert(this.#cause !== null, "a tunnel does not end without a cause");
    this.#deadline.disarm();
    this.#options.onEnd({
      ...this.#cause,
      bytesFromClient: this.#fromClient.bytes,
      bytesFromUpstream: this.#fromUpstream.bytes,
    });
  }
}

interface DirectionOptions {
  readonly from: TunnelSide;
  readonly source: Transport;
  readonly sink: Transport;
  readonly work: WorkingSource | null;
  readonly filter: RelayFilter | null;
  /** How long the sink may take nothing of what is pending. */
  readonly sendTimeoutMs: number;
}

const uncounted: SideCounts = new SideCounts();

/** One way through a tunnel. Listens to its source; the opposite direction, whose source is our sink, hears it drain. */
class Direction implements TransportListener, RelayFlow {
  readonly from: TunnelSide;
  readonly source: Transport;
  readonly sink: Transport;
  opposite: Direction = this;
  /** Bytes received from the source. */
  bytes = 0;
  isSourceClosed = false;
  /** The source waits for the filter. */
  isHeld = false;
  /** The source waits for the sink to drain. */
  isBlocked = false;

  readonly #tunnel: Tunnel;
  readonly #tunnelDeadline: Deadline;
  readonly #work: WorkingSource | null;
  readonly #filter: RelayFilter | null;
  /** Those of all tunnels of this process; of a source that works on what comes, nobody's: it counts what was on the wire. */
  readonly #counts: SideCounts;
  readonly #sendTimeoutMs: number;
  /** Made when the sink is slow for the first time. */
  #sendDeadline: SendDeadline | null = null;
  /** False once the sink has got its FIN or is gone: what comes is dropped. */
  #isPassing = true;
  /** Why all is over as soon as the source has delivered what it works on. */
  #lateCause: TunnelEndCause | null = null;
  /** The source had ended before the tunnel began, and its last bytes are held. */
  #isEndHeld = false;

  constructor(tunnel: Tunnel, tunnelDeadline: Deadline, options: DirectionOptions) {
    this.#tunnel = tunnel;
    this.#tunnelDeadline = tunnelDeadline;
    this.from = options.from;
    this.#counts = options.work === null ? tunnelCounts[options.from] : uncounted;
    this.source = options.source;
    this.sink = options.sink;
    this.#work = options.work;
    this.#filter = options.filter;
    this.#sendTimeoutMs = options.sendTimeoutMs;
    this.source.listener = this;
  }

  start(opposite: Direction, early: Buffer | undefined): void {
    this.opposite = opposite;
    this.#filter?.start?.(this);
    if (early !== undefined) this.onBytes(early, 0, early.length);
    if (this.source.peerHasEnded) {
      if (this.isHeld) this.#isEndHeld = true;
      else this.onEnd();
    }
    this.#resumeSource();
  }

  onBytes(chunk: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    this.#counts.bytes += end - start;
    if (!this.#isPassing) return;
    this.#tunnelDeadline.touch();
    const hasRoom =
      this.#filter === null
        ? this.sink.write(chunk, start, end)
        : this.#filter.pass(chunk, start, end, this.sink);
    if (!hasRoom) this.#block();
  }

  noteHeard(): void {
    if (this.#isPassing) this.#tunnelDeadline.touch();
  }

  onEnd(): void {
    this.#tunnel.sourceOnEnd(this);
  }

  onDrain(): void {
    this.#tunnelDeadline.touch();
    this.opposite.#unblock();
  }

  onWriteError(error: Error): void {
    this.#tunnel.sourceOnWriteError(this, error);
  }

  onClose(error: Error | null): void {
    this.isSourceClosed = true;
    this.#tunnel.sourceOnClose(this, error);
  }

  hold(): void {
    if (this.isHeld || !this.#isPassing) return;
    this.isHeld = true;
    this.source.pause();
    // Not now: a filter that holds has not passed on yet what it may.
    if (this.#lateCause !== null) queueMicrotask(() => this.#finishIfLate());
  }

  release(): void {
    if (!this.isHeld) return;
    this.isHeld = false;
    this.#tunnelDeadline.touch();
    if (this.#isEndHeld) this.onEnd();
    this.#resumeSource();
  }

  write(chunk: Buffer, start: number, end: number): boolean {
    if (!this.#isPassing) return false;
    const hasRoom = this.sink.write(chunk, start, end);
    this.noteWrite(hasRoom);
    return hasRoom;
  }

  noteWrite(hasRoom: boolean): void {
    this.#tunnelDeadline.touch();
    if (!hasRoom) this.#block();
  }

  /**
   * The sink gets FIN after what is pending, to which belongs what the source works on, as long as nobody has to be waited
   * for; whatever the source still sends is dropped.
   */
  finish(cause: TunnelEndCause): void {
    if (!this.#isPassing || this.#lateCause !== null) return;
    const isWaited = this.isHeld || this.isBlocked;
    if (!isWaited && this.#work?.deliverAll(() => this.#finishIfLate()) === true) this.#lateCause = cause;
    else this.#finishNow(cause);
  }

  #finishIfLate(): void {
    if (this.#lateCause !== null) this.#finishNow(this.#lateCause);
  }

  #finishNow(cause: TunnelEndCause): void {
    if (!this.#isPassing) return;
    this.#isPassing = false;
    if (!this.sink.isDestroyed) this.#filter?.finish(this.sink, cause);
    this.sink.end();
    this.#letSourceRunOut();
  }

  /** The sink is gone: whatever the source still sends is dropped. */
  drop(): void {
    this.#isPassing = false;
    this.#letSourceRunOut();
  }

  #letSourceRunOut(): void {
    if (!this.isBlocked && !this.isHeld) return;
    this.isBlocked = false;
    this.isHeld = false;
    this.#sendDeadline?.disarm();
    this.source.resume();
  }

  #block(): void {
    if (this.isBlocked || !this.#isPassing) return;
    this.isBlocked = true;
    this.source.pause();
    if (this.#lateCause !== null) return this.#finishNow(this.#lateCause);
    this.#sendDeadline ??= new SendDeadline(this.sink, () => this.#tunnel.sinkOnTimeout(this));
    this.#sendDeadline.arm(this.#sendTimeoutMs);
  }

  #unblock(): void {
    if (!this.isBlocked) return;
    this.isBlocked = false;
    this.#sendDeadline?.disarm();
    this.#filter?.onSinkDrain?.();
    this.#resumeSource();
  }

  #resumeSource(): void {
    if (!this.isBlocked && !this.isHeld) this.source.resume();
  }
}

/** The last one is an HTTP/2 stream's, whose error says more than that. */
const RESET_CODES: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE", "ERR_STREAM_RESET"]);

function causeOfClose(from: TunnelSide, error: Error | null): TunnelEndCause {
  // Without an error and without a FIN before, the connection was closed on this side, past the tunnel.
  if (error === null) return { endedBy: "proxy", reason: "shutdown", about: null, error };
  const code = "code" in error ? error.code : undefined;
  const reason = typeof code === "string" && RESET_CODES.has(code) ? "reset" : "error";
  return { endedBy: from, reason, about: null, error };
}
