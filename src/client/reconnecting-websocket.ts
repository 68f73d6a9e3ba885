import { SendQueue, sizeOf, toSendable } from "./send-queue.ts";
import type {
  CloseEventLike,
  Decision,
  Ending,
  Handler,
  Heartbeat,
  MessageEventLike,
  Page,
  PageEvent,
  PlainWebSocket,
  ReconnectingEventTarget,
  ReconnectingOptions,
  Sendable,
} from "./types.ts";

export type * from "./types.ts";

/**
 * | state      | socket | the timer waits for                    | leaves it by                                         |
 * |------------|--------|----------------------------------------|------------------------------------------------------|
 * | connecting | one    | the answer to the opening handshake    | open; an ending; freezing                            |
 * | open       | one    | silence, then the heartbeat's answer   | an ending (closed, dead, offline); freezing          |
 * | waiting    | none   | the next attempt                       | the timer; `online`; freezing                        |
 * | frozen     | none   | nothing                                | `resume` or `pageshow`                               |
 * | closing    | maybe  | nothing                                | the socket's close event, or at once where none is   |
 * | closed     | none   | nothing                                |                                                      |
 *
 * `close()` leads from every state to closing. There is one timer and one socket at any time: whoever sets the timer
 * clears the one before, and events of a socket that was given up are not heard.
 */
type State = "connecting" | "open" | "waiting" | "frozen" | "closing" | "closed";

const page: Page = globalThis;
const Target: new () => ReconnectingEventTarget = EventTarget;

/** In capture, one target hears them all: those of the window and those of its document. */
const PAGE_EVENTS = ["offline", "online", "freeze", "resume", "pagehide", "pageshow", "visibilitychange"];
const IN_CAPTURE = { capture: true };

const OPEN = 1;

/**
 * A WebSocket that comes back. It can be handed to code that expects a `WebSocket`; what differs:
 *
 * - `open` comes with each connection, the first and every later one. A sign-in or a subscription that is sent in the
 *   `open` listener goes out before what waits in the queue.
 * - `close` comes once, at the end: after `close()`, or when an ending was decided to be the last. `error` comes just
 *   before it where the end was not clean. What happens in between shows in the events `reconnecting`
 *   ({@link ReconnectingEvent}) and, after `open`, `reconnected` ({@link ReconnectedEvent}).
 * - `readyState` is CONNECTING while there is no connection, and `send` then puts messages into a bounded queue instead
 *   of throwing. They are sent in order, each once. What had already been handed to a socket that then broke is not sent
 *   again, since nobody knows whether it arrived.
 *
 * By default 1000, 1008 and all codes from 3000 on are final, since somebody meant them; 1012 and 1013 come back after a
 * random wait; everything else, a refused handshake included, comes back with exponential backoff and full jitter.
 * `decide` changes that. When the page goes offline or is frozen the socket is given up; `online` and `resume` bring it
 * back.
 *
 * @throws {DOMException} SyntaxError for a URL or protocols that a WebSocket would refuse.
 */
export class ReconnectingWebSocket extends Target {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  /** Absolute, with the scheme ws or wss. */
  readonly url: string;
  readonly #protocols: string[];
  readonly #options: Settings;
  readonly #queue: SendQueue;
  readonly #handlers = new Map<string, Handler<Event> | null>();
  #state: State = "connecting";
  /** The one that counts; undefined while waiting or frozen. */
  #socket: PlainWebSocket | undefined;
  /** The one that was open last, for what its handshake agreed on. */
  #agreed: PlainWebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #binaryType: "blob" | "arraybuffer" = "blob";
  #attempt = 0;
  #openedAtMs = 0;
  /** What was sent after the end: as in any WebSocket it counts as buffered and goes nowhere. */
  #lostBytes = 0;

