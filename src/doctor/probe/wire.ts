/** One connection in the doctor's hands: what came, when, and how it ended. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { describeOpensslError } from "../../base/openssl-error.ts";

/** How a connection ended that had been open. */
export type Ending = "fin" | "reset" | "error";

/** More than this of one answer is not kept; the largest message that is tried is smaller. */
const KEPT_BYTES_MAX = 64 * 1024 * 1024;

/** Where and how to connect. */
export interface Route {
  readonly address: string;
  readonly port: number;
  /** Null for a connection without TLS. */
  readonly tls: ConnectionOptions | null;
  /** Sent before everything else, TLS included. */
  readonly preface?: string;
}

export class Wire {
  readonly socket: Socket;
  /** Null while the other side may still send. */
  ending: Ending | null = null;
  /** OpenSSL's words where TLS ended it, such as an alert; else empty. */
  endingDetail = "";
  /** `performance.now()` of the ending. */
  endedAtMs = 0;
  #wake: (() => void)[] = [];
  /** What has come and was not taken yet stands between `#start` and `#stop`. */
  #buffer: Buffer = Buffer.alloc(4096);
  #start = 0;
  #stop = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#keep(chunk);
      if (this.#stop - this.#start > KEPT_BYTES_MAX) socket.destroy();
      this.#tell();
    });
    socket.on("end", () => this.#end("fin"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const isReset = error.code === "ECONNRESET" || error.code === "EPIPE";
      if (this.ending === null && !isReset) this.endingDetail = describeOpensslError(error);
      this.#end(isReset ? "reset" : "error");
    });
    socket.on("close", () => this.#end("fin"));
  }

  /** Bytes that have gone both ways: as long as it grows, something is under way. */
  get transferredBytes(): number {
    return this.socket.bytesRead + this.socket.bytesWritten - this.socket.writableLength;
  }

  /** What has come and was not taken yet; valid until the next {@link take} or {@link change}. */
  get received(): Buffer {
    return this.#buffer.subarray(this.#start, this.#stop);
  }

  send(bytes: string | Buffer): void {
    if (this.socket.destroyed || !this.socket.writable) return;
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Takes the first bytes out of {@link received}. */
  take(bytes: number): Buffer {
    const taken = Buffer.from(this.received.subarray(0, bytes));
    this.#start += bytes;
    return taken;
  }

  /** Waits until more has come or the connection has ended: true; false once `deadlineMs` of `performance.now()` has come. */
  async change(deadlineMs: number): Promise<boolean> {
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) return false;
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), leftMs);
    });
    const changed = new Promise<true>((resolve) => this.#wake.push(() => resolve(true)));
    try {
      return await Promise.race([changed, expired]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets {@link change} return at once, though nothing has changed. */
  wake(): void {
    this.#tell();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #keep(chunk: Buffer): void {
    const length = this.#stop - this.#start;
    if (this.#stop + chunk.length > this.#buffer.length) {
      const room = Math.max(this.#buffer.length, 2 * (length + chunk.length));
      const target = room > this.#buffer.length ? Buffer.alloc(room) : this.#buffer;
      this.#buffer.copy(target, 0, this.#start, this.#stop);
      this.#buffer = target;
      this.#start = 0;
      this.#stop = length;
    }
    this.#stop += chunk.copy(this.#buffer, this.#stop);
  }

  #end(ending: Ending): void {
    if (this.ending !== null) return;
    this.ending = ending;
    this.endedAtMs = performance.now();
    this.#tell();
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

export type Connected =
  | { readonly ok: true; readonly wire: Wire; readonly socket: Socket; readonly ms: number }
  /** `code` is `ETIMEDOUT` where nothing came within the time. */
  | { readonly ok: false; readonly code: string; readonly message: string; readonly ms: number };

/** Connects, with TLS where the route has it; both within `timeoutMs`. */
export function connect(route: Route, timeoutMs: number): Promise<Connected> {
  const startedMs = performance.now();
  const elapsed = (): number => performance.now() - startedMs;
  const socket = openSocket(route);
  return new Promise((resolve) => {
    const fail = (code: string, message: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ok: false, code, message, ms: elapsed() });
    };
    const timer = setTimeout(() => fail("ETIMEDOUT", "no answer in time"), timeoutMs);
    const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? "EUNKNOWN", error.message);
    const onClose = (): void => fail("ECONNCLOSED", "the connection was closed");
    socket.on("error", onError);
    socket.once("close", onClose);
    socket.once(route.tls === null ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      const wire = new Wire(socket);
      socket.off("error", onError);
      socket.off("close", onClose);
      resolve({ ok: true, wire, socket, ms: elapsed() });
    });
  });
}

function openSocket({ address: host, port, tls, preface }: Route): Socket {
  if (preface === undefined)
    return tls === null ? connectTcp({ host, port }) : connectTls({ ...tls, host, port });
  const socket = connectTcp({ host, port });
  // Waits in the socket for the connection, and TLS behind it.
  socket.write(preface);
  if (tls === null) return socket;
  const secured = connectTls({ ...tls, socket });
  socket.on("error", (error) => secured.destroy(error));
  return secured;
}

/** The name to send as SNI: none for an IP address (RFC 6066 section 3). */
export function serverName(host: string): string {
  return isIP(host) === 0 ? host : "";
}
