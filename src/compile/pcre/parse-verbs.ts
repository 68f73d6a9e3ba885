import type { Cursor } from "./cursor.ts";
import { unsupported } from "./pattern-error.ts";

/** What the settings at the head of a pattern amount to here. */
export type StartVerbs = {
  /** `(*BSR_ANYCRLF)`: `\R` matches CR, LF and CR LF only. */
  readonly newlineSequencesAreAscii: boolean;
};

/** Settings of PCRE's own machinery, and those that say what is the case anyway. */
const withoutEffect =
  /\(\*(?:LF|BSR_UNICODE|NO_AUTO_POSSESS|NO_DOTSTAR_ANCHOR|NO_JIT|NO_START_OPT|LIMIT_(?:MATCH|DEPTH|HEAP|RECURSION)=\d+)\)/y;

const unsupportedSettings = /\(\*(?:UTF8?|UCP|NOTEMPTY|NOTEMPTY_ATSTART|CR|CRLF|ANY|ANYCRLF|NUL)\)/y;

/** Reads the settings, `(*NAME)`, that may stand at the very start of a pattern. */
export function readStartVerbs(cursor: Cursor): StartVerbs {
  let newlineSequencesAreAscii = false;
  for (;;) {
    const start = cursor.offset;
    if (cursor.take("(*BSR_ANYCRLF)")) newlineSequencesAreAscii = true;
    else if (cursor.takeMatch(withoutEffect) !== "")
      newlineSequencesAreAscii &&= cursor.pattern.slice(start, cursor.offset) !== "(*BSR_UNICODE)";
    else break;
  }
  const start = cursor.offset;
  const setting = cursor.takeMatch(unsupportedSettings);
  if (setting !== "") {
    const hint = setting.startsWith("(*U")
      ? "Patterns match bytes; literal UTF-8 text matches itself, and a class of non-ASCII letters is written (?:ä|ö|ü)."
      : "Leave it out.";
    unsupported(`setting ${setting}`, start, hint);
  }
  return { newlineSequencesAreAscii };
}