  constructor(
    url: string | URL,
    protocols: string | readonly string[] = [],
    options: ReconnectingOptions = {},
  ) {
    super();
    this.url = absoluteUrl(url);
    this.#protocols = typeof protocols === "string" ? [protocols] : [...protocols];
    this.#options = settingsOf(options);
    this.#queue = new SendQueue(this.#options.queueCountMax, this.#options.queueBytesMax);
    this.#connect();
    for (const type of PAGE_EVENTS) page.addEventListener?.(type, this.#onPageEvent, IN_CAPTURE);
  }

  get readyState(): 0 | 1 | 2 | 3 {
    if (this.#state === "closed") return this.CLOSED;
    if (this.#state === "closing") return this.CLOSING;
    return this.#canSend() ? this.OPEN : this.CONNECTING;
  }

  /** Bytes that were sent and have not left yet: those in the queue, and those in the socket. */
  get bufferedAmount(): number {
    return this.#queue.lengthBytes + (this.#socket?.bufferedAmount ?? 0) + this.#lostBytes;
  }

  /** As the last opening handshake agreed; empty before the first. */
  get extensions(): string {
    return this.#agreed?.extensions ?? "";
  }

  /** As the last opening handshake agreed; empty before the first. */
  get protocol(): string {
    return this.#agreed?.protocol ?? "";
  }

  get binaryType(): "blob" | "arraybuffer" {
    return this.#binaryType;
  }
  set binaryType(type: "blob" | "arraybuffer") {
    this.#binaryType = type;
    if (this.#socket !== undefined) this.#socket.binaryType = type;
  }

  get onopen(): Handler<Event> | null {
    return this.#handler("open");
  }
  set onopen(handler: Handler<Event> | null) {
    this.#setHandler("open", handler);
  }
  get onmessage(): Handler<MessageEventLike> | null {
    return this.#handler("message");
  }
  set onmessage(handler: Handler<MessageEventLike> | null) {
    this.#setHandler("message", handler);
  }
  get onerror(): Handler<Event> | null {
    return this.#handler("error");
  }
  set onerror(handler: Handler<Event> | null) {
    this.#setHandler("error", handler);
  }
  get onclose(): Handler<CloseEventLike> | null {
    return this.#handler("close");
  }
  set onclose(handler: Handler<CloseEventLike> | null) {
    this.#setHandler("close", handler);
  }

  /**
   * Sends now where there is a connection, else when there is one again.
   * @throws {DOMException} QuotaExceededError where the queue is full and its policy is `error`.
   */
  send(data: Sendable): void {
    const message = toSendable(data);
    if (this.#canSend()) this.#socket?.send(message);
    else if (this.#state === "closing" || this.#state === "closed") this.#lostBytes += sizeOf(message);
    else this.#enqueue(message);
  }

  /**
   * Ends it for good, and drops what still waits in the queue.
   * @throws {DOMException} InvalidAccessError for a code other than 1000 and 3000 to 4999, SyntaxError for a reason of
   *   more than 123 bytes.
   */
  close(code?: number, reason?: string): void {
    if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000))
      throw new DOMException(`${code} is not 1000 or from 3000 to 4999`, "InvalidAccessError");
    if (reason !== undefined && sizeOf(reason) > 123)
      throw new DOMException("the reason is longer than 123 bytes", "SyntaxError");
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#leavePage();
    this.#enter("closing");
    if (this.#socket === undefined) queueMicrotask(() => this.#finish(1006, "", false));
    else this.#socket.close(code, reason);
  }

  // One socket

  #connect(): void {
    const { WebSocket, openTimeoutMs } = this.#options;
    const socket = new WebSocket(this.url, this.#protocols);
    const isCurrent = (): boolean => socket === this.#socket;
    this.#socket = socket;
    socket.binaryType = this.#binaryType;
    socket.onopen = () => isCurrent() && this.#onOpen(socket);
    socket.onmessage = (event) => isCurrent() && this.#onMessage(event.data, event.origin);
    socket.onclose = (event) => isCurrent() && this.#onEnd(event.code, event.reason, event.wasClean);
    // A close event follows each error, and says more; to hear both would be to reconnect twice.
    socket.onerror = () => {};
    this.#enter("connecting", openTimeoutMs, () => this.#giveUp("no answer to the opening handshake"));
  }

  #onOpen(socket: PlainWebSocket): void {
    if (this.#state !== "connecting") return;
    const isReturn = this.#agreed !== undefined;
    this.#agreed = socket;
    this.#openedAtMs = performance.now();
    this.#enter("open");
    this.#awaitSilence();
    this.#emit("open");
    if (isReturn && this.#canSend()) this.#emit("reconnected", { attempt: this.#attempt });
    for (;;) {
      const message = this.#canSend() ? this.#queue.shift() : undefined;
      if (message === undefined) return;
      socket.send(message);
    }
  }

  #onMessage(data: unknown, origin: string = ""): void {
    if (this.#state !== "open") return;
    this.#awaitSilence();
    if (this.#options.heartbeat?.isAnswer?.(data) !== true) this.#emit("message", { data, origin });
  }

  /** The one place to which every end of a socket leads. */
  #onEnd(code: number, reason: string, wasClean: boolean): void {
    const { stableMs, decide } = this.#options;
    if (this.#state === "closing") {
      this.#finish(code, reason, wasClean);
      return;
    }
    const wasOpen = this.#state === "open";
    if (wasOpen && performance.now() - this.#openedAtMs >= stableMs) this.#attempt = 0;
    this.#attempt += 1;
    this.#socket = undefined;
    this.#enter("waiting");
    const ending: Ending = { code, reason, wasClean, wasOpen, attempt: this.#attempt };
    const usual = usualDecision(code);
    const decision = decide?.(ending, usual) ?? usual;
    // Whoever decides may have called close().
    if (this.#state !== "waiting") return;
    if (decision === "stop") this.#finish(code, reason, wasClean);
    else this.#comeBack(Math.random() * this.#delayBoundMs(decision), code, reason);
  }

  /** Leaves a socket that no longer answers, or that will not for long: what still comes of it is not heard. */
  #giveUp(reason: string): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
    this.#onEnd(1006, reason, false);
  }

  /** Full jitter: the bound doubles, and the wait is anything below it. */
  #delayBoundMs(decision: Decision): number {
    const { delayMsBase, delayMsMax, spreadMsMax } = this.#options;
    const backoffMs = Math.min(delayMsMax, delayMsBase * 2 ** (this.#attempt - 1));
    return decision === "spread" ? Math.max(spreadMsMax, backoffMs) : backoffMs;
  }

  #comeBack(delayMs: number, code: number, reason: string): void {
    this.#enter("waiting", delayMs, () => this.#reconnect());
    this.#emit("reconnecting", { attempt: this.#attempt, delayMs, code, reason });
  }

  #reconnect(): void {
    try {
      this.#connect();
    } catch (error) {
      // The first one was made of the same arguments: what has changed is the page's policy, or its memory.
      this.#onEnd(1006, String(error), false);
    }
  }

  #finish(code: number, reason: string, wasClean: boolean): void {
    this.#leavePage();
    this.#enter("closed");
    this.#socket = undefined;
    if (!wasClean) this.#emit("error");
    this.#emit("close", { code, reason, wasClean });
  }

  // Whether the link is alive

  #awaitSilence(): void {
    const { heartbeat } = this.#options;
    if (heartbeat !== undefined) this.#setTimer(heartbeat.intervalMs ?? 25_000, () => this.#probe(heartbeat));
  }

  #probe({ message, timeoutMs = 10_000 }: Heartbeat): void {
    // A socket whose close event is still to come needs no probe.
    if (!this.#canSend()) return;
    this.#setTimer(timeoutMs, () => this.#giveUp("no answer to the heartbeat"));
    this.#socket?.send(typeof message === "function" ? message() : message);
  }

  readonly #onPageEvent = ({ type, persisted }: PageEvent): void => {
    if (type === "offline") {
      if (this.#socket !== undefined) this.#giveUp("offline");
    } else if (type === "freeze" || (type === "pagehide" && persisted === true)) this.#freeze();
    else if (type === "resume" || (type === "pageshow" && persisted === true)) this.#thaw();
    else if (type === "online" && this.#state === "waiting")
      this.#comeBackAnew(this.#options.delayMsBase, "online");
    else if (type === "online" || page.document?.visibilityState === "visible") this.#probeIfOpen();
  };

  /** Timers of a hidden page run late, and those of a sleeping machine not at all: ask at once. */
  #probeIfOpen(): void {
    if (this.#options.heartbeat !== undefined) this.#probe(this.#options.heartbeat);
  }

  /** A frozen page reads nothing: the server should know, and a page with a socket is kept out of the cache. */
  #freeze(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#enter("frozen");
    socket?.close();
  }

  #thaw(): void {
    if (this.#state === "frozen") this.#comeBackAnew(0, "the page was frozen");
  }

  #comeBackAnew(delayMsMax: number, reason: string): void {
    this.#attempt = 1;
    this.#comeBack(Math.random() * delayMsMax, 1006, reason);
  }

  #leavePage(): void {
    for (const type of PAGE_EVENTS) page.removeEventListener?.(type, this.#onPageEvent, IN_CAPTURE);
  }

  // The state, its timer, the queue

  #enter(state: State, timeoutMs?: number, onTimeout?: () => void): void {
    this.#state = state;
    clearTimeout(this.#timer);
    if (onTimeout !== undefined) this.#setTimer(timeoutMs ?? 0, onTimeout);
  }

  #setTimer(ms: number, onTimeout: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(onTimeout, ms);
  }

  /** A socket that has got a Close frame is still "open" here, but takes nothing any more. */
  #canSend(): boolean {
    return this.#state === "open" && this.#socket?.readyState === OPEN;
  }

  #enqueue(message: Sendable): void {
    const { queuePolicy } = this.#options;
    while (!this.#queue.push(message)) {
      if (queuePolicy === "error") throw new DOMException("the queue is full", "QuotaExceededError");
      const oldest =
        queuePolicy === "drop-oldest" && this.#queue.canEverHold(message) ? this.#queue.shift() : undefined;
      this.#emit("dropped", { data: oldest ?? message });
      if (oldest === undefined) return;
    }
  }

  // Events

  #emit(type: string, fields: object = {}): void {
    const Constructor = { close: page.CloseEvent, message: page.MessageEvent }[type];
    this.dispatchEvent(
      Constructor === undefined ? Object.assign(new Event(type), fields) : new Constructor(type, fields),
    );
  }

