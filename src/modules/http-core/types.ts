import { byteStringFromText, type ByteString } from "../../base/bytes.ts";
import type { Directive, Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";

/** nginx's types where no `types` block stands. */
export const DEFAULT_TYPES: ReadonlyMap<string, ByteString> = new Map([
  ["html", "text/html"],
  ["gif", "image/gif"],
  ["jpg", "image/jpeg"],
]);

/** `types { text/html html htm; … }` as a map from extension to type. */
export function parseTypes(
  _args: readonly Word[],
  check: Check,
  directive: Directive,
): ReadonlyMap<string, ByteString> | undefined {
  const types = new Map<string, ByteString>();
  for (const entry of directive.block ?? []) {
    const type = byteStringFromText(entry.name.text);
    if (entry.block !== null || entry.args.length === 0) {
      check.error(entry.name.span, `invalid number of arguments in "types" directive`, {
        code: "argument-count",
        notes: [{ message: "an entry is a type and its extensions: text/html html htm;" }],
      });
      continue;
    }
    for (const word of entry.args) {
      const extension = byteStringFromText(word.text.toLowerCase());
      const before = types.get(extension);
      if (before !== undefined && before !== type) {
        check.warn(
          word.span,
          `duplicate extension "${word.text}", content type: "${type}", previous content type: "${before}"`,
        );
      }
      types.set(extension, type);
    }
  }
  return types;
}
