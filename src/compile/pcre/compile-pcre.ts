import type { ByteString } from "../../base/bytes.ts";
import { runsInLinearTime } from "../../base/regexp-guard.ts";
import { emitJavaScript, type Emitted } from "./emit.ts";
import { checkBackreferences, whyNotJavaScript } from "./exactness.ts";
import { parsePattern } from "./parse.ts";
import { PatternError, unsupported, type PatternFailure } from "./pattern-error.ts";

/** What a match has captured: index n is PCRE's group n, undefined where it took no part. */
export type PcreMatch = ReadonlyArray<string | undefined>;

/**
 * A compiled pattern. A JavaScript `RegExp` has this shape and mostly is what stands behind it. The values are those of
 * PCRE from group 1 on; group 0 may include a final newline that PCRE's `$` leaves out (nginx does not hand it on).
 */
export type PcreRegExp = {
  exec(subject: ByteString): PcreMatch | null;
  test(subject: ByteString): boolean;
};

export type CompiledPcre = {
  readonly ok: true;
  readonly regexp: PcreRegExp;
  /** Capturing groups as PCRE counts them. */
  readonly groupCount: number;
  /** Named groups by name, with their numbers; nginx makes a variable of each. */
  readonly groupNames: ReadonlyMap<string, number>;
  /** Whether the time a match takes is bounded by a multiple of the length of the subject, whatever the subject. */
  readonly linear: boolean;
  /** For `lint` and `-t`: sentences without a full stop. */
  readonly warnings: readonly string[];
};

export type PcreOptions = {
  /** `~*`: ASCII letters match in either case. */
  readonly caseInsensitive: boolean;
};

/** Compiles a PCRE2 pattern, as nginx's `location ~`, `map`, `rewrite`, `if` and `server_name ~` take it. */
export function compilePcre(pattern: ByteString, options: PcreOptions): CompiledPcre | PatternFailure {
  try {
    const { root, groupCount, groupNames } = parsePattern(pattern, options.caseInsensitive);
    checkBackreferences(root);
    const inexact = whyNotJavaScript(root);
    if (inexact !== undefined) {
      unsupported(`a pattern where ${inexact}`, 0, "Write (?:…) where nothing is captured.");
    }
    const emitted = emitJavaScript(root, groupCount);
    const linear = runsInLinearTime(emitted.source);
    return { ok: true, regexp: nativeRegExp(emitted), groupCount, groupNames, linear, warnings: [] };
  } catch (error) {
    if (error instanceof PatternError) return error.failure;
    throw error;
  }
}

/**
 * The first line of nginx's error for a pattern that does not compile (built with PCRE2, as it is today). The
 * `unsupported` have no counterpart there and say so.
 */
export function patternFailureMessage(pattern: ByteString, failure: PatternFailure): string {
  const at = failure.offset < pattern.length ? ` at "${pattern.slice(failure.offset)}"` : "";
  const said = failure.kind === "syntax" ? `pcre2_compile() failed: ${failure.message}` : failure.message;
  return `${said} in "${pattern}"${at}`;
}

function nativeRegExp({ source, groups }: Emitted): PcreRegExp {
  const regexp = new RegExp(source);
  if (groups.every((group, index) => group === index)) return regexp;
  return {
    test: (subject) => regexp.test(subject),
    exec: (subject) => {
      const match = regexp.exec(subject);
      return match && groups.map((group) => (group === undefined ? undefined : match[group]));
    },
  };
}
