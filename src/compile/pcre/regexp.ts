import type { ByteString } from "../../base/bytes.ts";
import type { Emitted } from "./emit.ts";
import type { MatcherProgram } from "./matcher-program.ts";
import { runMatcherProgram } from "./matcher.ts";

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

/** A translated pattern on V8. */
export function nativeRegExp({ source, groups, sameGroups }: Emitted, flags = ""): PcreRegExp {
  const regexp = new RegExp(source, flags);
  if (sameGroups) return regexp;
  return {
    test: (subject) => regexp.test(subject),
    exec: (subject) => {
      const match = regexp.exec(subject);
      return match && groups.map((group) => (group === undefined ? undefined : match[group]));
    },
  };
}

/** A program on the matcher in this folder. */
export function matcherRegExp(program: MatcherProgram): PcreRegExp {
  return {
    test: (subject) => runMatcherProgram(program, subject) !== null,
    exec: (subject) => {
      const slots = runMatcherProgram(program, subject);
      if (slots === null) return null;
      return Array.from({ length: program.groupCount + 1 }, (_, group) => {
        const end = slots[2 * group + 1] ?? -1;
        return end < 0 ? undefined : subject.slice(slots[2 * group], end);
      });
    },
  };
}
