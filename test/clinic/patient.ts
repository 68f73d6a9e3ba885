/** A patient of the clinic: a real setup with one illness, or with none, and what the doctor has to say about it. */
import type { Part } from "../rig/requires.ts";

export interface Patient {
  /** How the illness is made; a row of docs/CLINIC.md. */
  readonly made: string;
  /** The id that has to come first; null for one that is healthy. */
  readonly illness: string | null;
  readonly needs?: readonly Part[];
  /** Sets it up, and returns the arguments of `wsgate doctor`, the URL first. */
  readonly admit: () => Promise<readonly string[]>;
  /** What chromium does not show, or shows another way than for people; left out of the comparison with the browser. */
  readonly notInBrowser?: string;
}

/** Short waits, for patients who never answer. */
export const IMPATIENT: readonly string[] = ["--timeout", "400ms"];

/** For certificates that are good but for one thing. */
export const UNTRUSTED = "chromium does not know the certificate authority of the tests, and says that first";
