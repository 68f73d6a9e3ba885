import { accessSync, constants, statSync } from "node:fs";
import type { Span } from "../../config/position.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import type { Request } from "../../compile/request.ts";
import type { BlockHead } from "../../compile/scope.ts";
import type { Template } from "../../compile/template.ts";
import { matchInProgram } from "./captures.ts";

type Test = (request: Request) => boolean;

/**
 * The condition of `if (…)`: a variable alone (true unless empty or "0"), `=` and `!=` with a text, `~ ~* !~ !~*` with
 * a regular expression, `-f -d -e -x` and their negations with a path.
 */
export function parseCondition(args: readonly Word[], check: Check): BlockHead | undefined {
  const [first] = args;
  const last = args.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const words = stripParentheses(args);
  const test = words === null ? "malformed" : makeTest(words, check);
  if (test === "reported") return undefined;
  if (test !== "malformed") return { kind: "if", test };
  check.error(first.span, `invalid condition "${args.map((word) => word.text).join(" ")}"`, {
    code: "invalid-condition",
    notes: [
      {
        message:
          "a condition stands in parentheses: ($variable), ($variable = text), ($uri ~ regex), (-f file)",
      },
    ],
  });
  return undefined;
}

interface Part {
  readonly text: string;
  readonly span: Span;
}

/** The words between the parentheses, which are glued to the first and last or stand alone. */
function stripParentheses(args: readonly Word[]): readonly Part[] | null {
  const first = args[0];
  const last = args.at(-1);
  if (first === undefined || last === undefined || !first.text.startsWith("(") || !last.text.endsWith(")"))
    return null;
  const parts = args.map((word, index) => {
    let text = word.text;
    if (index === args.length - 1) text = text.slice(0, -1);
    if (index === 0) text = text.slice(1);
    return { text, span: word.span };
  });
  return parts.filter(
    (part, index) => part.text !== "" || (index > 0 && index < parts.length - 1) || isQuoted(args[index]),
  );
}

function isQuoted(word: Word | undefined): boolean {
  return word !== undefined && word.quote !== null;
}

function makeTest(words: readonly Part[], check: Check): Test | "malformed" | "reported" {
  const [subject, operator, operand] = words;
  if (subject === undefined) return "malformed";
  const fileTest = /^(!?)-([fdex])$/.exec(subject.text);
  if (fileTest !== null && operator !== undefined && operand === undefined) {
    const path = check.templateOf(operator.text, operator.span);
    return testFile(path, fileTest[2] ?? "", fileTest[1] === "!");
  }
  if (!/^\$\w+$/.test(subject.text)) return "malformed";
  const variable = check.variable(subject.text.slice(1), subject.span);
  if (operator === undefined) {
    return (request) => {
      const value = variable.get(request) ?? "";
      return value !== "" && value !== "0";
    };
  }
  if (operand === undefined || words.length > 3) return "malformed";
  switch (operator.text) {
    case "=":
    case "!=": {
      const wanted = check.templateOf(operand.text, operand.span);
      const equal = operator.text === "=";
      return (request) => ((variable.get(request) ?? "") === wanted.render(request)) === equal;
    }
    case "~":
    case "~*":
    case "!~":
    case "!~*": {
      const caseInsensitive = operator.text.endsWith("*");
      const regex = check.regex(operand.text, operand.span, { caseInsensitive });
      if (regex === undefined) return "reported";
      const negated = operator.text.startsWith("!");
      return (request) => matchInProgram(request, regex, variable.get(request) ?? "") !== negated;
    }
    default:
      return "malformed";
  }
}

/** What a path is in the file system; asked for each request, as nginx does. */
function testFile(path: Template, kind: string, negated: boolean): Test {
  return (request) => {
    const file = Buffer.from(path.render(request), "latin1");
    return isFile(file, kind) !== negated;
  };
}

function isFile(file: Buffer, kind: string): boolean {
  try {
    if (kind === "x") {
      accessSync(file, constants.X_OK);
      return true;
    }
    const stats = statSync(file);
    return kind === "e" || (kind === "f" ? stats.isFile() : stats.isDirectory());
  } catch {
    return false;
  }
}
