import type { CoreServer } from "../compile/plan.ts";
import { RequestHeadParser } from "../http/head-parser.ts";

/** How many parsers wait for use per server: heads mostly arrive whole, and then one serves all connections. */
const SPARE_PARSERS_MAX = 32;

const spareParsers = new WeakMap<CoreServer, RequestHeadParser[]>();

/** A parser that reads with the limits of `core`, for as long as a head is incomplete: idle connections hold none. */
export function borrowHeadParser(core: CoreServer): RequestHeadParser {
  return spareParsers.get(core)?.pop() ?? makeHeadParser(core);
}

export function returnHeadParser(core: CoreServer, parser: RequestHeadParser): void {
  parser.reset();
  const spare = spareParsers.get(core);
  if (spare === undefined) spareParsers.set(core, [parser]);
  else if (spare.length < SPARE_PARSERS_MAX) spare.push(parser);
}

function makeHeadParser(core: CoreServer): RequestHeadParser {
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
