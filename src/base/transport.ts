import * as net from "node:net";
import * as tls from "node:tls";
import type { Duplex } from "node:stream";
import { assert } from "./assert.ts";
import type { ByteString } from "./bytes.ts";
import { DirectTransport } from "./transport-direct.ts";
import { handlesWork, hasHandle } from "./transport-handle.ts";
import { StreamTransport, type StreamTransportOptions } from "./transport-stream.ts";
import type { TlsInfo } from "./transport-tls.ts";

export type { TlsInfo } from "./transport-tls.ts";

/**
 * Whoever reads a {@link Transport} at the moment: an HTTP parser first, a relay after the upgrade. To hand a
 * connection over, pause it, assign `listener`, resume it.
 *
 * Order of calls: any number of onBytes and onDrain, at most one onEnd (after it no onBytes), exactly one onClose.
 */
export interface TransportListener {
  /**
   * The peer's bytes are `chunk` from `start` to `end`. They are valid during the call only: the read buffer is
   * shared by all connections. Never called while paused, never after onEnd, never after `destroy`.
   */
  onBytes(chunk: Buffer, start: number, end: number): void;
  /** The peer sent FIN (or its TLS close_notify), and all its bytes were delivered. It may still be reading. */
  onEnd(): void;
  /** A write, or {@link SocketTransport.awaitDrain}, returned false before, and everything pending has now gone out. */
  onDrain(): void;
  /**
   * Nothing can be written any more, though the peer's last bytes may still stand in the kernel: read on if they matter,
   * or destroy the transport. onClose follows when they have been read. Not every path can tell; onClose always comes.
   */
  onWriteError?(error: Error): void;
  /**
   * The connection is gone; never called from within a method of the transport. `error` is what broke it or what
   * `destroy` was given, null after an orderly end, `destroy()` and `reset()`. ECONNRESET and its kind arrive here.
   */
  onClose(error: Error | null): void;
}

/**
 * One byte stream between two ends: a TCP or Unix socket, TLS on top of one, or any Duplex.
 *
 * Created paused. It closes by itself once both directions have ended. All methods may be called at any time, also
 * from within the listener's; after `destroy`, `reset` or onClose they do nothing.
 */
export interface Transport {
  listener: TransportListener;

  /**
   * Sends `chunk` from `start` to `end`; the caller may reuse the memory after the call. False asks to wait for
   * onDrain: more than the high watermark is pending. It is advice, the bytes were taken either way. Also false, without
   * an onDrain, once nothing can be sent any more.
   */
  write(chunk: Buffer, start: number, end: number): boolean;
  /** Sends a byte string; otherwise as {@link write}. */
  writeLatin1(text: ByteString): boolean;
  /** Holds back what is written until {@link uncork}, which sends it in as few system calls as possible. Writes return true. */
  cork(): void;
  /** Sends what was held back since {@link cork}. Returns what a write would have. */
  uncork(): boolean;

  /** No onBytes and no onEnd until {@link resume}. The kernel's buffer fills, and the peer has to wait. */
  pause(): void;
  resume(): void;

  /** Sends FIN after everything pending. Reading goes on; nothing may be written any more. */
  end(): void;
  /** Closes at once and drops what is pending. */
  destroy(error?: Error): void;
  /** Closes at once with RST where the kind of connection has it. */
  reset(): void;

  /** Bytes taken by write and not yet taken by the kernel. */
  readonly pendingBytes: number;
  /** Payload bytes delivered to listeners. */
  readonly bytesRead: number;
  /** Payload bytes taken by write, including those pending. */
  readonly bytesWritten: number;
  /** True from `destroy` or `reset` on, or once the connection broke: before onClose is called. */
  readonly isDestroyed: boolean;
  /** True once onEnd was called: who takes over as listener asks here, for it is not called again. */
  readonly peerHasEnded: boolean;

  /** As Node writes it (`127.0.0.1`, `::1`); `unix:` for a Unix socket, as nginx has it. Known after the close, too. */
  readonly remoteAddress: string;
  /** 0 for a Unix socket. */
  readonly remotePort: number;
  /** Of a dialled connection only while it is open. */
  readonly localAddress: string;
  readonly localPort: number;
  /** What the TLS handshake agreed on; null for a plain connection. */
  readonly tls: TlsInfo | null;
}

/** A transport right on a socket, which can tell when the kernel has everything. */
export interface SocketTransport extends Transport {
  /**
   * True: nothing is pending. Otherwise onDrain is called once that is so, however little it was; as with `write`, not if
   * nothing can be sent any more.
   */
  awaitDrain(): boolean;
}

export interface TransportOptions {
  /** Bytes that may be pending before write returns false. Default 65,536. */
  readonly highWaterMarkBytes?: number;
  /** TCP_NODELAY; default true. */
  readonly noDelay?: boolean;
  /** Called right after the listener's onClose, whoever that is by then: for who counts connections. */
  readonly onClosed?: () => void;
  /** SO_KEEPALIVE, with so many seconds of silence before the first probe (0: the system's); default off. */
  readonly keepAliveDelaySeconds?: number;
}

