/** Why a pattern cannot be used, as a value. */
export type PatternFailure = {
  readonly ok: false;
  /** `syntax`: PCRE refuses the pattern as well. `unsupported`: PCRE would take it, wsgate does not. */
  readonly kind: "syntax" | "unsupported";
  /** PCRE2's own words for a syntax error; for the rest, the construct by name. Without a full stop. */
  readonly message: string;
  /** Bytes from the start of the pattern: PCRE2's error offset, or where the construct stands. */
  readonly offset: number;
  /** What to write instead, as a sentence; empty where the message says it all. */
  readonly hint: string;
};

/**
 * How the parser leaves its recursion at the first error. It never leaves this folder: `compilePcre` turns it into a
 * {@link PatternFailure}.
 */
export class PatternError extends Error {
  override readonly name = "PatternError";
  readonly failure: PatternFailure;

  constructor(failure: PatternFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Raises what PCRE2 itself says about a malformed pattern. */
export function syntaxError(error: SyntaxErrorName, offset: number, hint = ""): never {
  throw new PatternError({ ok: false, kind: "syntax", message: syntaxErrors[error], offset, hint });
}

/** Raises the refusal of what PCRE knows and wsgate does not. */
export function unsupported(construct: string, offset: number, hint: string): never {
  const message = `${construct} is not supported`;
  throw new PatternError({ ok: false, kind: "unsupported", message, offset, hint });
}

export type SyntaxErrorName = keyof typeof syntaxErrors;

/** The texts of PCRE2 10.42 (`src/pcre2_error.c`), since those are what people search for. */
const syntaxErrors = {
  trailingBackslash: "\\ at end of pattern",
  trailingControl: "\\c at end of pattern",
  unknownEscape: "unrecognized character follows \\",
  countsOutOfOrder: "numbers out of order in {} quantifier",
  countTooBig: "number too big in {} quantifier",
  unclosedClass: "missing terminating ] for character class",
  escapeInClass: "escape sequence is invalid in character class",
  rangeOutOfOrder: "range out of order in character class",
  nothingToRepeat: "quantifier does not follow a repeatable item",
  unknownGroup: "unrecognized character after (? or (?-",
  posixOutsideClass: "POSIX named classes are supported only within a class",
  posixCollation: "POSIX collating elements are not supported",
  unclosedGroup: "missing closing parenthesis",
  noSuchGroup: "reference to non-existent subpattern",
  unclosedComment: "missing ) after (?# comment",
  tooManyGroups: "parentheses are too deeply nested",
  tooLarge: "regular expression is too large",
  unmatchedParenthesis: "unmatched closing parenthesis",
  lookbehindLength: "lookbehind assertion is not fixed length",
  unknownPosixClass: "unknown POSIX class name",
  byteTooLarge: "character code point value in \\x{} or \\o{} is too large",
  relativeZero: "a relative value of zero is not allowed",
  digitExpected: "digit expected after (?+ or (?-",
  caseEscape: "PCRE2 does not support \\F, \\L, \\l, \\N{name}, \\U, or \\u",
  unknownGroupAfterP: "unrecognized character after (?P",
  unclosedName: "syntax error in subpattern name (missing terminator?)",
  duplicateName: "two named subpatterns have the same name (PCRE2_DUPNAMES not set)",
  nameStartsWithDigit: "subpattern name must start with a non-digit",
  malformedProperty: "malformed \\P or \\p sequence",
  unknownProperty: "unknown property after \\P or \\p",
  differentNames: "different names for subpatterns of the same number are not allowed",
  nameTooLong: "subpattern name is too long (maximum 32 code units)",
  invalidRange: "invalid range in character class",
  octalTooLarge: "octal value is greater than \\377 in 8-bit non-UTF-8 mode",
  missingOctalBrace: "missing opening brace after \\o",
  malformedG: "\\g is not followed by a braced, angle-bracketed, or quoted name/number or by a plain number",
  unknownVerb: "(*VERB) not recognized or malformed",
  numberTooBig: "subpattern number is too big",
  nameExpected: "subpattern name expected",
  notOctal: "non-octal character in \\o{} (closing brace missing?)",
  notHex: "non-hex character in \\x{} (closing brace missing?)",
  controlNotAscii: "\\c must be followed by a printable ASCII character",
  malformedK: "\\k is not followed by a braced, angle-bracketed, or quoted name",
  nInClass: "\\N is not supported in a class",
  digitsMissing: "digits missing in \\x{} or \\o{} or \\N{U+}",
  unicodeOnly: "\\N{U+dddd} is supported only in Unicode (UTF) mode",
  invalidHyphen: "invalid hyphen in option setting",
  unknownAlphaAssertion: "(*alpha_assertion) not recognized",
  keepInLookaround: "\\K is not allowed in lookarounds (but see PCRE2_EXTRA_ALLOW_LOOKAROUND_BSK)",
} as const;
