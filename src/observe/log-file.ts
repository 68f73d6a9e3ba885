import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Paths of the streams that the process was started with. They are written to as they are: where they are sockets, as
 * under systemd, opening the path fails, and nginx with it.
 */
const INHERITED: ReadonlyMap<string, number> = new Map([
  ["stderr", 2],
  ["/dev/stderr", 2],
  ["/dev/stdout", 1],
]);

/** Longest run of bytes that waits for one write. */
const PENDING_BYTES_MAX = 64 * 1024;

/**
 * One file that log lines are appended to. There is one object per path in a process, so that a reload goes on
 * writing to the open file and a reopen finds them all. Lines of one turn of the event loop go out in one write.
 */
export class LogFile {
  /** Absolute path, or `stderr`. */
  readonly path: string;
  /** The folder is made where it is missing: for the places that are chosen by default and not by anybody. */
  makesFolder = false;
  private descriptor: number | null = null;
  private pending = "";
  private flushScheduled = false;
  /** Bytes that are gathered before they are written; 0: what one turn of the event loop gives. */
  private bufferBytes = 0;
  private flushMs: number | null = null;
  private flushTimer: NodeJS.Timeout | null = null;

  constructor(path: string) {
    this.path = path;
  }

  get isOpen(): boolean {
    return this.descriptor !== null;
  }

  /** Opens for appending; harmless when open. Throws the system's error. */
  open(): void {
    this.descriptor ??= INHERITED.get(this.path) ?? this.openForAppending();
  }

  /** Closes and opens the path anew, after somebody has moved the file away. */
  reopen(): void {
    this.flush();
    if (INHERITED.has(this.path)) return;
    const before = this.descriptor;
    this.descriptor = this.openForAppending();
    if (before !== null) closeSync(before);
  }

  /** Gathers so many bytes before they are written, for at most so many milliseconds (null: for as long as it takes). */
  setBuffer(bytes: number, flushMs: number | null): void {
    this.bufferBytes = bytes;
    this.flushMs = flushMs;
  }

  /** Appends a byte string, newline included. Lines for a file that is not open are lost. */
  write(line: string): void {
    if (this.bufferBytes > 0 && this.pending.length + line.length > this.bufferBytes) this.flush();
    this.pending += line;
    if (this.pending.length >= PENDING_BYTES_MAX) this.flush();
    else this.scheduleFlush();
  }

  private scheduleFlush(): void {
    if (this.bufferBytes > 0) {
      if (this.flushMs !== null) this.flushTimer ??= setTimeout(() => this.flush(), this.flushMs).unref();
    } else if (!this.flushScheduled) {
      this.flushScheduled = true;
      setImmediate(() => this.flush());
    }
  }

  private openForAppending(): number {
    if (this.makesFolder) mkdirSync(dirname(this.path), { recursive: true });
    return openSync(this.path, "a", 0o644);
  }

  flush(): void {
    this.flushScheduled = false;
    if (this.flushTimer !== null) clearTimeout(this.flushTimer);
    this.flushTimer = null;
    if (this.descriptor === null || this.pending === "") return;
    const bytes = Buffer.from(this.pending, "latin1");
    this.pending = "";
    try {
      for (let written = 0; written < bytes.length; ) {
        written += writeSync(this.descriptor, bytes, written);
      }
    } catch {
      // A full disk or a closed pipe must not end the proxy; there is nowhere left to say so.
    }
  }

  close(): void {
    this.flush();
    if (this.descriptor !== null && !INHERITED.has(this.path)) closeSync(this.descriptor);
    this.descriptor = null;
  }
}

const filesByPath = new Map<string, LogFile>();

/** The process-wide log file of a path. Not opened yet. */
export function logFileAt(path: string): LogFile {
  let file = filesByPath.get(path);
  if (file === undefined) filesByPath.set(path, (file = new LogFile(path)));
  return file;
}
