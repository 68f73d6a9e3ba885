import type { Diagnostic } from "../config/diagnostic.ts";
import type { ServerCounts } from "../observe/server-counts.ts";
import type { Source } from "./load.ts";
import type { ListeningAddress } from "./server.ts";

/**
 * What the main process asks of a worker. `prepare` is answered by `prepared`, `commit` by `committed`, `drain-tunnels` by
 * `tunnels-drained` when no tunnel is left or a plan is committed before, `leave` by `left` when the last connection has ended; only `stop` lets the
 * worker go.
 */
export type ToWorker =
  | {
      readonly kind: "prepare";
      readonly generation: number;
      readonly source: Source;
      /** What session tickets are sealed with: a client may come back to another worker. */
      readonly ticketSecret: Buffer;
    }
  /** With tunnels refused from the first connection on, where the others are draining theirs. */
  | { readonly kind: "commit"; readonly generation: number; readonly isDraining: boolean }
  | { readonly kind: "abandon"; readonly generation: number }
  | { readonly kind: "reopen" }
  | { readonly kind: "drain-tunnels" }
  /** With tunnels drained, or left to end by themselves. */
  | { readonly kind: "leave"; readonly drains: boolean }
  | { readonly kind: "stop" }
  /** Answered by `counted`. */
  | { readonly kind: "count" }
  /** What all workers have counted together: the answer to `totals-wanted`. */
  | { readonly kind: "totals"; readonly id: number; readonly counts: ServerCounts };

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
  | { readonly kind: "tunnels-drained"; readonly isEmpty: boolean }
  | { readonly kind: "left" }
  /** Said again and again after `stop`, as long as it gets on with its end. */
  | { readonly kind: "stopping" }
  | { readonly kind: "counted"; readonly counts: ServerCounts }
  /** Said unasked, when they have changed. */
  | { readonly kind: "counts"; readonly counts: ServerCounts }
  | { readonly kind: "totals-wanted"; readonly id: number };
