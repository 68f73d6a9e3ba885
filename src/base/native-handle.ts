import type { Socket } from "node:net";
import type { SocketHandle } from "./transport-handle.ts";

/*
 * The shapes of what transport-handle.ts finds below a socket, and the checks that it is what we know. Nothing here
 * touches a handle.
 */

export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  handle?: SocketHandle;
  chunks?: Buffer[];
}

export interface ShutdownRequest {
  oncomplete: (status: number) => void;
}

export interface NativeHandle {
  /** What it returns must be undefined, or else the next buffer: Node ends the process otherwise. */
  onread: () => undefined;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, chunk: Buffer): number;
  writev(request: WriteRequest, chunks: Buffer[], allBuffers: true): number;
  shutdown(request: ShutdownRequest): number;
  close(onClosed: () => void): void;
  readonly fd: number;
  readonly writeQueueSize?: number;
  /** TCP only. */
  reset?(onClosed: () => void): number;
  getsockname?(end: { address?: string; port?: number }): number;
  /** TLS: the handle below, and the socket that it belongs to where there is one. */
  readonly _parent?: NativeHandle;
  readonly _parentWrap?: Socket | null;
}

export interface NativeTcp extends NativeHandle {
  bind(address: string, port: number): number;
  bind6(address: string, port: number, flags: number): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  connect6(request: ConnectRequest, address: string, port: number): number;
  setNoDelay(isOn: boolean): number;
  setKeepAlive(isOn: boolean, delaySeconds: number): number;
}

export interface ConnectRequest {
  oncomplete: (status: number) => void;
}

export interface Internals {
  readonly TCP: new (kind: number) => NativeTcp;
  readonly TCPConnectWrap: new () => ConnectRequest;
  /** The kind of TCP handle that connects, as opposed to one that listens. */
  readonly tcpSocketKind: number;
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

/** A stream whose other end is in JavaScript: the proof's stand-in for a socket. */
export interface JsStream extends NativeHandle {
  onreadstart: () => number;
  onreadstop: () => number;
  onwrite: (request: WriteRequest, chunks: Uint8Array[]) => number;
  onshutdown: (request: ShutdownRequest) => number;
  readBuffer(chunk: Buffer): void;
  emitEOF(): void;
  finishWrite(request: WriteRequest, status: number): void;
  finishShutdown(request: ShutdownRequest, status: number): void;
}

export function isInternals(value: unknown): value is Internals {
  return (
    hasMethods(value, ["TCP", "TCPConnectWrap", "WriteWrap", "ShutdownWrap"]) &&
    typeof value["tcpSocketKind"] === "number" &&
    value["streamBaseState"] instanceof Int32Array &&
    typeof value["kReadBytesOrError"] === "number" &&
    typeof value["kLastWriteWasAsync"] === "number"
  );
}

export function isNativeHandle(value: unknown): value is NativeHandle {
  return (
    hasMethods(value, ["useUserBuffer", "readStart", "readStop", "writeBuffer", "writev", "shutdown"]) &&
    typeof value["fd"] === "number"
  );
}

export function isJsStream(value: unknown): value is JsStream {
  return (
    isNativeHandle(value) && hasMethods(value, ["readBuffer", "emitEOF", "finishWrite", "finishShutdown"])
  );
}

export function hasMethods(value: unknown, names: readonly string[]): value is Record<string, unknown> {
  return isRecord(value) && names.every((name) => typeof value[name] === "function");
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
