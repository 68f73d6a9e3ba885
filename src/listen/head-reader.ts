import { assert } from "../base/assert.ts";
import type { CoreServer } from "../compile/plan.ts";
import type { HeadError, HeadRule } from "../http/head-error.ts";
import { type RequestHead, RequestHeadParser } from "../http/head-parser.ts";
import type { ReceivedHead } from "../http/head-scanner.ts";

/** How many parsers wait for use per server: heads mostly arrive whole, and then one serves all connections. */
const SPARE_PARSERS_MAX = 32;

/** What the first line of an incomplete head ends in once it is complete, or nearly. */
const WHOLE_LINE = / HTTP\/\d\.\d$/;

/** Rules about the request line; all others are about what comes after it. */
const LINE_RULES: ReadonlySet<HeadRule> = new Set([
  "invalid-method",
  "invalid-target",
  "fragment-in-target",
  "http-0.9",
  "invalid-version",
  "unsupported-version",
  "request-line-too-long",
  "too-many-empty-lines",
  "invalid-authority",
]);

/** What is known of a head that was not read to its end. */
export interface UnreadHead extends ReceivedHead {
  /** What was being done, in nginx's words. */
  readonly doing: string;
}

const spareParsers = new WeakMap<CoreServer, RequestHeadParser[]>();

/** Reads one head after the other on one connection. It borrows a parser for as long as a head is incomplete. */
export class HeadReader {
  #parser: RequestHeadParser | null = null;
  #core: CoreServer | null = null;
  /** The head that {@link read} has just completed. */
  head: RequestHead | null = null;
  /** Why the head being read cannot be read. */
  error: HeadError | null = null;

  /** Begins a head with the limits of `core`: the server in force before the head has named one. */
  begin(core: CoreServer): void {
    this.#core = core;
    this.#parser = spareParsers.get(core)?.pop() ?? makeParser(core);
    this.head = null;
    this.error = null;
  }

  /** Reads up to the end of the head and returns how many bytes belong to it. */
  read(chunk: Buffer, start: number, end: number): number {
    const parser = this.#parser;
    assert(parser !== null, "a head has been begun");
    const used = parser.execute(chunk, start, end);
    if (parser.state === "more") return used;
    ({ head: this.head, error: this.error } = parser);
    if (this.head !== null) this.drop();
    return used;
  }

  /** Ends the reading of a head that is no good or does not come: what is known of it. */
  giveUp(): UnreadHead {
    assert(this.#parser !== null, "a head has been begun");
    const { startLine, headers } = this.#parser.received();
    const isInLine = this.error === null ? !WHOLE_LINE.test(startLine) : LINE_RULES.has(this.error.rule);
    this.drop();
    return { startLine, headers, doing: `reading client request ${isInLine ? "line" : "headers"}` };
  }

  /** Gives the parser back. */
  drop(): void {
    if (this.#parser === null || this.#core === null) return;
    this.#parser.reset();
    const spare = spareParsers.get(this.#core);
    if (spare === undefined) spareParsers.set(this.#core, [this.#parser]);
    else if (spare.length < SPARE_PARSERS_MAX) spare.push(this.#parser);
    this.#parser = null;
  }
}

function makeParser(core: CoreServer): RequestHeadParser {
  const limits = {
    clientHeaderBufferBytes: core.client_header_buffer_size,
    largeBufferBytes: core.large_client_header_buffers.size,
    largeBufferCount: core.large_client_header_buffers.count,
    headersCountMax: core.max_headers,
  };
  const nameRules = {
    ignoreInvalidHeaders: core.ignore_invalid_headers,
    underscoresInHeaders: core.underscores_in_headers,
  };
  return new RequestHeadParser(limits, nameRules);
}
