import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER_LOCATION_IF } from "../../compile/contexts.ts";
import type { Module } from "../../compile/module.ts";
import { NEXT, type Outcome, RELOCATE, type Step } from "../../compile/outcome.ts";
import { block, type DirectiveRow, many, one, settingsAt, withoutEffect } from "../../compile/rows.ts";
import type { Request } from "../../compile/request.ts";
import { type Entry, Scope } from "../../compile/scope.ts";
import { custom, flag } from "../../compile/values.ts";
import type { ProgramRun } from "./captures.ts";
import { parseCondition } from "./condition.ts";
import { type Instruction, parseReturn, parseRewrite, parseSet } from "./instructions.ts";

/** `break`: a path that was changed before it stays in this location. */
const leave: Instruction = (request) => {
  if (request.pathChanged) request.pathMatchesLocation = false;
  request.pathChanged = false;
  return "break";
};

const ANYWHERE = ["server", "location", "if in server", "if in location"] as const;

const instructionRows = {
  break: many<Instruction>({
    in: ANYWHERE,
    type: custom<Instruction>("", [0, 0], () => leave),
    inherit: "none",
    doc: "Ends the rewriting at this level.",
  }),
  return: many<Instruction>({
    in: ANYWHERE,
    type: custom("code [text] | code URL | URL", [1, 2], parseReturn),
    inherit: "none",
    doc: "Answers with a status and a text, or redirects. 444 closes the connection without an answer.",
  }),
  rewrite: many<Instruction>({
    in: ANYWHERE,
    type: custom("regex replacement [last | break | redirect | permanent]", [2, 3], parseRewrite),
    inherit: "none",
    doc: "Replaces a path that matches. last looks for a location again, break goes on in this one, redirect and permanent answer with 302 and 301.",
  }),
  set: many<Instruction>({
    in: ANYWHERE,
    type: custom("$variable value", [2, 2], parseSet),
    inherit: "none",
    doc: "Gives a variable a value.",
  }),
} as const;

const conditionRow = {
  if: block({
    in: ["server", "location"],
    type: custom("(condition) { … }", [1, 16], parseCondition),
    opens: (parent) => (parent === "server" ? "if in server" : "if in location"),
    repeats: true,
    doc: "What holds when a condition is met.",
  }),
} as const;

const settingRows = {
  rewrite_log: one({
    in: HTTP_SERVER_LOCATION_IF,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether a changed path is noted in the error log at level notice.",
  }),
  uninitialized_variable_warn: withoutEffect({
    in: HTTP_SERVER_LOCATION_IF,
    type: flag(),
    doc: "A variable that was not set is empty; nothing is logged.",
  }),
} as const;

/** Changes of the path, answers made on the spot, and conditions: programs that run in the order of their lines. */
export const rewriteModule: Module = {
  name: "ngx_http_rewrite_module",
  directives: { ...instructionRows, ...conditionRow, ...settingRows },
  server: (scope, check) => ({ rewrite: programOf(scope, check) }),
  location: (scope, check) =>
    // The server's own program runs before a location is chosen; an `if` is part of its location's program.
    scope.context === "location" ? { rewrite: programOf(scope, check) } : {},
};

function programOf(scope: Scope, check: Check): Step | null {
  const lines = instructionsOf(scope, check);
  if (lines.length === 0) return null;
  const notes = settingsAt(settingRows, scope).rewrite_log;
  return (request) => {
    request.pathChanged = false;
    const outcome = runLines(lines, request, { escapesCaptures: true }) ?? "break";
    if (request.pathChanged && notes)
      request.log("notice", `rewritten data: "${request.path}", args: "${request.args}"`);
    if (outcome !== "break") return outcome;
    return request.pathChanged ? RELOCATE : NEXT;
  };
}

function runLines(
  lines: readonly Instruction[],
  request: Request,
  run: ProgramRun,
): Outcome | "break" | null {
  for (const line of lines) {
    const outcome = line(request, run);
    if (outcome !== null) return outcome;
  }
  return null;
}

function instructionsOf(scope: Scope, check: Check): readonly Instruction[] {
  const rows = new Set<DirectiveRow>(Object.values(instructionRows));
  return scope.inOrder.flatMap((entry) => {
    if (entry.row === conditionRow.if) return conditional(entry, check);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the rows of the set hold instructions and nothing else
    return rows.has(entry.row) ? [entry.value as Instruction] : [];
  });
}

/** An `if` as one line: when it is met, its own lines run, and in a location its settings come into force. */
function conditional(entry: Entry, check: Check): readonly Instruction[] {
  const scope = entry.value;
  if (!(scope instanceof Scope) || scope.head.kind !== "if") return [];
  const { test } = scope.head;
  const lines = instructionsOf(scope, check);
  if (scope.context === "if in server") {
    return [(request, run) => (test(request) ? runLines(lines, request, run) : null)];
  }
  const location = check.locationOf(scope);
  return [
    (request, run) => {
      if (!test(request)) return null;
      request.location = location();
      return runLines(lines, request, run);
    },
  ];
}
