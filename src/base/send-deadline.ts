import { Deadline } from "./timers.ts";

/**
 * The time that a peer may take nothing of what is pending for it, as nginx's `send_timeout` has it: between two successful
 * writes, not for all there is to send. Nobody tells when the kernel, or an HTTP/2 window, takes a part of a write; so while
 * a peer is waited for, what is pending is looked at with each turn of the wheel, and a stall is noticed within three of them
 * (base/timers.ts). One object serves a connection for its life; arming it allocates nothing.
 */
export class SendDeadline {
  readonly #sink: { readonly pendingBytes: number };
  readonly #onStall: () => void;
  readonly #deadline: Deadline = new Deadline();
  readonly #onLook = (): void => this.#look();
  #timeoutMs = 0;
  #pendingBytesSeen = 0;
  /** When something was last seen to have been taken. */
  #takenAtMs = 0;

  /** `onStall` is called once for each {@link arm}, if it comes to that. */
  constructor(sink: { readonly pendingBytes: number }, onStall: () => void) {
    this.#sink = sink;
    this.#onStall = onStall;
  }

  get isArmed(): boolean {
    return this.#deadline.isArmed;
  }

  /** Something is pending from now on. Replaces what was armed. */
  arm(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
    this.#pendingBytesSeen = this.#sink.pendingBytes;
    this.#takenAtMs = performance.now();
    this.#deadline.armForLook(timeoutMs, this.#onLook);
  }

  disarm(): void {
    this.#deadline.disarm();
  }

  #look(): void {
    const { pendingBytes } = this.#sink;
    const nowMs = performance.now();
    if (pendingBytes < this.#pendingBytesSeen) this.#takenAtMs = nowMs;
    // More may have been written meanwhile: what is taken next is less than that.
    this.#pendingBytesSeen = pendingBytes;
    if (nowMs - this.#takenAtMs >= this.#timeoutMs) this.#onStall();
    else this.#deadline.armForLook(this.#timeoutMs, this.#onLook);
  }
}
