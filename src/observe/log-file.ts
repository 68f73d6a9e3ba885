import { closeSync, openSync, writeSync } from "node:fs";

/** Longest run of bytes that waits for one write. */
const PENDING_BYTES_MAX = 64 * 1024;

/**
 * One file that log lines are appended to. There is one object per path in a process, so that a reload goes on
 * writing to the open file and a reopen finds them all. Lines of one turn of the event loop go out in one write.
 */
export class LogFile {
  /** Absolute path, or `stderr`. */
  readonly path: string;
  private descriptor: number | null = null;
  private pending = "";
  private flushScheduled = false;

  constructor(path: string) {
    this.path = path;
  }

  get isOpen(): boolean {
    return this.descriptor !== null;
  }

  /** Opens for appending; harmless when open. Throws the system's error. */
  open(): void {
    if (this.path === "stderr") this.descriptor = 2;
    else this.descriptor ??= openSync(this.path, "a", 0o644);
  }

  /** Closes and opens the path anew, after somebody has moved the file away. */
  reopen(): void {
    this.flush();
    if (this.path === "stderr") return;
    const before = this.descriptor;
    this.descriptor = openSync(this.path, "a", 0o644);
    if (before !== null) closeSync(before);
  }

  /** Appends a byte string, newline included. Lines for a file that is not open are lost. */
  write(line: string): void {
    this.pending += line;
    if (this.pending.length >= PENDING_BYTES_MAX) this.flush();
    else if (!this.flushScheduled) {
      this.flushScheduled = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    this.flushScheduled = false;
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
    if (this.descriptor !== null && this.descriptor !== 2) closeSync(this.descriptor);
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
