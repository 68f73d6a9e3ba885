/** How much of a head is read, with the meaning of nginx's directives. */
export interface HeadLimits {
  /** `client_header_buffer_size`: the lines that fit within are read without any of the large buffers. */
  readonly clientHeaderBufferBytes: number;
  /** The size in `large_client_header_buffers`: no line may be longer, its end included. */
  readonly largeBufferBytes: number;
  /** The number in `large_client_header_buffers`; a line that does not fit into one is moved whole to the next. */
  readonly largeBufferCount: number;
  /** `max_headers`. Lines that are ignored do not count. */
  readonly headersCountMax: number;
}

/** nginx's defaults. */
export const DEFAULT_HEAD_LIMITS: HeadLimits = {
  clientHeaderBufferBytes: 1024,
  largeBufferBytes: 8192,
  largeBufferCount: 4,
  headersCountMax: 1000,
};

/**
 * Accounts for the buffers that nginx would read a head into, so that the same heads are too large here as there. Nothing is
 * read into them: a buffer is an offset into the head at which a line that began before must have ended.
 */
export class LineBudget {
  #limits: HeadLimits;
  #largeBuffersUsed = 0;
  /** Where the buffer being filled ends, as an offset into the head. */
  bufferEnd = 0;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.reset();
  }

  reset(limits: HeadLimits = this.#limits): void {
    this.#limits = limits;
    this.#largeBuffersUsed = 0;
    this.bufferEnd = limits.clientHeaderBufferBytes;
  }

  /** No head can be longer than all its buffers together. */
  get headBytesMax(): number {
    const { clientHeaderBufferBytes, largeBufferBytes, largeBufferCount } = this.#limits;
    return clientHeaderBufferBytes + largeBufferBytes * largeBufferCount;
  }

  get headersCountMax(): number {
    return this.#limits.headersCountMax;
  }

  /**
   * As ngx_http_alloc_large_header_buffer: the line from offset `lineStart`, which does not fit, is moved to the start of
   * another large buffer. False if there is none left, or if the line is as long as one already.
   */
  moveLine(lineStart: number): boolean {
    const { largeBufferBytes, largeBufferCount } = this.#limits;
    const lineBytes = this.bufferEnd - lineStart;
    if (lineBytes >= largeBufferBytes || this.#largeBuffersUsed === largeBufferCount) return false;
    this.#largeBuffersUsed++;
    this.bufferEnd = lineStart + largeBufferBytes;
    return true;
  }
}
