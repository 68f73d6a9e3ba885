import { ConnectionCounts } from "../observe/connections.ts";
import { addServerCounts, countsOfGone, type ServerCounts } from "../observe/server-counts.ts";
import { openTunnels, TunnelCounts } from "../observe/tunnel-counts.ts";

/** A worker as the ledger sees it. */
export interface CountedWorker {
  /** Its counts as of now; null where it gives no answer. */
  count(): Promise<ServerCounts | null>;
}

const NOTHING: ServerCounts = {
  tunnels: new TunnelCounts().snapshot(),
  connections: new ConnectionCounts().snapshot(),
};

/** What all workers have counted, those that are gone included. */
export class CountsLedger {
  /** The last that each has said. */
  readonly #last = new Map<CountedWorker, ServerCounts>();
  #gone: ServerCounts = NOTHING;

  note(worker: CountedWorker, counts: ServerCounts): void {
    this.#last.set(worker, counts);
  }

  /**
   * A worker has ended. What it had open is over as well: with it, or, where it ended in order, by its own doing. Returns
   * how many tunnels have been lost.
   */
  close(worker: CountedWorker, inOrder: boolean): number {
    const counts = this.#last.get(worker) ?? NOTHING;
    this.#last.delete(worker);
    this.#gone = addServerCounts(this.#gone, countsOfGone(counts, inOrder ? "shutdown" : "worker-crash"));
    return inOrder ? 0 : openTunnels(counts.tunnels);
  }

  /** Asks the workers; of one that does not answer it takes the last that it has said. */
  async total(workers: Iterable<CountedWorker>): Promise<ServerCounts> {
    await Promise.all(
      [...workers].map(async (worker) => {
        const counts = await worker.count();
        if (counts !== null) this.note(worker, counts);
      }),
    );
    return [...this.#last.values()].reduce(addServerCounts, this.#gone);
  }
}
