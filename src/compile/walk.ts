import { missingSemicolonHint } from "../config/semicolons.ts";
import type { Directive } from "../config/tree.ts";
import { nearestName } from "../config/typos.ts";
import type { Compiler } from "./compiler.ts";
import { describeContext, type Context } from "./contexts.ts";
import type { Module } from "./module.ts";
import { moduleOfNginxDirective } from "./nginx-names.ts";
import type { DirectiveRow } from "./rows.ts";
import { Scope, type BlockHead } from "./scope.ts";

/** Directive rows of all modules by name. One name may have several rows, for different contexts. */
export class RowIndex {
  private readonly byName = new Map<string, DirectiveRow[]>();

  constructor(modules: readonly Module[]) {
    for (const module of modules) {
      for (const [name, row] of Object.entries(module.directives)) {
        const rows = this.byName.get(name);
        if (rows === undefined) this.byName.set(name, [row]);
        else rows.push(row);
      }
    }
  }

  rowsOf(name: string): readonly DirectiveRow[] {
    return this.byName.get(name) ?? [];
  }

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** Names that may stand in a context, for suggestions. */
  namesIn(context: Context): readonly string[] {
    return [...this.byName]
      .filter(([, rows]) => rows.some((row) => row.in.includes(context)))
      .map(([name]) => name);
  }
}

/** Checks directives against their rows and files their values under the level they stand on. Goes on after errors. */
export function walk(
  directives: readonly Directive[],
  scope: Scope,
  index: RowIndex,
  compiler: Compiler,
): void {
  for (const directive of directives) {
    compiler.scope = scope;
    compiler.directive = directive;
    const row = findRow(directive, scope, index, compiler);
    if (row === null || !shapeFits(directive, row, scope, index, compiler)) continue;
    const first = scope.ownSpan(row);
    if (!row.repeats && first !== null) {
      compiler.error(directive.name.span, `"${directive.name.text}" directive is duplicate`, {
        code: "duplicate-directive",
        notes: [{ message: "it stands here already", span: first }],
      });
      continue;
    }
    const value = row.parse(directive.args, compiler, directive);
    if (!row.effect) compiler.withoutEffect.push({ name: directive.name.text, span: directive.name.span });
    if (row.opens === null) {
      if (value !== undefined) scope.add(row, value, directive.name.span);
      continue;
    }
    // A level whose head is wrong is read all the same, so that the errors inside it are found in the same pass.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- block() lets no row open a level without a BlockHead
    const head = (value ?? { kind: "plain" }) as BlockHead;
    const opened = new Scope(row.opens(scope.context), scope, directive, head);
    scope.add(row, opened, directive.name.span);
    walk(directive.block ?? [], opened, index, compiler);
  }
  compiler.directive = null;
}

function findRow(
  directive: Directive,
  scope: Scope,
  index: RowIndex,
  compiler: Compiler,
): DirectiveRow | null {
  const name = directive.name.text;
  const rows = index.rowsOf(name);
  const row = rows.find((candidate) => candidate.in.includes(scope.context));
  if (row !== undefined) return row;
  if (rows.length > 0) {
    const allowed = [...new Set(rows.flatMap((candidate) => candidate.in))].map(describeContext).join(", ");
    compiler.error(directive.name.span, `"${name}" directive is not allowed here`, {
      code: "wrong-context",
      notes: [{ message: `it stands in ${describeContext(scope.context)}; it is allowed in ${allowed}` }],
    });
    return null;
  }
  reportUnknown(directive, scope, index, compiler);
  return null;
}

function reportUnknown(directive: Directive, scope: Scope, index: RowIndex, compiler: Compiler): void {
  const name = directive.name.text;
  const module = moduleOfNginxDirective(name);
  if (module !== null) {
    compiler.error(directive.name.span, `unknown directive "${name}"`, {
      code: "not-implemented",
      notes: [{ message: `nginx has it (${module}); wsgate does not implement it` }],
      suggestion: protects(module, name)
        ? "do not just remove the line: what it guards would be open to all. Keep nginx in front of wsgate for it"
        : "remove the line, or keep nginx in front of wsgate for what it does",
    });
    return;
  }
  const nearest = nearestName(name, index.namesIn(scope.context));
  compiler.error(directive.name.span, `unknown directive "${name}"`, {
    code: "unknown-directive",
    ...(nearest === null ? {} : { suggestion: `did you mean "${nearest}"?` }),
  });
}

const GUARDING_MODULES: ReadonlySet<string> = new Set([
  "ngx_http_access_module",
  "ngx_http_auth_basic_module",
  "ngx_http_auth_jwt_module",
  "ngx_http_auth_request_module",
  "ngx_http_auth_require_module",
  "ngx_http_limit_conn_module",
  "ngx_http_limit_req_module",
  "ngx_http_realip_module",
  "ngx_http_referer_module",
  "ngx_http_secure_link_module",
]);

/** Whether a configuration without the directive would let in whom it was written to keep out. */
function protects(module: string, name: string): boolean {
  return GUARDING_MODULES.has(module) || name === "satisfy" || name === "limit_except";
}

/** Whether the block and the number of arguments are as the row has them; if not, says so. */
function shapeFits(
  directive: Directive,
  row: DirectiveRow,
  scope: Scope,
  index: RowIndex,
  compiler: Compiler,
): boolean {
  const fault = shapeFault(directive, row);
  if (fault === null) return true;
  // A directive without its semicolon has swallowed the next one, block and all.
  const hint = fault.code === "no-block" ? null : missingSemicolonHint(directive, (word) => index.has(word));
  const suggestion = hint?.suggestion ?? fault.suggestion;
  compiler.error(hint?.span ?? directive.name.span, fault.message, {
    code: fault.code,
    notes: hint?.notes ?? fault.notes,
    ...(suggestion === undefined ? {} : { suggestion }),
  });
  // What was meant is clear: the swallowed directives are checked as well, so that their errors come out in this pass.
  if (hint !== null) walk(hint.repaired, scope, index, compiler);
  return false;
}

interface ShapeFault {
  readonly code: "no-block" | "unwanted-block" | "argument-count";
  readonly message: string;
  readonly notes: readonly { readonly message: string }[];
  readonly suggestion?: string;
}

function shapeFault(directive: Directive, row: DirectiveRow): ShapeFault | null {
  const name = directive.name.text;
  const usage = { message: `${name} takes: ${name} ${row.syntax}${row.block === "none" ? ";" : ""}` };
  if (row.block === "required" && directive.block === null) {
    return {
      code: "no-block",
      message: `directive "${name}" has no opening "{"`,
      notes: [],
      suggestion: 'open its block with "{" instead of ending it with ";"',
    };
  }
  if (row.block === "none" && directive.block !== null) {
    return {
      code: "unwanted-block",
      message: `directive "${name}" is not terminated by ";"`,
      notes: [usage],
    };
  }
  const [min, max] = row.arity;
  const count = directive.args.length;
  if (count >= min && count <= max) return null;
  return {
    code: "argument-count",
    message: `invalid number of arguments in "${name}" directive`,
    notes: [usage],
  };
}
