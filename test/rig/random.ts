import { isContinuousIntegration } from "./requires.ts";

/** The seed of a fuzz test: the environment's, always the same where CI is set, else another each time. Print it. */
export function fuzzSeed(variable: string): number {
  const given = process.env[variable];
  if (given !== undefined) return Number(given);
  return isContinuousIntegration() ? 1 : Math.floor(Math.random() * 2 ** 31);
}

/** Random choices that a seed repeats. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** An integer from 0 up to, not including, `end` (mulberry32). */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  }

  /** One of the words. */
  pick(words: readonly string[]): string {
    return words[this.below(words.length)] ?? "";
  }
}
