import type { Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import type { LogLevel } from "../observe/error-log.ts";
import type { Source } from "./load.ts";

/** What the main process steers: its own gate, or that of every worker. */
export interface Server {
  /**
   * Brings a first or a next plan into force, in every process or in none; returns why not. When everything else has
   * been prepared, `confirm` has the last word: faults of its own are a refusal, too.
   */
  apply(plan: Plan, source: Source, confirm: () => readonly Diagnostic[]): Promise<readonly Diagnostic[]>;
  /**
   * Turns new tunnels away and drains the open ones, until the next plan is applied; everything else goes on. Resolves with
   * true when no tunnel is left, with false when that plan is applied before.
   */
  drainTunnels(): Promise<boolean>;
  /** Stops accepting, drains tunnels, and resolves when everything has come to its end. Not while a plan is being applied. */
  drain(): Promise<void>;
  /** Ends everything at once, whatever is under way, but for a moment in which the sides of tunnels are told. */
  stop(): Promise<void>;
  /** Tells other processes to open their logs anew; this one has done so. */
  reopenLogs(): void;
  /** Addresses listened on, as messages print them, in the order of the configuration. */
  readonly addresses: readonly ListeningAddress[];
}

export interface ListeningAddress {
  readonly text: string;
  readonly ssl: boolean;
}

/** Writes to the error log in force. The message is text, not yet bytes. */
export type WriteLog = (level: LogLevel, message: string) => void;
