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
 *
 * It stays open while a plan that names it is in force. What requests of former plans still write is appended all the
 * same, by opening the file for each write, so that reloads cannot pile up open files.
 */
export class LogFile {
  /** Absolute path, or `stderr`. */
  readonly path: string;
  /** The folder is made where it is missing: for the places that are chosen by default and not by anybody. */
  makesFolder = false;
  private descriptor: number | null = null;
  /** Plans, prepared or in force, that have it open. */
  private users = 0;
  private wasOpened = false;
  private pending = "";
  private flushScheduled = false;
  /** Bytes that are gathered before they are written; 0: what one turn of the event loop gives. */
  private bufferBytes = 0;
  private flushMs: number | null = null;
  private nextBuffer: { readonly bytes: number; readonly flushMs: number | null } = {
    bytes: 0,
    flushMs: null,
  };
  private flushTimer: NodeJS.Timeout | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /** Opens for appending, or joins those who have it open: each calls {@link close}. Throws the system's error. */
  open(): void {
    this.descriptor ??= this.openDescriptor();
    this.users++;
    this.wasOpened = true;
    this.bufferBytes = this.nextBuffer.bytes;
    this.flushMs = this.nextBuffer.flushMs;
    if (this.pending !== "") this.scheduleFlush();
  }

  /**
   * Closes and opens the path anew, after somebody has moved the file away. Throws the system's error, and goes on with
   * the old file then.
   */
  reopen(): void {
    this.flush();
    if (this.descriptor === null) return;
    const before = this.descriptor;
    this.descriptor = this.openDescriptor();
    this.closeDescriptor(before);
  }

  /**
   * Gathers so many bytes before they are written, for at most so many milliseconds (null: for as long as it takes).
   * In force from the next {@link open} on, since a configuration that says so may yet be refused.
   */
  setBuffer(bytes: number, flushMs: number | null): void {
    this.nextBuffer = { bytes, flushMs };
  }

  /** Appends a byte string, newline included. Lines for a file that was never opened are lost. */
  write(line: string): void {
    if (this.bufferBytes > 0 && this.pending.length + line.length > this.bufferBytes) this.flush();
    this.pending += line;
    if (this.pending.length >= PENDING_BYTES_MAX) this.flush();
    else this.scheduleFlush();
  }

  private scheduleFlush(): void {
    if (this.bufferBytes > 0 && this.users > 0) {
      if (this.flushMs !== null) this.flushTimer ??= setTimeout(() => this.flush(), this.flushMs).unref();
    } else if (!this.flushScheduled) {
      this.flushScheduled = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    this.flushScheduled = false;
    if (this.flushTimer !== null) clearTimeout(this.flushTimer);
    this.flushTimer = null;
    const { pending } = this;
    this.pending = "";
    if (pending === "" || !this.wasOpened) return;
    try {
      const descriptor = this.descriptor ?? this.openDescriptor();
      try {
        writeAll(descriptor, Buffer.from(pending, "latin1"));
      } finally {
        if (this.descriptor === null) this.closeDescriptor(descriptor);
      }
    } catch {
      // A full disk or a closed pipe must not end the proxy; there is nowhere left to say so.
    }
  }

  /** Gives back what {@link open} has taken; the last one closes the file. */
  close(): void {
    this.flush();
    this.users--;
    if (this.users > 0 || this.descriptor === null) return;
    this.closeDescriptor(this.descriptor);
    this.descriptor = null;
  }

  private openDescriptor(): number {
    const inherited = INHERITED.get(this.path);
    if (inherited !== undefined) return inherited;
    if (this.makesFolder) mkdirSync(dirname(this.path), { recursive: true });
    return openSync(this.path, "a", 0o644);
  }

  private closeDescriptor(descriptor: number): void {
    if (!INHERITED.has(this.path)) closeSync(descriptor);
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(descriptor, bytes, written);
  }
}

const filesByPath = new Map<string, LogFile>();

/** The process-wide log file of a path. Not opened yet. */
export function logFileAt(path: string): LogFile {
  let file = filesByPath.get(path);
  if (file === undefined) filesByPath.set(path, (file = new LogFile(path)));
  return file;
}
