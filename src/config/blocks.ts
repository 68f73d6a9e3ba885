import { createDiagnostic, type Report } from "./diagnostic.ts";
import type { OpenStatement, SimpleStatement, Statement } from "./statements.ts";
import type { Span } from "./position.ts";
import type { Directive } from "./tree.ts";

/** nginx stops where its stack ends; no configuration that a person wrote comes near this. */
export const blockDepthMax = 128;

/** A block whose closing brace has not come yet. */
interface OpenBlock {
  readonly statement: OpenStatement;
  readonly directives: Directive[];
}

/**
 * Statements -> nested directives. The braces must be balanced (`balanceBraces` sees to it); what is nested deeper
 * than {@link blockDepthMax}, the blocks around the `include` counted in, is reported and left out.
 */
export function nestStatements(
  statements: readonly Statement[],
  parents: readonly string[],
  report: Report,
): Directive[] {
  const depthMax = blockDepthMax - parents.length;
  const top: Directive[] = [];
  const open: OpenBlock[] = [];
  for (const statement of statements) {
    const siblings = open.at(-1)?.directives ?? top;
    if (statement.kind === "simple") {
      addDirective(siblings, statement, null);
    } else if (statement.kind === "open") {
      if (open.length === depthMax) reportDepth(statement, report);
      // A brace without a name was reported already; what it holds goes to its parent.
      open.push({ statement, directives: statement.words.length === 0 ? siblings : [] });
    } else {
      const block = open.pop();
      if (block === undefined || block.statement.words.length === 0 || open.length >= depthMax) continue;
      addDirective(open.at(-1)?.directives ?? top, block.statement, {
        directives: block.directives,
        openBrace: block.statement.brace,
        closeBrace: statement.brace.length === 0 ? null : statement.brace,
      });
    }
  }
  return top;
}

function addDirective(
  siblings: Directive[],
  statement: SimpleStatement | OpenStatement,
  block: { directives: Directive[]; openBrace: Span; closeBrace: Span | null } | null,
): void {
  const [name, ...args] = statement.words;
  if (name === undefined) return;
  siblings.push({
    name,
    args,
    block: block === null ? null : block.directives,
    span: statement.span,
    openBrace: block === null ? null : block.openBrace,
    closeBrace: block === null ? null : block.closeBrace,
    reportLine: statement.reportLine,
  });
}

function reportDepth(statement: OpenStatement, report: Report): void {
  report(
    createDiagnostic({
      code: "too-deep",
      message: `blocks are nested more than ${blockDepthMax} deep`,
      span: statement.span,
    }),
  );
}