  #handler(type: string): Handler<Event> | null {
    return this.#handlers.get(type) ?? null;
  }

  /** A handler keeps the place among the listeners that the first of its type got. */
  #setHandler(type: string, handler: Handler<Event> | null): void {
    if (!this.#handlers.has(type))
      this.addEventListener(type, (event) => this.#handlers.get(type)?.call(this, event));
    this.#handlers.set(type, typeof handler === "function" ? handler : null);
  }
}

/** Whoever ends a connection with 1000, 1008 or a code of the application has meant it (RFC 6455 section 7.4). */
function usualDecision(code: number): Decision {
  if (code === 1000 || code === 1008 || code >= 3000) return "stop";
  return code === 1012 || code === 1013 ? "spread" : "backoff";
}

/** As the constructor of a WebSocket reads its URL: relative to the page, http standing for ws. */
function absoluteUrl(url: string | URL): string {
  let absolute: URL | undefined;
  try {
    absolute = new URL(url, page.document?.baseURI ?? page.location?.href);
    absolute.protocol = absolute.protocol.replace("http", "ws");
  } catch {
    // Refused below, as what it is.
  }
  if (absolute === undefined || !/^wss?:[^#]+$/.test(absolute.href))
    throw new DOMException(`"${String(url)}" is not the URL of a WebSocket`, "SyntaxError");
  return absolute.href;
}

type Settings = ReturnType<typeof settingsOf>;

function settingsOf({
  delayMsBase = 1_000,
  delayMsMax = 30_000,
  spreadMsMax = 10_000,
  stableMs = 5_000,
  openTimeoutMs = 20_000,
  queueCountMax = 1_000,
  queueBytesMax = 1_048_576,
  queuePolicy = "error",
  WebSocket = page.WebSocket,
  heartbeat,
  decide,
}: ReconnectingOptions) {
  if (WebSocket === undefined)
    throw new TypeError("there is no WebSocket here: hand one over in the options");
  return {
    delayMsBase,
    delayMsMax,
    spreadMsMax,
    stableMs,
    openTimeoutMs,
    queueCountMax,
    queueBytesMax,
    queuePolicy,
    WebSocket,
    heartbeat,
    decide,
  };
}
