import type { Diagnostic } from "../config/diagnostic.ts";
import type { Source } from "./load.ts";
import type { ListeningAddress } from "./server.ts";

/**
 * What the main process asks of a worker. `prepare` is answered by `prepared`, `commit` by `committed`, `drain` by
 * `drained` when the last connection has ended; only `stop` lets the worker go.
 */
export type ToWorker =
  | {
      readonly kind: "prepare";
      readonly generation: number;
      readonly source: Source;
      /** What session tickets are sealed with: a client may come back to another worker. */
      readonly ticketSecret: Buffer;
    }
  | { readonly kind: "commit"; readonly generation: number }
  | { readonly kind: "abandon"; readonly generation: number }
  | { readonly kind: "reopen" }
  | { readonly kind: "drain" }
  | { readonly kind: "stop" };

/** What a worker answers. */
export type FromWorker =
  /** Said first, unasked: what is sent earlier would find nobody listening. */
  | { readonly kind: "started" }
  /** No faults: everything is in place. */
  | { readonly kind: "prepared"; readonly generation: number; readonly faults: readonly Diagnostic[] }
  | {
      readonly kind: "committed";
      readonly generation: number;
      readonly addresses: readonly ListeningAddress[];
    }
  | { readonly kind: "drained" };
