import { within } from "./deadline.ts";

/**
 * Bytes as they arrive, with a cursor: each read waits for what it wants and moves the cursor past it. Bytes are
 * latin1 strings, one character a byte. Every wait has a deadline and its error shows what had arrived.
 */
export class Inbox {
  /** Everything that ever arrived. To look into it costs as much as it is long: a reader of much looks at `unread`. */
  received = "";
  /** What has arrived and was not read yet. */
  unread = "";
  /** Set once nothing more can arrive: `end` for an orderly end, else the error's code, such as `ECONNRESET`. */
  ending: string | undefined;
  readonly #name: string;
  #wake: (() => void)[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  push(chunk: Buffer | string): void {
    const text = typeof chunk === "string" ? chunk : chunk.toString("latin1");
    this.received += text;
    this.unread += text;
    this.#wakeReaders();
  }

  finish(ending: string): void {
    this.ending ??= ending;
    this.#wakeReaders();
  }

  /** Everything up to and including the first match. */
  until(pattern: string | RegExp): Promise<string> {
    return this.#take(`${this.#name} to send ${show(pattern)}`, () => endOfMatch(this.unread, pattern));
  }

  /** Exactly these bytes next; fails as soon as one differs. */
  async exactly(expected: string): Promise<void> {
    await this.#take(`${this.#name} to send exactly ${show(expected)}`, () => {
      const { unread } = this;
      const length = Math.min(unread.length, expected.length);
      if (unread.slice(0, length) !== expected.slice(0, length)) {
        throw new Error(`${this.#name} sent ${show(unread)} instead of ${show(expected)}`);
      }
      return unread.length >= expected.length ? expected.length : -1;
    });
  }

  /** The next `lengthBytes` bytes. */
  bytes(lengthBytes: number): Promise<string> {
    return this.#take(`${lengthBytes} bytes of ${this.#name}`, () =>
      this.unread.length >= lengthBytes ? lengthBytes : -1,
    );
  }

  /** Waits until these bytes have come, whoever reads them. */
  async seen(bytes: string): Promise<void> {
    await this.#wait(`${this.#name} to send ${show(bytes)}`, () => this.received.includes(bytes));
  }

  /** Whatever has arrived, as soon as there is a byte; nothing once the connection has ended. */
  async some(): Promise<string> {
    await this.#wait(`a byte of ${this.#name}`, () => this.unread !== "" || this.ending !== undefined);
    return this.#drop(this.unread.length);
  }

  /** Everything until the other side has ended or reset the connection; see {@link ending}. */
  async toEnd(): Promise<string> {
    await this.#wait(`${this.#name} to end the connection`, () => this.ending !== undefined);
    return this.#drop(this.unread.length);
  }

  /** `lengthOf` says how many unread bytes to take, or -1 while there are not enough. */
  async #take(what: string, lengthOf: () => number): Promise<string> {
    let length = -1;
    await this.#wait(what, () => {
      length = lengthOf();
      if (length < 0 && this.ending !== undefined) {
        throw new Error(
          `the connection ended (${this.ending}) while the rig waited for ${what}; ${this.#seen()}`,
        );
      }
      return length >= 0;
    });
    return this.#drop(length);
  }

  /** Takes so many bytes out of what is unread. */
  #drop(length: number): string {
    const taken = this.unread.slice(0, length);
    this.unread = this.unread.slice(length);
    return taken;
  }

  async #wait(what: string, isDone: () => boolean): Promise<void> {
    const done = async (): Promise<void> => {
      while (!isDone()) await new Promise<void>((resolve) => this.#wake.push(resolve));
    };
    await within(done(), () => `${what}; ${this.#seen()}`);
  }

  #seen(): string {
    return `unread so far: ${show(this.unread.slice(0, 2_000))}`;
  }

  #wakeReaders(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** The index just after the first match of `pattern` in `text`, or -1. */
function endOfMatch(text: string, pattern: string | RegExp): number {
  if (typeof pattern === "string") {
    const start = text.indexOf(pattern);
    return start < 0 ? -1 : start + pattern.length;
  }
  const match = pattern.exec(text);
  return match === null ? -1 : match.index + match[0].length;
}

function show(value: string | RegExp): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
