import type { ByteString } from "../../base/bytes.ts";
import { runsInLinearTime } from "../../base/regexp-guard.ts";
import type { Node } from "./ast.ts";
import { emitJavaScript } from "./emit.ts";
import { checkBackreferences, hasBackreference, whyNotJavaScript } from "./exactness.ts";
import { compileMatcherProgram } from "./matcher-program.ts";
import { parsePattern, type ParsedPattern } from "./parse.ts";
import { PatternError, unsupported, type PatternFailure } from "./pattern-error.ts";
import { matcherRegExp, nativeRegExp, type PcreRegExp } from "./regexp.ts";
import { riskOf } from "./risk.ts";

export type { PcreMatch, PcreRegExp } from "./regexp.ts";

export type CompiledPcre = {
  readonly ok: true;
  readonly regexp: PcreRegExp;
  /** Capturing groups as PCRE counts them. */
  readonly groupCount: number;
  /** Named groups by name, with their numbers; nginx makes a variable of each. */
  readonly groupNames: ReadonlyMap<string, number>;
  /** Whether the time to match grows no faster than the subject, whatever the subject. False with backreferences only. */
  readonly linear: boolean;
  /** For `lint` and `-t`: sentences without a full stop. */
  readonly warnings: readonly string[];
};

export type PcreOptions = {
  /** `~*`: ASCII letters match in either case. */
  readonly caseInsensitive: boolean;
};

/**
 * Compiles a PCRE2 pattern, as nginx's `location ~`, `map`, `rewrite`, `if` and `server_name ~` take it.
 *
 * No pattern can hang the process. Most run on V8: those that its linear engine covers, for V8 changes over to that
 * engine when a match goes back too often, and those whose form shows that they are harmless. What may take time that
 * grows with the square of the subject's length runs on V8 while the subject is short, and else, as does what may take
 * more time or what JavaScript cannot say exactly, on the matcher in this folder, which is slower and always linear. It
 * follows no backreferences; a pattern that has one and would need it is refused.
 */
export function compilePcre(pattern: ByteString, options: PcreOptions): CompiledPcre | PatternFailure {
  try {
    const parsed = parsePattern(pattern, options.caseInsensitive);
    const { groupCount, groupNames } = parsed;
    return { ok: true, groupCount, groupNames, ...chooseMatcher(parsed) };
  } catch (error) {
    if (error instanceof PatternError) return error.failure;
    throw error;
  }
}

type Chosen = Pick<CompiledPcre, "regexp" | "linear" | "warnings">;

/** Up to this many bytes, the square is small: some ten microseconds. */
const shortSubjectBytes = 128;

function chooseMatcher({ root, groupCount }: ParsedPattern): Chosen {
  checkBackreferences(root);
  const inexact = whyNotJavaScript(root);
  if (inexact !== undefined)
    return { regexp: ownMatcher(root, groupCount, inexact), linear: true, warnings: [] };
  const emitted = emitJavaScript(root, groupCount);
  const native = nativeRegExp(emitted);
  if (runsInLinearTime(emitted.source)) return { regexp: native, linear: true, warnings: [] };
  const risk = riskOf(root);
  if (risk === "none") return { regexp: native, linear: true, warnings: [] };
  if (risk === "steep") {
    const regexp = ownMatcher(root, groupCount, "it can be read in very many ways");
    return { regexp, linear: true, warnings: [steepWarning] };
  }
  if (hasBackreference(root)) return { regexp: native, linear: false, warnings: [quadraticWarning] };
  return { regexp: byLength(native, ownMatcher(root, groupCount, "")), linear: true, warnings: [] };
}

function byLength(short: PcreRegExp, long: PcreRegExp): PcreRegExp {
  const choose = (subject: ByteString): PcreRegExp => (subject.length <= shortSubjectBytes ? short : long);
  return {
    exec: (subject) => choose(subject).exec(subject),
    test: (subject) => choose(subject).test(subject),
  };
}

/** `why` it is needed, for the refusal of a pattern that it cannot run. */
function ownMatcher(root: Node, groupCount: number, why: string): PcreRegExp {
  if (hasBackreference(root)) {
    const construct = `a backreference in a pattern that needs the slower matcher, since ${why},`;
    unsupported(construct, 0, "Compare the captures in a map or an if.");
  }
  return matcherRegExp(compileMatcherProgram(root, groupCount));
}

const steepWarning =
  "the pattern can be read in very many ways; nginx may take exponential time for it, wsgate runs it on a slower matcher that does not";

const quadraticWarning =
  "the time to match grows with the square of the subject's length, because of the backreference";

/**
 * The first line of nginx's error for a pattern that does not compile (built with PCRE2, as it is today). The
 * `unsupported` have no counterpart there and say so.
 */
export function patternFailureMessage(pattern: ByteString, failure: PatternFailure): string {
  const at = failure.offset < pattern.length ? ` at "${pattern.slice(failure.offset)}"` : "";
  const said = failure.kind === "syntax" ? `pcre2_compile() failed: ${failure.message}` : failure.message;
  return `${said} in "${pattern}"${at}`;
}
