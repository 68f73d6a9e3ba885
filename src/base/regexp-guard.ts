import { setFlagsFromString } from "node:v8";

/**
 * Keeps regular expressions from hanging the process. V8 matches by backtracking, which takes exponential time for a
 * pattern like `^(a+)+$` on a subject made for it; its second engine takes time proportional to the subject, for the
 * patterns it covers (no lookaround, no backreferences, no large counts). With these flags V8 changes over to the
 * second engine when a match has backtracked too often. The flags hold for patterns compiled after they are set, so
 * the program and the library import this file before anything else.
 */
const backtracksMax = 10_000;

setFlagsFromString("--enable-experimental-regexp-engine-on-excessive-backtracks");
setFlagsFromString(`--regexp-backtracks-before-fallback=${backtracksMax}`);
// Admits the flag `l`, which is how V8 is asked whether the second engine covers a pattern. It changes nothing else.
setFlagsFromString("--enable-experimental-regexp-engine");

const linearFlag = "l";

/** Whether V8 can match this source (without flags) in time proportional to the subject, and so will if need be. */
export function runsInLinearTime(source: string): boolean {
  try {
    void new RegExp(source, linearFlag);
    return true;
  } catch {
    // Not covered, or a V8 without the second engine, where nothing is linear.
    return false;
  }
}
