/** One moment by which something must have happened; arming it again moves it. */
export class Deadline {
  readonly #onExpiry: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(onExpiry: () => void) {
    this.#onExpiry = onExpiry;
  }

  arm(delayMs: number): void {
    this.disarm();
    this.#timer = setTimeout(this.#onExpiry, delayMs);
  }

  disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
