import type { Transport } from "../base/transport.ts";

/** Bytes of requests to come, or early bytes of a tunnel, that are kept before reading stops. A read may exceed it. */
const HELD_BYTES_MAX = 16 * 1024;

export const NO_BYTES: Buffer = Buffer.alloc(0);

/** Whoever makes something of the bytes that a client sends. */
export interface InputTaker {
  /** False while bytes have to wait. */
  readonly takesBytes: boolean;
  /**
   * Called while {@link takesBytes}; returns how many bytes were used. Before anybody is called to whom it matters whether
   * more is there, {@link InputPump.noteRest} is told how many were not.
   */
  take(chunk: Buffer, start: number, end: number): number;
  /** True where nothing will ever take bytes again. */
  readonly isOver: boolean;
  /** The client has sent FIN, and everything before it has been taken. May be called again when phases change. */
  onInputEnd(): void;
}

/**
 * Brings what a client sends to whoever takes it, in order: what cannot be taken yet is held, and reading stops while
 * enough is held, or while the taker asks for a pause.
 */
export class InputPump {
  readonly #transport: Transport;
  readonly #taker: InputTaker;
  readonly #goOn = (): void => this.goOn();
  #held: Buffer = NO_BYTES;
  #isReading = false;
  #isPaused = false;
  /** True while bytes are being worked through: whoever then becomes ready to take more is served by that loop. */
  #isPumping = false;
  /** Of the bytes being worked through, those that nobody has looked at yet. */
  #restBytes = 0;
  #hasEnded = false;

  constructor(transport: Transport, taker: InputTaker) {
    this.#transport = transport;
    this.#taker = taker;
  }

  /** True while there is nothing that has been read and was not used. */
  get isEmpty(): boolean {
    return this.#held.length === 0 && this.#restBytes === 0;
  }

  noteRest(bytes: number): void {
    this.#restBytes = bytes;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Bytes have arrived. */
  push(chunk: Buffer, start: number, end: number): void {
    if (this.isEmpty) {
      this.#pump(chunk, start, end);
      this.#settle();
    } else {
      this.#hold(chunk, start, end);
      this.goOn();
    }
  }

  /** FIN has arrived. */
  end(): void {
    this.#hasEnded = true;
    if (!this.#isPumping) this.#settle();
  }

  /** Goes on with what is held, if it can be taken now, and with reading. */
  goOn(): void {
    if (this.#isPumping) return;
    if (!this.isEmpty && this.#taker.takesBytes) {
      const held = this.takeHeld();
      this.#pump(held, 0, held.length);
    }
    this.#settle();
  }

  /** The same, but held bytes in a turn of their own: whoever has just finished something may not be done yet. */
  goOnLater(): void {
    if (this.#isPumping) return;
    if (this.isEmpty) this.#settle();
    else process.nextTick(this.#goOn);
  }

  pause(): void {
    this.#isPaused = true;
    this.#settle();
  }

  /** Takes the pause back; {@link goOn} has to follow. */
  unpause(): void {
    this.#isPaused = false;
  }

  /** Hands over what is held. */
  takeHeld(): Buffer {
    const held = this.#held;
    this.#held = NO_BYTES;
    return held;
  }

  #pump(chunk: Buffer, start: number, end: number): void {
    let at = start;
    this.#isPumping = true;
    while (at < end && this.#taker.takesBytes) at += this.#taker.take(chunk, at, end);
    this.#isPumping = false;
    this.#restBytes = 0;
    if (at < end && !this.#taker.isOver) this.#hold(chunk, at, end);
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    this.#held = Buffer.concat([this.#held, chunk.subarray(start, end)]);
  }

  #settle(): void {
    if (this.#hasEnded && this.isEmpty) this.#taker.onInputEnd();
    if (this.#taker.isOver) return;
    const shouldRead = this.#held.length < HELD_BYTES_MAX && !this.#isPaused;
    if (shouldRead === this.#isReading) return;
    this.#isReading = shouldRead;
    if (shouldRead) this.#transport.resume();
    else this.#transport.pause();
  }
}
