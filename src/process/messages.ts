import type { Source } from "./load.ts";
import type { ListeningAddress } from "./server.ts";

/** What the main process asks of a worker. `prepare` is answered by `prepared`, `commit` by `committed`. */
export type ToWorker =
  | { readonly kind: "prepare"; readonly generation: number; readonly source: Source }
  | { readonly kind: "commit"; readonly generation: number }
  | { readonly kind: "abandon"; readonly generation: number }
  | { readonly kind: "reopen" }
  | { readonly kind: "drain" }
  | { readonly kind: "stop" };

/** What a worker answers. */
export type FromWorker =
  /** Said first, unasked: what is sent earlier would find nobody listening. */
  | { readonly kind: "started"; readonly generation: 0 }
  | {
      readonly kind: "prepared";
      readonly generation: number;
      /** Empty where everything is in place. */
      readonly messages: readonly string[];
    }
  | {
      readonly kind: "committed";
      readonly generation: number;
      readonly addresses: readonly ListeningAddress[];
    };
