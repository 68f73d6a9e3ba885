/** What an illness is, and what a verdict is made of. */
import type { Walk } from "../probe/walk.ts";
import type { Words } from "../words.ts";
import type { Remark } from "./configuration.ts";

/** What the doctor has to judge by. */
export interface Case {
  readonly front: Walk;
  /** The same walk straight to the backend; null where none was asked for. */
  readonly backend: Walk | null;
  /** What the linter says about the configuration; empty where none was given. */
  readonly remarks: readonly Remark[];
}

/** What a mend is written for. `client` is the page, `application` the program that speaks WebSocket. */
export type Product =
  | "nginx"
  | "haproxy"
  | "caddy"
  | "apache"
  | "traefik"
  | "ingress-nginx"
  | "aws-alb"
  | "cloudflare"
  | "application"
  | "client"
  | "network"
  | "certificate";

export interface Mend {
  readonly product: Product;
  /** What to do. */
  readonly what: Words;
  /** The lines to write, if there are any; `{path}` and other values of the case are filled in. */
  readonly lines?: string;
}

/** What browsers write into their consoles, word for word, with `{url}` where they put the URL. */
export interface BrowserMessages {
  readonly chrome: readonly string[];
  readonly firefox: readonly string[];
  readonly safari: readonly string[];
}

/** That an illness is there, by what, and how sure that is. */
export interface Finding {
  /** From 0 to 1. */
  readonly certainty: number;
  readonly support: readonly Words[];
  /** For the placeholders in the illness's words and mends, besides those of the case. */
  readonly values?: Readonly<Record<string, string>>;
}

export interface Illness {
  readonly id: string;
  /** A note is told, but makes nobody sick. */
  readonly severity: "sick" | "note";
  /** Said only where no other illness is found. */
  readonly isFallback?: true;
  /** One sentence in plain words. */
  readonly title: Words;
  /** Why that happens and what it does. */
  readonly explanation: Words;
  readonly browsers: BrowserMessages;
  readonly mends: readonly Mend[];
  /** How to see by oneself that this is it. */
  readonly confirm: Words;
  readonly recognise: (subject: Case) => Finding | null;
}

/** An illness that was found, with its words filled in. */
export interface Cause {
  readonly illness: Illness;
  readonly certainty: number;
  readonly support: readonly Words[];
  readonly values: Readonly<Record<string, string>>;
}

export interface Verdict {
  readonly state: "healthy" | "sick" | "unknown";
  /** By certainty, the first being the most likely. */
  readonly causes: readonly Cause[];
  readonly notes: readonly Cause[];
  /** What the backend's own walk says about whose fault it is; null without one. */
  readonly comparison: Words | null;
}
