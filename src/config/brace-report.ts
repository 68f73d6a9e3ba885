import type { BraceContext, ClosedBlock, Walk } from "./braces.ts";
import { createDiagnostic, type DiagnosticNote } from "./diagnostic.ts";
import type { CloseStatement, OpenStatement, SimpleStatement, Statement } from "./statements.ts";

/** More open blocks than this are counted, not named. */
const notesMax = 10;

/**
 * Puts into words what a walk has found. nginx stops at the first directive that may not stand where the missing
 * brace has left it, or else at the end of the file; the first line of each message is the one that it would print.
 */
export function reportBraces(best: Walk, asWritten: Walk, context: BraceContext): void {
  for (const { head, reportLine } of best.opened) reportMissingOpening(head, reportLine, context);
  for (const [before, blocks] of groupMisplaced(best.closed)) reportMisplaced(before, blocks, context);
  reportEnd(
    best.closed.filter((closed) => !closed.isMisplaced),
    best.unclosed,
    context,
  );
  for (const [index, dropped] of best.dropped.entries()) {
    reportDropped(dropped, asWritten.surplus[index] ?? dropped.brace, asWritten, context);
  }
  for (const brace of best.surplus) reportSurplus(brace, context);
}

/** The blocks that end before each misplaced statement, the innermost first. */
function groupMisplaced(closed: readonly ClosedBlock[]): Map<Statement, OpenStatement[]> {
  const groups = new Map<Statement, OpenStatement[]>();
  for (const { block, before, isMisplaced } of closed) {
    if (!isMisplaced) continue;
    const blocks = groups.get(before);
    if (blocks === undefined) groups.set(before, [block]);
    else blocks.push(block);
  }
  return groups;
}

/** `server` and `listen 80;` in the next line, with no brace between them. */
function reportMissingOpening(block: OpenStatement, reportLine: number, { report }: BraceContext): void {
  report(
    createDiagnostic({
      code: "no-opening-brace",
      message: `directive "${nameOf(block)}" has no opening "{"`,
      span: block.brace,
      reportLine,
      suggestion: `add "{" at the end of line ${block.brace.line}`,
    }),
  );
}

/** `http` inside `events`: the block that should have ended, and where. */
function reportMisplaced(
  before: Statement,
  blocks: readonly OpenStatement[],
  { report }: BraceContext,
): void {
  if (before.kind === "close") return;
  const name = nameOf(before);
  report(
    createDiagnostic({
      code: "unclosed-block",
      message: `"${name}" directive is not allowed here`,
      span: before.words[0]?.span ?? before.span,
      reportLine: before.reportLine,
      notes: blocks.map((block) => ({
        message: `"${name}" stands inside "${nameOf(block)}", which was opened at line ${block.brace.line} and is never closed`,
        span: block.span,
      })),
      suggestion: `add ${braces(blocks)} before line ${before.span.line} to close ${names(blocks)}`,
    }),
  );
}

function reportEnd(
  closed: readonly ClosedBlock[],
  unclosed: readonly OpenStatement[],
  { file, report }: BraceContext,
): void {
  const blocks = [...closed.map(({ block }) => block), ...unclosed].sort(
    (a, b) => a.brace.line - b.brace.line,
  );
  const [outermost] = blocks;
  // A block has no place on the command line, which was said at its opening brace.
  if (outermost === undefined || file.isCommandLine) return;
  const notes: DiagnosticNote[] = blocks.slice(0, notesMax).map((block) => {
    const message = `"${nameOf(block)}", opened at line ${block.brace.line}, is never closed`;
    // The outermost is shown above already.
    return block === outermost ? { message } : { message, span: block.span };
  });
  if (blocks.length > notesMax) notes.push({ message: `so are ${blocks.length - notesMax} more` });
  if (file.includedFrom !== null) {
    notes.push({ message: "an included file must close every block that it opens" });
  }
  const suggestions = closed
    .slice(0, notesMax)
    .map(({ block, before }) => `add "}" before line ${lineOf(before)} to close ${names([block])}`);
  if (unclosed.length > 0) {
    suggestions.push(`add ${braces(unclosed)} at the end of the file to close ${names(unclosed)}`);
  }
  report(
    createDiagnostic({
      code: "unclosed-block",
      message: 'unexpected end of file, expecting "}"',
      span: outermost.span,
      reportLine: file.lines.length,
      notes,
      suggestion: suggestions.join(", and "),
    }),
  );
}

/** A `}` that is too many, as the indentation tells; nginx goes on until what it has ended is missed. */
function reportDropped(
  { brace, block }: Walk["dropped"][number],
  noticed: CloseStatement,
  asWritten: Walk,
  { report, ...context }: BraceContext,
): void {
  const misplaced = firstMisplaced(asWritten, brace, context);
  report(
    createDiagnostic({
      code: "unexpected-closing-brace",
      message: misplaced === null ? 'unexpected "}"' : `"${nameOf(misplaced)}" directive is not allowed here`,
      span: misplaced?.words[0]?.span ?? noticed.brace,
      reportLine: misplaced?.reportLine ?? null,
      notes: [
        {
          message: `"${nameOf(block)}", opened at line ${block.brace.line}, is closed by a "}" that is indented more deeply`,
          span: brace.brace,
        },
      ],
      suggestion: `remove the "}" in line ${brace.brace.line}`,
    }),
  );
}

/** The first directive behind a brace that, as the text is written, stands where it may not. */
function firstMisplaced(
  { statements }: Walk,
  behind: CloseStatement,
  { knowledge, parents }: Pick<BraceContext, "knowledge" | "parents">,
): SimpleStatement | OpenStatement | null {
  const names = [...parents];
  let isBehind = false;
  for (const statement of statements) {
    if (statement.kind === "close") {
      isBehind ||= statement === behind;
      names.pop();
      continue;
    }
    const name = nameOf(statement);
    const isKnown = knowledge.isDirectiveName?.(name) ?? false;
    if (isBehind && isKnown && knowledge.allowedIn?.(name, names) === false) return statement;
    if (statement.kind === "open") names.push(name);
  }
  return null;
}

function reportSurplus({ brace }: CloseStatement, { file, report }: BraceContext): void {
  report(
    createDiagnostic({
      code: "unexpected-closing-brace",
      message: 'unexpected "}"',
      span: brace,
      notes:
        file.includedFrom === null
          ? []
          : [{ message: "an included file cannot close a block of the file that includes it" }],
      suggestion: "remove it: every block is closed already",
    }),
  );
}

function nameOf(statement: SimpleStatement | OpenStatement): string {
  return statement.words[0]?.text ?? "{";
}

function lineOf(statement: Statement): number {
  return statement.kind === "close" ? statement.brace.line : statement.span.line;
}

function braces(blocks: readonly OpenStatement[]): string {
  if (blocks.length > notesMax) return `"}" ${blocks.length} times`;
  return `"${"}".repeat(blocks.length)}"`;
}

function names(blocks: readonly OpenStatement[]): string {
  if (blocks.length > notesMax) return `${blocks.length} blocks`;
  const quoted = blocks.map((block) => `"${nameOf(block)}"`);
  const last = quoted.pop() ?? "";
  return quoted.length === 0 ? last : `${quoted.join(", ")} and ${last}`;
}
