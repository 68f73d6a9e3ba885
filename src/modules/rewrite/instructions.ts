import type { ByteString } from "../../base/bytes.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import { type Outcome, RELOCATE } from "../../compile/outcome.ts";
import type { PlanRegex } from "../../compile/plan.ts";
import type { Request } from "../../compile/request.ts";
import type { Template } from "../../compile/template.ts";
import { matchInProgram, type ProgramRun, renderEscaped, unescapeRedirect } from "./captures.ts";

/**
 * One line of a rewrite program. `null`: the next line; `"break"`: the program is over and the request goes on where it
 * is; anything else is what becomes of the request.
 */
export type Instruction = (request: Request, run: ProgramRun) => Outcome | "break" | null;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** `return code [text]`, `return code URL`, `return URL`. */
export function parseReturn(args: readonly Word[], check: Check): Instruction | undefined {
  const [first, second] = args;
  if (first === undefined) return undefined;
  const isUrl = second === undefined && /^(https?:\/\/|\$scheme)/.test(first.text);
  if (isUrl) {
    const location = check.template(first);
    return (request) => ({ kind: "redirect", status: 302, location: location.render(request) });
  }
  const status = /^\d{1,3}$/.test(first.text) ? Number(first.text) : -1;
  if (status < 0) {
    check.error(first.span, `invalid return code "${first.text}"`, {
      code: "invalid-value",
      notes: [
        {
          message:
            "return takes a status code and a text or URL, or a URL that begins with http://, https:// or $scheme",
        },
      ],
    });
    return undefined;
  }
  if (second === undefined) return returnStatus(status);
  const text = check.template(second);
  if (REDIRECTS.has(status)) {
    return (request) => ({ kind: "redirect", status, location: text.render(request) });
  }
  return (request) => ({
    kind: "answer",
    status,
    body: text.render(request),
    contentType: null,
    headers: [],
  });
}

function returnStatus(status: number): Instruction {
  // Only errors have a page of their own.
  const outcome: Outcome =
    status >= 300
      ? { kind: "status", status }
      : { kind: "answer", status, body: "", contentType: null, headers: [] };
  return () => outcome;
}

/** `set $variable value`. */
export function parseSet(args: readonly Word[], check: Check): Instruction | undefined {
  const [target, value] = args;
  if (target === undefined || value === undefined) return undefined;
  const name = /^\$(\w+)$/.exec(target.text)?.[1];
  if (name === undefined) {
    check.error(target.span, `invalid variable name "${target.text}"`, { code: "invalid-variable" });
    return undefined;
  }
  const template = check.template(value);
  const render = (request: Request, run: ProgramRun): ByteString =>
    run.escapesCaptures ? renderEscaped(request, template) : template.render(request);
  if (name === "args") {
    return (request, run) => {
      request.args = render(request, run);
      return null;
    };
  }
  const slot = check.declare(name, target.span);
  if (slot === undefined) return undefined;
  return (request, run) => {
    request.slots[slot.index] = render(request, run);
    return null;
  };
}

/** `rewrite regex replacement [last | break | redirect | permanent]`. */
export function parseRewrite(args: readonly Word[], check: Check): Instruction | undefined {
  const [pattern, replacement, flag] = args;
  if (pattern === undefined || replacement === undefined) return undefined;
  const regex = check.regex(pattern.text, pattern.span, { caseInsensitive: false });
  if (flag !== undefined && !/^(last|break|redirect|permanent)$/.test(flag.text)) {
    check.error(flag.span, `invalid parameter "${flag.text}"`, {
      code: "invalid-parameter",
      notes: [{ message: "one of last, break, redirect and permanent may stand here" }],
    });
    return undefined;
  }
  if (regex === undefined) return undefined;
  const isAbsolute = /^(https?:\/\/|\$scheme)/.test(replacement.text);
  if (isAbsolute || flag?.text === "redirect" || flag?.text === "permanent") {
    const status = flag?.text === "permanent" ? 301 : 302;
    const target = splitReplacement(replacement, check);
    return (request) => {
      if (!matchInProgram(request, regex, request.path)) return null;
      const args = argsAfter(request, target);
      const location = unescapeRedirect(renderEscaped(request, target.path));
      return { kind: "redirect", status, location: args === "" ? location : `${location}?${args}` };
    };
  }
  return rewritePath(regex, splitReplacement(replacement, check), flag?.text ?? "");
}

interface Replacement {
  readonly path: Template;
  /** What follows the question mark; null without one. */
  readonly args: Template | null;
  /** A question mark at the very end: the request's own arguments are left out. */
  readonly dropsArgs: boolean;
}

function splitReplacement(word: Word, check: Check): Replacement {
  const { text, span } = word;
  const dropsArgs = text.endsWith("?");
  const kept = dropsArgs ? text.slice(0, -1) : text;
  const question = kept.indexOf("?");
  return {
    path: check.templateOf(question < 0 ? kept : kept.slice(0, question), span),
    args: question < 0 ? null : check.templateOf(kept.slice(question + 1), span),
    dropsArgs,
  };
}

function rewritePath(regex: PlanRegex, target: Replacement, flag: string): Instruction {
  return (request, run) => {
    if (!matchInProgram(request, regex, request.path)) return null;
    run.escapesCaptures = false;
    const args = argsAfter(request, target);
    const path = target.path.render(request);
    if (path === "") {
      request.log("error", "the rewritten URI has a zero length");
      return { kind: "status", status: 500 };
    }
    request.path = path;
    request.args = args;
    request.pathIsOriginal = false;
    request.pathChanged = flag !== "break";
    if (flag === "break") request.pathMatchesLocation = false;
    if (flag === "break") return "break";
    return flag === "last" ? RELOCATE : null;
  };
}

/** New arguments stand before the request's own, unless the replacement says to drop those. */
function argsAfter(request: Request, target: Replacement): ByteString {
  const own = target.dropsArgs ? "" : request.args;
  const template = target.args;
  if (template === null) return own;
  const added = renderEscaped(request, template);
  return own === "" ? added : `${added}&${own}`;
}
