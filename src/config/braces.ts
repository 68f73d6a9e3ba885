import { createDiagnostic, type Report } from "./diagnostic.ts";
import type { DirectiveKnowledge } from "./knowledge.ts";
import type { SourceFile } from "./position.ts";
import type { OpenStatement, Statement } from "./statements.ts";

export interface BraceContext {
  readonly file: SourceFile;
  /** The names of the blocks around the `include` of this file, the outermost first. */
  readonly parents: readonly string[];
  readonly knowledge: DirectiveKnowledge;
  readonly report: Report;
}

/** Reports braces that do not match and returns the statements with matching ones. */
export function balanceBraces(statements: readonly Statement[], context: BraceContext): readonly Statement[] {
  const { file, report } = context;
  const balanced: Statement[] = [];
  const open: OpenStatement[] = [];
  for (const statement of statements) {
    if (statement.kind === "open") open.push(statement);
    if (statement.kind === "close" && open.pop() === undefined) {
      report(
        createDiagnostic({
          code: "unexpected-closing-brace",
          message: 'unexpected "}"',
          span: statement.brace,
          suggestion: "remove it: no block is open here",
        }),
      );
      continue;
    }
    balanced.push(statement);
  }
  const innermost = open.at(-1);
  if (innermost === undefined) return balanced;
  report(
    createDiagnostic({
      code: "unclosed-block",
      message: 'unexpected end of file, expecting "}"',
      span: innermost.brace,
      reportLine: file.lines.length,
    }),
  );
  for (const block of open) balanced.push({ kind: "close", brace: { ...block.brace, length: 0 } });
  return balanced;
}
