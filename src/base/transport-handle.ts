import { readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { getSystemErrorName } from "node:util";
import { assert } from "./assert.ts";
import {
  type ConnectRequest,
  type Internals,
  type JsStream,
  type NativeHandle,
  type NativeTcp,
  type WriteRequest,
  isInternals,
  isJsStream,
  isNativeHandle,
  isRecord,
  hasMethods,
} from "./native-handle.ts";

/*
 * The one file that touches parts of Node which are not documented: the handle below a socket.
 *
 * A net.Socket allocates a buffer for each read and keeps the books of two streams. Its handle alone reads into a buffer
 * that all connections share, and calls one function with the number of bytes; what is written goes to the descriptor
 * with fs.writeSync, which, unlike a handle's own write, says how much the kernel took, so that nothing must be copied
 * that was sent. An idle plain connection is then a handle and a transport, its net.Socket is gone.
 *
 *   used                                                      on
 *   socket._handle, handle[owner_symbol]                      taking over
 *   onread, useUserBuffer, readStart, readStop                reading
 *   fd; writeBuffer, writev, WriteWrap, writeQueueSize        writing; what the kernel does not take at once, and TLS;
 *                                                             fd also to tell FIN from a reset
 *   shutdown, ShutdownWrap, close, reset                      ending
 *   TCP, connect, bind, TCPConnectWrap, getsockname           dialling
 *   streamBaseState                                           the results of these
 *
 * handlesWork() proves on a stream without a socket that this Node does all that as expected. Where it does not, the
 * transports are built on the public interface.
 */

/** Where every handle reads to: what is in it is valid until the next read of any connection. */
export const readBuffer: Buffer = Buffer.allocUnsafeSlow(65_536);

/** An IP address with its port. */
export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

/** Whom a handle tells what happens. Nothing is called after handleOnClosed. */
export interface HandleOwner {
  /** The first `lengthBytes` bytes of {@link readBuffer} have come. */
  handleOnRead(lengthBytes: number): void;
  handleOnEnd(): void;
  /** Nothing can be read any more. */
  handleOnReadError(error: Error): void;
  /** Nothing can be written any more; there may still be something to read. */
  handleOnWriteError(error: Error): void;
  /** Everything in flight has gone out. */
  handleOnWritten(): void;
  handleOnShutdown(): void;
  handleOnClosed(): void;
}

/** The handle of a connected socket, taken away from it; of a TLS socket, shared with it. */
export class SocketHandle {
  /** Bytes that were handed over and have not gone out yet. Until then nothing else may be sent. */
  inFlightBytes = 0;

  readonly #native: NativeHandle;
  readonly #owner: HandleOwner;
  /** -1 with TLS, where what goes out must be encrypted first, and once it is closed and may be somebody else's. */
  #descriptor: number;
  readonly #tlsSocket: TLSSocket | null;

  /** Use {@link takeHandle}. */
  constructor(native: NativeHandle, tlsSocket: TLSSocket | null, owner: HandleOwner) {
    this.#native = native;
    this.#owner = owner;
    this.#tlsSocket = tlsSocket;
    this.#descriptor = tlsSocket === null ? native.fd : -1;
    native.onread = () => {
      this.#nativeOnRead();
    };
    native.useUserBuffer(readBuffer);
    if (tlsSocket !== null) this.#listenTo(tlsSocket);
  }

  readStart(): void {
    const status = this.#native.readStart();
    if (status !== 0) this.#owner.handleOnReadError(systemError(status, "read"));
  }

  readStop(): void {
    this.#native.readStop();
  }

  /**
   * Sends what can be sent without waiting, and returns the number of bytes taken. Nothing may be in flight. The memory
   * is the caller's again after the call.
   */
  send(chunk: Buffer, start: number, end: number): number {
    if (this.#tlsSocket !== null) {
      // TLS encrypts the bytes, or copies them, before the call returns.
      this.#request([chunk.subarray(start, end)], end - start);
      return end - start;
    }
    try {
      return writeSync(this.#descriptor, chunk, start, end - start, null);
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return 0;
      this.#owner.handleOnWriteError(error instanceof Error ? error : new Error(String(error)));
      return end - start;
    }
  }

  /** Sends `chunks`, which must not change until handleOnWritten. True: they are gone, and it will not be called. */
  sendAll(chunks: Buffer[], lengthBytes: number): boolean {
    return this.#request(chunks, lengthBytes);
  }

  /** Of the bytes in flight, those that the kernel has not taken. */
  get unsentBytes(): number {
    if (this.inFlightBytes === 0) return 0;
    // With TLS the queue holds records, which are longer than what is in them.
    const queue = this.#tlsSocket === null ? this.#native : (this.#native["_parent"] ?? this.#native);
    return Math.min(this.inFlightBytes, queue.writeQueueSize ?? 0);
  }

  /** Sends FIN, with TLS after a close_notify. Nothing may be in flight. */
  shutdown(): void {
    assert(internals !== null, "there is no handle without the internals");
    const request = new internals.ShutdownWrap();
    request.oncomplete = () => this.#owner.handleOnShutdown();
    // ENOTCONN and its kind: there is nobody to send FIN to, and reading will say why.
    if (this.#native.shutdown(request) !== 0) queueMicrotask(() => this.#owner.handleOnShutdown());
  }

  close(): void {
    this.#descriptor = -1;
    if (this.#tlsSocket === null) this.#native.close(() => this.#owner.handleOnClosed());
    else this.#tlsSocket.destroy();
  }

  get localEnd(): SocketEnd {
    const end: { address?: string; port?: number } = {};
    this.#native.getsockname?.(end);
    return { address: end.address ?? "", port: end.port ?? 0 };
  }

  /** Closes with RST, where the kind of socket has it and no FIN is on its way. */
  reset(): void {
    this.#descriptor = -1;
    const native = this.#native;
    const below = native["_parentWrap"];
    // A TLS socket that was put on top of another closes after that.
    if (below) below.resetAndDestroy();
    else if (native.reset?.(() => this.#owner.handleOnClosed()) !== 0) this.close();
  }

  #listenTo(socket: TLSSocket): void {
    const owner = this.#owner;
    socket.on("error", (error) => owner.handleOnReadError(error));
    // A TLS socket that belongs to no tls.Server reports under this name what breaks it after its handshake.
    socket.on("_tlsError", (error: Error) => owner.handleOnReadError(error));
    // Where the socket below is closed already, `close` is emitted from within destroy().
    socket.once("close", () => process.nextTick(() => owner.handleOnClosed()));
    // The handle tells of the end once, and it may have told the socket.
    if (socket.readableEnded) queueMicrotask(() => owner.handleOnEnd());
    else socket.once("end", () => owner.handleOnEnd());
  }

  #nativeOnRead(): void {
    assert(internals !== null, "there is no handle without the internals");
    const result = internals.streamBaseState[internals.kReadBytesOrError] ?? 0;
    if (result > 0) this.#owner.handleOnRead(result);
    else if (result === UV_EOF) this.#nativeOnEnd();
    else if (result < 0) this.#owner.handleOnReadError(systemError(result, "read"));
  }

  /**
   * libuv takes a reset for FIN where it finds it together with the last bytes (POLLHUP after a short read), and a body
   * that only the connection's end ends would seem to be whole. The kernel tells the next read.
   */
  #nativeOnEnd(): void {
    // With TLS nothing that could still be read counts: its end was a close_notify, or the connection's.
    const { fd } = this.#native;
    const error = fd < 0 ? null : errorOfRead(fd);
    if (error === null) this.#owner.handleOnEnd();
    else this.#owner.handleOnReadError(error);
  }

  #request(chunks: Buffer[], lengthBytes: number): boolean {
    assert(internals !== null, "there is no handle without the internals");
    assert(this.inFlightBytes === 0, "one write at a time: TLS ends the process otherwise");
    const request = new internals.WriteWrap();
    request.oncomplete = writeRequestOnComplete;
    request.handle = this;
    // Kept from the garbage collector until they have gone out.
    request.chunks = chunks;
    const [only] = chunks;
    const status =
      chunks.length === 1 && only !== undefined
        ? this.#native.writeBuffer(request, only)
        : this.#native.writev(request, chunks, true);
    if (status !== 0) {
      this.#owner.handleOnWriteError(systemError(status, "write"));
      return true;
    }
    if (internals.streamBaseState[internals.kLastWriteWasAsync] === 0) return true;
    this.inFlightBytes = lengthBytes;
    return false;
  }

  /** For the write requests. */
  requestOnComplete(status: number): void {
    this.inFlightBytes = 0;
    if (status === 0) this.#owner.handleOnWritten();
    else this.#owner.handleOnWriteError(systemError(status, "write"));
  }
}

function writeRequestOnComplete(this: WriteRequest, status: number): void {
  this.handle?.requestOnComplete(status);
}

export interface TakenHandle {
  readonly handle: SocketHandle;
  /** What the socket had read already. */
  readonly early: Buffer | null;
}

/**
 * Takes the handle of a connected socket (after the handshake, with TLS). A plain socket is destroyed without it: for a
 * net.Server, that connection is closed.
 */
export function takeHandle(socket: Socket, owner: HandleOwner): TakenHandle {
  const native = nativeHandleOf(socket);
  assert(native !== null, "a socket without a handle cannot be taken over: ask hasHandle");
  native.readStop();
  const early = socket.readableLength > 0 ? readAll(socket) : null;
  if (socket instanceof TLSSocket) {
    const handle = new SocketHandle(native, socket, owner);
    handle.readStop();
    return { handle, early };
  }
  Reflect.set(socket, "_handle", null);
  forgetSocket(native);
  socket.destroy();
  return { handle: new SocketHandle(native, null, owner), early };
}

export interface DialTarget extends SocketEnd {
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly noDelay: boolean;
  /** Null: no keepalive probes. */
  readonly keepAliveDelaySeconds: number | null;
}

/** A TCP connection to an IP address, on its way: without a net.Socket, which costs a third of the whole. */
export class HandleDial {
  readonly #native: NativeTcp;
  readonly #owner: HandleOwner;
  readonly #onDialled: (handle: SocketHandle) => void;
  #isClosed = false;

  /** Exactly one of onDialled, the owner's handleOnReadError and, after {@link destroy}, handleOnClosed comes next. */
  constructor(target: DialTarget, owner: HandleOwner, onDialled: (handle: SocketHandle) => void) {
    assert(internals !== null, "there is no handle without the internals");
    this.#native = new internals.TCP(internals.tcpSocketKind);
    this.#owner = owner;
    this.#onDialled = onDialled;
    const status = this.#begin(target, new internals.TCPConnectWrap());
    if (status !== 0) process.nextTick(() => this.#conclude(target, status));
  }

  destroy(): void {
    this.#isClosed = true;
    this.#native.close(() => this.#owner.handleOnClosed());
  }

  #begin(target: DialTarget, request: ConnectRequest): number {
    const native = this.#native;
    const isV6 = target.address.includes(":");
    if (target.localAddress !== undefined || target.localPort !== undefined) {
      const { localAddress = isV6 ? "::" : "0.0.0.0", localPort = 0 } = target;
      const status = isV6 ? native.bind6(localAddress, localPort, 0) : native.bind(localAddress, localPort);
      if (status !== 0) return status;
    }
    request.oncomplete = (status) => this.#conclude(target, status);
    return isV6
      ? native.connect6(request, target.address, target.port)
      : native.connect(request, target.address, target.port);
  }

  #conclude(target: DialTarget, status: number): void {
    if (this.#isClosed) return;
    if (status !== 0) {
      const { address, port } = target;
      const error = systemError(status, "connect", ` ${address}:${port}`);
      this.#owner.handleOnReadError(Object.assign(error, { address, port }));
      return;
    }
    // What socket options do not take hold is no reason to fail.
    if (target.noDelay) this.#native.setNoDelay(true);
    if (target.keepAliveDelaySeconds !== null) this.#native.setKeepAlive(true, target.keepAliveDelaySeconds);
    this.#onDialled(new SocketHandle(this.#native, null, this.#owner));
  }
}

/** Whether a socket stands on a handle: not when it is destroyed, and not TLS on top of a stream of JavaScript's. */
export function hasHandle(socket: Socket): boolean {
  return nativeHandleOf(socket) !== null;
}

/** Bytes that came before the socket was taken over. */
function readAll(socket: Socket): Buffer {
  const chunks: Buffer[] = [];
  for (let chunk: unknown = socket.read(); chunk !== null; chunk = socket.read()) {
    if (Buffer.isBuffer(chunk)) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A handle keeps its socket alive, several kB with everything that hangs on it. */
function forgetSocket(native: NativeHandle): void {
  for (const key of Object.getOwnPropertySymbols(native)) {
    if (key.description === "owner_symbol") Reflect.set(native, key, null);
  }
}

// What is used of Node's internals, and how it is known to be there

const UV_EOF = -4095;
const UV_EPIPE = -32;
const UV_EINVAL = -22;

const internals: Internals | null = loadInternals();

/** Whether this Node's handles do what is asked of them here. */
export const handlesWork: boolean = internals !== null && proveHandles(internals);

function loadInternals(): Internals | null {
  const stream = loadBinding("stream_wrap");
  const tcp = loadBinding("tcp_wrap");
  if (!isRecord(stream) || !isRecord(tcp)) return null;
  const { constants } = tcp;
  const tcpSocketKind = isRecord(constants) ? constants["SOCKET"] : undefined;
  const { TCP, TCPConnectWrap } = tcp;
  const found = { ...stream, TCP, TCPConnectWrap, tcpSocketKind };
  return isInternals(found) ? found : null;
}

/** Null where Node refuses, as it does under its permission model. */
function loadBinding(name: string): unknown {
  const load: unknown = Reflect.get(process, "binding");
  if (typeof load !== "function") return null;
  const { noDeprecation } = process;
  // What is deprecated is known; a line about it on every start would help nobody.
  process.noDeprecation = true;
  try {
    return Reflect.apply(load, process, [name]);
  } catch {
    return null;
  } finally {
    if (noDeprecation === undefined) Reflect.deleteProperty(process, "noDeprecation");
    else process.noDeprecation = noDeprecation;
  }
}

/** Reads, writes and ends a stream that has no socket, and looks whether all results come as they are used above. */
function proveHandles(internals: Internals): boolean {
  // Elsewhere a socket's descriptor is none that fs.writeSync could write to.
  if (process.platform === "win32") return false;
  try {
    return (
      provesReading(internals) &&
      provesWriting(internals) &&
      provesEnding(internals) &&
      provesDialling(internals)
    );
  } catch {
    return false;
  }
}

function provesReading({ streamBaseState, kReadBytesOrError }: Internals): boolean {
  const stream = newJsStream();
  const buffer = Buffer.alloc(16);
  const results: number[] = [];
  stream.onread = () => {
    results.push(streamBaseState[kReadBytesOrError] ?? 0);
  };
  stream.useUserBuffer(buffer);
  stream.readStart();
  stream.readBuffer(Buffer.from("proof"));
  stream.emitEOF();
  return results.join() === `5,${UV_EOF}` && buffer.toString("latin1", 0, 5) === "proof";
}

function provesWriting({ WriteWrap, streamBaseState, kLastWriteWasAsync }: Internals): boolean {
  const stream = newJsStream();
  const written: string[] = [];
  let started: WriteRequest | null = null;
  stream.onwrite = (request, chunks) => {
    started = request;
    for (const chunk of chunks) written.push(Buffer.from(chunk).toString("latin1"));
    return 0;
  };
  const statuses: number[] = [];
  for (const chunks of [["one"], ["two", "three"]]) {
    const request = new WriteWrap();
    request.oncomplete = (status) => statuses.push(status);
    const [only = Buffer.alloc(0), ...more] = chunks.map((text) => Buffer.from(text));
    const status =
      more.length === 0 ? stream.writeBuffer(request, only) : stream.writev(request, [only, ...more], true);
    if (status !== 0 || streamBaseState[kLastWriteWasAsync] !== 1 || started !== request) return false;
    stream.finishWrite(request, more.length === 0 ? 0 : UV_EPIPE);
  }
  return written.join() === "one,two,three" && statuses.join() === `0,${UV_EPIPE}`;
}

function provesEnding({ ShutdownWrap }: Internals): boolean {
  const stream = newJsStream();
  stream.onshutdown = () => 0;
  const statuses: number[] = [];
  const request = new ShutdownWrap();
  request.oncomplete = (status) => statuses.push(status);
  if (stream.shutdown(request) !== 0) return false;
  stream.finishShutdown(request, 0);
  return statuses.join() === "0";
}

/** A refused address tells that the calls are those expected, without a connection. */
function provesDialling({ TCP, TCPConnectWrap, tcpSocketKind }: Internals): boolean {
  const native = new TCP(tcpSocketKind);
  const isWhole =
    isNativeHandle(native) && hasMethods(native, ["bind6", "connect6", "setNoDelay", "setKeepAlive"]);
  const statuses = [native.bind("no address", 0), native.connect(new TCPConnectWrap(), "no address", 1)];
  native.close(() => {});
  return isWhole && statuses.join() === `${UV_EINVAL},${UV_EINVAL}`;
}

function newJsStream(): JsStream {
  const binding = loadBinding("js_stream");
  const JSStream: unknown = isRecord(binding) ? binding["JSStream"] : undefined;
  assert(typeof JSStream === "function", "js_stream has a JSStream");
  const stream: unknown = Reflect.construct(JSStream, []);
  assert(isJsStream(stream), "a JSStream is a stream");
  stream.onreadstart = () => 0;
  stream.onreadstop = () => 0;
  return stream;
}

function nativeHandleOf(socket: Socket): NativeHandle | null {
  const native: unknown = Reflect.get(socket, "_handle");
  return isNativeHandle(native) && native.fd >= 0 ? native : null;
}

/** The error that Node makes of a negative result of libuv, without a stack: it would say nothing, and take its time. */
function systemError(status: number, syscall: string, detail: string = ""): Error {
  const code = getSystemErrorName(status);
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  const error = new Error(`${syscall} ${code}${detail}`);
  Error.stackTraceLimit = stackTraceLimit;
  return Object.assign(error, { errno: status, code, syscall });
}

/** Why a connection at whose end nothing is left to read has ended; null for FIN. */
function errorOfRead(descriptor: number): Error | null {
  try {
    readSync(descriptor, readBuffer, 0, 1, null);
    return null;
  } catch (error) {
    return error instanceof Error && codeOf(error) !== "EAGAIN" ? error : null;
  }
}

function codeOf(error: unknown): unknown {
  return isRecord(error) ? error["code"] : undefined;
}
