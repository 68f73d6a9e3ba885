import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, unlink } from "node:fs/promises";
import { join } from "node:path";
import { describeSystemError } from "../base/errno.ts";
import type { BodyFailure, BodySink, Request } from "../compile/request.ts";
import { FileBody } from "./file-body.ts";
import { MemoryBody, type OutgoingBody } from "./outgoing-body.ts";

/** Whoever waits for a whole body; exactly one of the two is called, unless the spool is abandoned. */
export interface BodyReceiver {
  onBodyReady(body: OutgoingBody): void;
  onBodyFailure(failure: BodyFailure): void;
}

/**
 * Reads a request's body whole before it is sent anywhere (`proxy_request_buffering on`): up to
 * `client_body_buffer_size` in memory, and into a file in `client_body_temp_path` if it is longer.
 */
export class BodySpool implements BodySink {
  readonly #request: Request;
  readonly #receiver: BodyReceiver;
  #chunks: Buffer[] = [];
  #chunksBytes = 0;
  #file: FileHandle | null = null;
  #fileBytes = 0;
  #isSpilling = false;
  #isComplete = false;
  #isAbandoned = false;

  constructor(request: Request, receiver: BodyReceiver) {
    this.#request = request;
    this.#receiver = receiver;
  }

  start(): void {
    this.#request.downstream.readBody(this);
  }

  /** Nobody wants the body any more. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#chunks = [];
    if (!this.#isSpilling) this.#closeFile();
  }

  onBodyBytes(chunk: Buffer, start: number, end: number): void {
    if (this.#isAbandoned) return;
    this.#chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.#chunksBytes += end - start;
    if (this.#chunksBytes <= this.#request.location.core.client_body_buffer_size || this.#isSpilling) return;
    this.#request.downstream.pauseBody();
    void this.#spill();
  }

  onBodyEnd(): void {
    this.#isComplete = true;
    if (this.#isAbandoned) return;
    if (this.#file === null && !this.#isSpilling) this.#receiver.onBodyReady(new MemoryBody(this.#chunks));
    else if (!this.#isSpilling) void this.#spill();
  }

  onBodyError(failure: BodyFailure): void {
    this.abandon();
    this.#receiver.onBodyFailure(failure);
  }

  /** Writes what is in memory to the file, and goes on. Never rejects. */
  async #spill(): Promise<void> {
    this.#isSpilling = true;
    try {
      const file = (this.#file ??= await this.#openFile());
      while (this.#chunks.length > 0) {
        const bytes = Buffer.concat(this.#chunks);
        this.#chunks = [];
        this.#chunksBytes = 0;
        await file.appendFile(bytes);
        this.#fileBytes += bytes.length;
      }
    } catch (error) {
      this.#request.log("crit", `buffering a client request body failed (${describeSystemError(error)})`);
      this.abandon();
      this.#receiver.onBodyFailure({ status: 500, message: describeSystemError(error) });
    }
    this.#isSpilling = false;
    this.#afterSpill();
  }

  #afterSpill(): void {
    if (this.#isAbandoned) this.#closeFile();
    else if (!this.#isComplete) this.#request.downstream.resumeBody();
    else if (this.#file !== null) this.#receiver.onBodyReady(new FileBody(this.#file, this.#fileBytes));
  }

  /** The file loses its name at once: it cannot outlive the process. */
  async #openFile(): Promise<FileHandle> {
    const folder = this.#request.location.core.client_body_temp_path;
    const path = join(folder, `wsgate-body-${process.pid}-${randomBytes(8).toString("hex")}`);
    await mkdir(folder, { recursive: true });
    const file = await open(path, "wx+", 0o600);
    await unlink(path);
    this.#request.log("warn", `a client request body is buffered to a temporary file ${path}`);
    return file;
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = null;
    // Nothing was promised to anyone about a file without a name.
    file?.close().catch(() => {});
  }
}
