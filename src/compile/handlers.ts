/** Which directive answers in a location, where several would: nginx keeps one content handler, the last that is written. */
import { offsetOf, type Span } from "../config/position.ts";
import type { Check } from "./check.ts";
import type { DirectiveRow } from "./rows.ts";
import type { Entry, Scope } from "./scope.ts";

/** The directives of a level of which only one can answer, in order; an `if` without any has its location's. */
function handlersAt(scope: Scope): readonly Entry[] {
  const own = scope.inOrder.filter(({ row }) => row.isHandler);
  if (own.length > 0 || scope.context !== "if in location" || scope.parent === null) return own;
  return handlersAt(scope.parent);
}

/** The row of the one that answers; null where none of them stands. */
export function handlerOf(scope: Scope): DirectiveRow | null {
  return handlersAt(scope).at(-1)?.row ?? null;
}

/** The level whose value `row` has where it answers: this one or, from within an `if`, its location's; null where it does not. */
export function handlerScope(scope: Scope, row: DirectiveRow): Scope | null {
  if (handlerOf(scope) !== row) return null;
  for (let level: Scope | null = scope; level !== null; level = level.parent)
    if (level.ownSpan(row) !== null) return level;
  return null;
}

/** Says which one answers where two stand on one level; nginx says nothing. */
export function warnOfHandlers(scope: Scope, check: Check): void {
  const handlers = scope.inOrder.filter(({ row }) => row.isHandler);
  const last = handlers.at(-1);
  if (last === undefined) return;
  for (const { row, span } of handlers) {
    if (row === last.row) continue;
    check.warn(span, `"${nameAt(span)}" has no effect: "${nameAt(last.span)}" answers here`, {
      code: "handler-overruled",
      notes: [{ message: "one directive answers on a level: the last, as in nginx", span: last.span }],
      suggestion: "give each a location of its own",
    });
  }
}

function nameAt(span: Span): string {
  const start = offsetOf(span);
  return span.file.text.slice(start, start + span.length);
}
