import type { Plan } from "../compile/plan.ts";
import type { Source } from "./load.ts";
import type { LogLevel } from "../observe/error-log.ts";

/** What the main process steers: its own gate, or that of every worker. All methods work one at a time. */
export interface Server {
  /** Brings a first or a next plan into force, in every process or in none. Messages say, in nginx's words, why not. */
  apply(plan: Plan, source: Source): Promise<ApplyResult>;
  /** Stops accepting and resolves when everything has come to its own end. */
  drain(): Promise<void>;
  /** Ends everything at once. */
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

export type ApplyResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly messages: readonly string[] };

export type WriteLog = (level: LogLevel, message: string) => void;
