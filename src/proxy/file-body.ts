import type { FileHandle } from "node:fs/promises";
import { describeSystemError } from "../base/errno.ts";
import type { BodyTarget, OutgoingBody } from "./outgoing-body.ts";

const BLOCK_BYTES = 64 * 1024;

/** A request body in a temporary file. */
export class FileBody implements OutgoingBody {
  readonly length: number;
  readonly isKept = true;
  readonly canBeSent = true;
  readonly #file: FileHandle;
  #target: BodyTarget | null = null;
  #wake: (() => void) | null = null;

  constructor(file: FileHandle, lengthBytes: number) {
    this.#file = file;
    this.length = lengthBytes;
  }

  send(target: BodyTarget): void {
    this.#target = target;
    void this.#copyTo(target);
  }

  resume(): void {
    this.#wake?.();
    this.#wake = null;
  }

  stop(): void {
    this.#target = null;
    this.resume();
  }

  release(): void {
    this.stop();
    // The file has no name any more; nothing is lost if closing it fails.
    this.#file.close().catch(() => {});
  }

  /** Block by block, at the target's pace, until it has changed. Never rejects. */
  async #copyTo(target: BodyTarget): Promise<void> {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    try {
      for (let at = 0; at < this.length; ) {
        const { bytesRead } = await this.#file.read(block, 0, block.length, at);
        if (this.#target !== target) return;
        if (bytesRead === 0) throw new Error("the temporary file has become shorter");
        at += bytesRead;
        if (!target.writeBody(block, 0, bytesRead)) await this.#resumed();
      }
      if (this.#target === target) target.onBodySent();
    } catch (error) {
      if (this.#target !== target) return;
      target.onBodyFailure({ status: 500, message: describeSystemError(error) });
    }
  }

  #resumed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
