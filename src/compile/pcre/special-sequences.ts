import type { Node } from "./ast.ts";
import { choiceOf, sequenceOf } from "./ast.ts";
import { complement, newline, singleByte, wordBytes } from "./byte-set.ts";

const carriageReturn: Node = { kind: "bytes", set: singleByte(0x0d) };
const lineFeed: Node = { kind: "bytes", set: newline };
const crlf: Node = sequenceOf([carriageReturn, lineFeed]);
/** PCRE never takes CR LF apart, even when it backtracks. */
const loneCarriageReturn: Node = sequenceOf([
  carriageReturn,
  { kind: "look", behind: false, negative: true, body: lineFeed },
]);

/** `\R`: one line ending. `asciiOnly` after `(*BSR_ANYCRLF)`. */
export function newlineSequence(asciiOnly: boolean): Node {
  const others = singleByte(0x0b) | singleByte(0x0c) | singleByte(0x85);
  return choiceOf([crlf, { kind: "bytes", set: asciiOnly ? newline : newline | others }, loneCarriageReturn]);
}

/** `\X`: in Latin-1, where no character combines with another, only CR with LF. */
export const graphemeCluster: Node = choiceOf([
  crlf,
  { kind: "bytes", set: complement(singleByte(0x0d)) },
  loneCarriageReturn,
]);

/** `[[:<:]]` and `[[:>:]]`. */
export function wordEdge(edge: "start" | "end"): Node {
  const word: Node = { kind: "bytes", set: wordBytes };
  const look: Node = { kind: "look", behind: edge === "end", negative: false, body: word };
  return sequenceOf([{ kind: "anchor", at: "wordBoundary" }, look]);
}

/** `(*FAIL)`. */
export const failure: Node = { kind: "look", behind: false, negative: true, body: sequenceOf([]) };
