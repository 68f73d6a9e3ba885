/**
 * Semicolons that are missing. Without its own, a directive swallows the next one as arguments, which is no error of syntax:
 * the text is read as it was meant, so that rules do not complain of what follows from that.
 */
import { moduleOfNginxDirective } from "../../compile/nginx-names.ts";
import type { RowIndex } from "../../compile/walk.ts";
import { type MissingSemicolon, missingSemicolonHint } from "../../config/semicolons.ts";
import type { Directive } from "../../config/tree.ts";

export interface Repaired {
  readonly directives: readonly Directive[];
  readonly missing: readonly { readonly directive: Directive; readonly hint: MissingSemicolon }[];
}

/** The directives with those cut apart that have swallowed others. */
export function cutAtMissingSemicolons(directives: readonly Directive[], index: RowIndex): Repaired {
  const missing: { directive: Directive; hint: MissingSemicolon }[] = [];
  const isName = (word: string): boolean => index.has(word) || moduleOfNginxDirective(word) !== null;
  const cut = (list: readonly Directive[]): readonly Directive[] =>
    list.flatMap((directive) => {
      const hint = fits(directive, index) ? null : missingSemicolonHint(directive, isName);
      if (hint !== null) missing.push({ directive, hint });
      return (hint?.repaired ?? [directive]).map((each) =>
        each.block === null ? each : { ...each, block: cut(each.block) },
      );
    });
  return { directives: cut(directives), missing };
}

/** Whether the number of arguments, and the block or its absence, are what some row of the name has. */
function fits({ name, args, block }: Directive, index: RowIndex): boolean {
  const rows = index.rowsOf(name.text);
  if (rows.length === 0) return moduleOfNginxDirective(name.text) === null;
  return rows.some(({ arity: [min, max], block: wanted }) => {
    return args.length >= min && args.length <= max && (wanted === "required") === (block !== null);
  });
}
