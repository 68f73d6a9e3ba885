import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { ErrorPage } from "../../compile/plan.ts";

/** `error_page code … [=[response]] uri`. */
export function parseErrorPage(args: readonly Word[], check: Check): ErrorPage | undefined {
  const uri = args.at(-1);
  const before = args.at(-2);
  if (uri === undefined || before === undefined) return undefined;
  const hasOverwrite = before.text.startsWith("=");
  const overwrite = hasOverwrite ? parseOverwrite(before, check) : null;
  const codes = args.slice(0, hasOverwrite ? -2 : -1);
  if (codes.length === 0) {
    check.error(before.span, `invalid value "${before.text}"`, {
      code: "invalid-value",
      notes: [{ message: "error_page takes: one or more status codes, an optional =code, and a URI" }],
    });
    return undefined;
  }
  const statuses: number[] = [];
  for (const word of codes) {
    const status = /^\d{3}$/.test(word.text) ? Number(word.text) : 0;
    if (status === 499) {
      check.error(word.span, `invalid value "${word.text}"`, { code: "invalid-value" });
      return undefined;
    }
    if (status < 300 || status > 599) {
      check.error(word.span, `value "${word.text}" must be between 300 and 599`, { code: "invalid-value" });
      return undefined;
    }
    statuses.push(status);
  }
  return overwrite === undefined ? undefined : { statuses, overwrite, target: check.template(uri) };
}

function parseOverwrite(word: Word, check: Check): ErrorPage["overwrite"] | undefined {
  if (word.text === "=") return "page";
  if (/^=\d{3}$/.test(word.text)) return Number(word.text.slice(1));
  check.error(word.span, `invalid value "${word.text}"`, { code: "invalid-value" });
  return undefined;
}
