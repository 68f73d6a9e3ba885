/**
 * The one table from what is wrong with a head to its status and its words. The words continue nginx's own beginning,
 * "client sent …" or "upstream sent …", and are nginx's where it has any.
 */
export const HEAD_RULES = {
  // The request line
  "invalid-method": { status: 400, message: "invalid method" },
  "invalid-target": { status: 400, message: "invalid request target" },
  "fragment-in-target": { status: 400, message: "a request target with a fragment" },
  "http-0.9": { status: 400, message: "an HTTP/0.9 request" },
  "invalid-version": { status: 400, message: "invalid HTTP version" },
  "unsupported-version": { status: 505, message: "invalid version" },
  "request-line-too-long": { status: 414, message: "too long URI" },
  "too-many-empty-lines": { status: 400, message: "too many empty lines before a request" },
  // The status line
  "invalid-status-line": { status: 400, message: "no valid HTTP/1.0 header" },
  // Header lines
  "bare-cr": { status: 400, message: "a carriage return without a line feed" },
  "bare-lf": { status: 400, message: "a line feed without a carriage return" },
  "folded-header": { status: 400, message: "a folded header line" },
  "empty-header-name": { status: 400, message: "a header line with an empty name" },
  "space-in-header-name": { status: 400, message: "a header line with whitespace before its colon" },
  "invalid-header-name": { status: 400, message: "invalid header line" },
  "header-without-colon": { status: 400, message: "a header line without a colon" },
  "invalid-header-value": { status: 400, message: "a control byte in a header value" },
  "header-too-large": { status: 494, message: "too long header line" },
  "too-many-headers": { status: 494, message: "too many header lines" },
  // What header fields mean
  "missing-host": { status: 400, message: 'HTTP/1.1 request without "Host" header' },
  "duplicate-host": { status: 400, message: "duplicate host header" },
  "invalid-host": { status: 400, message: "invalid host header" },
  "invalid-authority": { status: 400, message: "invalid host in request line" },
  "duplicate-header": { status: 400, message: "duplicate header line" },
  "duplicate-content-length": { status: 400, message: 'duplicate "Content-Length" header' },
  "invalid-content-length": { status: 400, message: 'invalid "Content-Length" header' },
  "length-and-transfer-encoding": {
    status: 400,
    message: '"Content-Length" and "Transfer-Encoding" headers at the same time',
  },
  "duplicate-transfer-encoding": { status: 400, message: 'duplicate "Transfer-Encoding" header' },
  "unknown-transfer-encoding": { status: 501, message: 'unknown "Transfer-Encoding"' },
  "transfer-encoding-in-http-1.0": {
    status: 400,
    message: 'HTTP/1.0 request with "Transfer-Encoding" header',
  },
} as const;

/** The name of a rule that a head can break. */
export type HeadRule = keyof typeof HEAD_RULES;

/** Why a head was refused. */
export interface HeadError {
  /**
   * The status to finish the request with; always 502 for the head of a response. 494 is nginx's own: `error_page` may
   * name it, and what goes out is 400 with the page "400 Request Header Or Cookie Too Large".
   */
  readonly status: number;
  readonly rule: HeadRule;
  /** Continues "client sent " or "upstream sent ". */
  readonly message: string;
  /** How many bytes into the head, after leading empty lines, the reading stopped. */
  readonly offset: number;
}

export function headError(rule: HeadRule, offset: number): HeadError {
  const { status, message } = HEAD_RULES[rule];
  return { status, rule, message, offset };
}
