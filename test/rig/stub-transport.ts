import type { Transport, TransportListener } from "../../src/base/transport.ts";
import { IGNORE_ALL } from "./transports.ts";

/** A transport of which a test says how much is pending. */
export class StubTransport implements Transport {
  listener: TransportListener = IGNORE_ALL;
  pendingBytes = 0;
  isDestroyed = false;
  isPaused = true;
  readonly calls: string[] = [];
  readonly written: Buffer[] = [];
  readonly peerHasEnded = false;
  readonly bytesRead = 0;
  bytesWritten = 0;
  readonly remoteAddress = "";
  readonly remotePort = 0;
  readonly localAddress = "";
  readonly localPort = 0;
  readonly tls = null;

  write(chunk: Buffer, start: number, end: number): boolean {
    this.written.push(Buffer.from(chunk.subarray(start, end)));
    return this.pendingBytes === 0;
  }

  writeLatin1(text: string): boolean {
    return this.write(Buffer.from(text, "latin1"), 0, text.length);
  }

  cork(): void {}

  uncork(): boolean {
    return this.pendingBytes === 0;
  }

  pause(): void {
    this.isPaused = true;
    this.calls.push("pause");
  }

  resume(): void {
    this.isPaused = false;
    this.calls.push("resume");
  }

  end(): void {
    this.calls.push("end");
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    queueMicrotask(() => this.listener.onClose(null));
  }

  reset(): void {
    this.destroy();
  }
}
