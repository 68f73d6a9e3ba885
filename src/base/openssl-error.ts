/**
 * An error of OpenSSL's as nginx prints it: `SSL: error:0A00009C:SSL routines::http request`. Node puts the number of a
 * thread before it, names a function and a place in the source; any other message stays as it is.
 */
export function describeOpensslError(error: Error): string {
  const parts = /error:([0-9A-F]{8}):([^:\n]*):[^:\n]*:([^:\n]*)/.exec(error.message);
  return parts === null ? error.message.trim() : `SSL: error:${parts[1]}:${parts[2]}::${parts[3]}`;
}
