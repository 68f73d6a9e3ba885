/**
 * What the client takes and tells, and the little of a browser that it stands on: neither the DOM's types nor Node's
 * are needed to compile it.
 */

/** What a WebSocket can send. Bytes are copied when they have to wait, so that the caller may use them again. */
export type Sendable = string | ArrayBufferLike | ArrayBufferView | Blob;

/** Why a socket has ended. */
export interface Ending {
  /** From the Close frame (RFC 6455 section 7.4); 1006 where there was none, or where the client itself gave up. */
  readonly code: number;
  /** From the Close frame, or the client's own words where it gave up: "offline", "no answer to the heartbeat". */
  readonly reason: string;
  readonly wasClean: boolean;
  /** False where the opening handshake was refused or never answered. A browser does not say with which status. */
  readonly wasOpen: boolean;
  /** How many sockets in a row have ended without having been stable, this one among them: 1, 2, 3, … */
  readonly attempt: number;
}

/**
 * - `stop`: this is the end; the application sees `error`, where it was not clean, and `close`.
 * - `backoff`: comes back after a random wait whose bound doubles with each failure.
 * - `spread`: comes back after a random wait within `spreadMsMax`, so that not everyone comes back at once.
 */
export type Decision = "stop" | "backoff" | "spread";

export interface Heartbeat {
  /** What is sent after `intervalMs` without a message from the server. */
  readonly message: Sendable | (() => Sendable);
  /** Milliseconds. Default: 25,000. */
  readonly intervalMs?: number;
  /** The link is dead where no message at all arrives within so many milliseconds after it. Default: 10,000. */
  readonly timeoutMs?: number;
  /** Says which messages are answers to the heartbeat: the application does not see these. Default: it sees all. */
  readonly isAnswer?: (data: unknown) => boolean;
}

export interface ReconnectingOptions {
  /** The n-th wait in a row is random between 0 and `delayMsBase * 2 ** (n - 1)` milliseconds. Default: 1,000. */
  readonly delayMsBase?: number;
  /** The bound of that wait grows no further. Default: 30,000. */
  readonly delayMsMax?: number;
  /** The bound of the first wait after 1012 and 1013, in milliseconds. Default: 10,000. */
  readonly spreadMsMax?: number;
  /** A connection that has lived for so many milliseconds was stable: the waits begin anew. Default: 5,000. */
  readonly stableMs?: number;
  /** An opening handshake without an answer for so many milliseconds has failed. Default: 20,000. */
  readonly openTimeoutMs?: number;
  /** Default: none. wsgate pings; a browser answers that by itself and shows nothing of it to the page. */
  readonly heartbeat?: Heartbeat;
  /** How many messages may wait while there is no connection. Default: 1,000. */
  readonly queueCountMax?: number;
  /** How many bytes they may have in sum; text counts as UTF-8. Default: 1 MiB. */
  readonly queueBytesMax?: number;
  /** What gives way when they are too many. `error`: `send` throws a QuotaExceededError. Default: `error`. */
  readonly queuePolicy?: "drop-oldest" | "drop-newest" | "error";
  /** The application's say in what follows an ending; `usual` is what is done without it. */
  readonly decide?: (ending: Ending, usual: Decision) => Decision;
  /** What connections are made of. Default: the WebSocket of the page. */
  readonly WebSocket?: WebSocketConstructor;
}

/** A socket has ended, and another will be opened. */
export interface ReconnectingEvent extends Event {
  readonly attempt: number;
  /** How long until then, in milliseconds. */
  readonly delayMs: number;
  /** How the socket ended: see {@link Ending}. */
  readonly code: number;
  readonly reason: string;
}

/** The connection is there again, after so many attempts. */
export interface ReconnectedEvent extends Event {
  readonly attempt: number;
}

/** The queue was full, and this message will never be sent. */
export interface DroppedEvent extends Event {
  readonly data: Sendable;
}

export interface MessageEventLike extends Event {
  readonly data: unknown;
  readonly origin: string;
}

export interface CloseEventLike extends Event {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
}

export interface ReconnectingEventMap {
  readonly open: Event;
  readonly message: MessageEventLike;
  readonly error: Event;
  readonly close: CloseEventLike;
  readonly reconnecting: ReconnectingEvent;
  readonly reconnected: ReconnectedEvent;
  readonly dropped: DroppedEvent;
}

/** Written as a method, so that a handler may take the DOM's richer type of the same event. */
export type Handler<E> = { on(event: E): unknown }["on"];

type Listener<E> = Handler<E> | { handleEvent: Handler<E> };

interface ListenerOptions {
  readonly capture?: boolean;
  readonly once?: boolean;
  readonly passive?: boolean;
  readonly signal?: AbortSignal;
}

/** An EventTarget that knows the types of its events. */
export interface ReconnectingEventTarget extends EventTarget {
  addEventListener<K extends keyof ReconnectingEventMap>(
    type: K,
    listener: Listener<ReconnectingEventMap[K]> | null,
    options?: boolean | ListenerOptions,
  ): void;
  addEventListener(type: string, listener: Listener<Event> | null, options?: boolean | ListenerOptions): void;
  removeEventListener<K extends keyof ReconnectingEventMap>(
    type: K,
    listener: Listener<ReconnectingEventMap[K]> | null,
    options?: boolean | { readonly capture?: boolean },
  ): void;
  removeEventListener(
    type: string,
    listener: Listener<Event> | null,
    options?: boolean | { readonly capture?: boolean },
  ): void;
}

/** What the client uses of a WebSocket: the browser's, Node's and that of `ws` all have it. */
export interface PlainWebSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly protocol: string;
  binaryType: string;
  onopen: Handler<unknown> | null;
  onmessage: Handler<{ readonly data: unknown; readonly origin?: string }> | null;
  onclose: Handler<{ readonly code: number; readonly reason: string; readonly wasClean: boolean }> | null;
  onerror: Handler<unknown> | null;
  send(data: unknown): void;
  close(code?: number, reason?: string): void;
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => PlainWebSocket;

type EventConstructor = new (type: string, init: object) => Event;

/** The global object of a page, of a worker, or of Node: whatever of this it has. */
export interface Page {
  readonly WebSocket?: WebSocketConstructor;
  readonly CloseEvent?: EventConstructor;
  readonly MessageEvent?: EventConstructor;
  readonly document?: { readonly baseURI: string; readonly visibilityState: string };
  readonly location?: { readonly href: string };
  readonly addEventListener?: PageListening;
  readonly removeEventListener?: PageListening;
}

type PageListening = (type: string, listener: (event: PageEvent) => void, options: object) => void;

export interface PageEvent {
  readonly type: string;
  /** Of pagehide and pageshow: whether the page goes into, or comes from, the back-forward cache. */
  readonly persisted?: boolean;
}
