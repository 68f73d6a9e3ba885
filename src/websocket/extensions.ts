import type { ByteString } from "../base/bytes.ts";
import { isToken, parseList, trimWhitespace } from "../http/tokens.ts";

/** One element of Sec-WebSocket-Extensions (RFC 6455 section 9.1). */
export interface Extension {
  /** In lower case. */
  readonly name: ByteString;
  /** As they came; null for one without a value, and without its quotes for a value that had some. */
  readonly parameters: readonly (readonly [name: ByteString, value: ByteString | null])[];
}

const PARAMETER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"([^"\\]*)"|([!#$%&'*+.^_`|~0-9A-Za-z-]+)))?$/;

/** What the lines of Sec-WebSocket-Extensions list, in order; null where one keeps not to the grammar. */
export function parseExtensions(lines: readonly ByteString[]): readonly Extension[] | null {
  const extensions: Extension[] = [];
  for (const element of lines.flatMap(parseList)) {
    const extension = parseExtension(element);
    if (extension === null) return null;
    extensions.push(extension);
  }
  return extensions;
}

/** One element of the list; null where it keeps not to the grammar. */
export function parseExtension(element: ByteString): Extension | null {
  const [name = "", ...rest] = element.split(";").map(trimWhitespace);
  if (!isToken(name)) return null;
  const parameters: [ByteString, ByteString | null][] = [];
  for (const text of rest) {
    const [, parameter, quoted, token] = PARAMETER.exec(text) ?? [];
    if (parameter === undefined) return null;
    parameters.push([parameter, quoted ?? token ?? null]);
  }
  return { name: name.toLowerCase(), parameters };
}