export interface DialOptions extends TransportOptions {
  /** Where to: a host with its port, or the path of a Unix socket. */
  readonly address: { readonly host: string; readonly port: number } | { readonly path: string };
  /** The address to dial from, as `proxy_bind` gives it. */
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Present: TLS with these of Node's options (`secureContext`, `servername`, `session`, `rejectUnauthorized`, …). */
  readonly tls?: tls.ConnectionOptions;
  /** A TLS session to be given as `tls.session` when the same peer is dialled again. */
  readonly onSession?: (session: Buffer) => void;
  /** Connected, TLS handshake included. */
  readonly onConnect: (transport: SocketTransport) => void;
}

/** direct: on the sockets' handles; public: on Node's documented interface. Both behave alike, the first is faster. */
export type TransportPath = "direct" | "public";

let transportPath: TransportPath =
  handlesWork && process.env["WSGATE_TRANSPORT"] !== "public" ? "direct" : "public";

/** Which path new transports take: direct, unless this Node cannot or WSGATE_TRANSPORT=public asks for the other. */
export function currentTransportPath(): TransportPath {
  return transportPath;
}

/** For tests, which hold both paths to the same. */
export function useTransportPath(path: TransportPath): void {
  assert(path === "public" || handlesWork, "this Node's handles do not work as expected");
  transportPath = path;
}

/**
 * Takes over a socket that nobody else reads from, plain or with its TLS handshake done (`secure`).
 *
 * On the direct path a plain socket is emptied: it emits `close` at once, its net.Server counts it no more, and
 * destroying it does nothing. Use `onClosed` and the transport instead.
 */
export function acceptTransport(
  socket: net.Socket | tls.TLSSocket,
  listener: TransportListener,
  options: TransportOptions = {},
): SocketTransport {
  setSocketOptions(socket, options);
  const transport =
    transportPath === "direct" && hasHandle(socket)
      ? new DirectTransport(listener, options)
      : new StreamTransport(socket, listener, options);
  // What happens until the transport has taken over shows in the handle's state.
  socket.on("error", ignoreError);
  transport.adopt(socket);
  return transport;
}

/**
 * Connects to an upstream. What is written before onConnect is sent after it; a connection that fails is
 * `listener.onClose(error)`. There is no timeout of its own: the caller arms a Deadline and destroys the transport.
 */
export function dialTransport(options: DialOptions, listener: TransportListener): Transport {
  return transportPath === "direct" ? dialDirect(options, listener) : dialPublic(options, listener);
}

function dialDirect(options: DialOptions, listener: TransportListener): Transport {
  const transport = new DirectTransport(listener, options);
  const { address, tls: secure } = options;
  if (secure === undefined && "host" in address && net.isIP(address.host) !== 0) {
    const target = {
      address: address.host,
      port: address.port,
      localAddress: options.localAddress,
      localPort: options.localPort,
      noDelay: options.noDelay ?? true,
      keepAliveDelaySeconds: options.keepAliveDelaySeconds ?? null,
    };
    transport.dial(target, () => options.onConnect(transport));
    return transport;
  }
  const socket = connectSocket(options);
  transport.awaitSocket(socket);
  onConnected(socket, options, transport);
  return transport;
}

function dialPublic(options: DialOptions, listener: TransportListener): Transport {
  const socket = connectSocket(options);
  const transport = new StreamTransport(socket, listener, options);
  onConnected(socket, options, transport);
  return transport;
}

function onConnected(
  socket: net.Socket,
  options: DialOptions,
  transport: DirectTransport | StreamTransport,
): void {
  if (options.onSession !== undefined) socket.on("session", options.onSession);
  socket.once(options.tls === undefined ? "connect" : "secureConnect", () => {
    setSocketOptions(socket, options);
    transport.adopt(socket);
    options.onConnect(transport);
  });
}

/** A transport over any Duplex, such as an HTTP/2 stream. */
export function streamTransport(
  stream: Duplex,
  listener: TransportListener,
  options: StreamTransportOptions = {},
): Transport {
  return new StreamTransport(stream, listener, options);
}

function connectSocket(options: DialOptions): net.Socket {
  const target = {
    ...options.address,
    ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    ...(options.localPort === undefined ? {} : { localPort: options.localPort }),
    allowHalfOpen: true,
  };
  return options.tls === undefined ? net.connect(target) : tls.connect({ ...options.tls, ...target });
}

export function setSocketOptions(socket: net.Socket, options: TransportOptions): void {
  socket.setNoDelay(options.noDelay ?? true);
  if (options.keepAliveDelaySeconds !== undefined) {
    socket.setKeepAlive(true, options.keepAliveDelaySeconds * 1000);
  }
}

function ignoreError(): void {}
