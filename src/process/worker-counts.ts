import { ownCounts, type ServerCounts, setServerCountsReader } from "../observe/server-counts.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** How stale the main process's knowledge of a worker may be: what it has counted since is lost when it crashes. */
const REPORT_MS = 1000;

/**
 * The worker's part in counting: it tells its counts when asked, once a second where they have changed, and at
 * its end; and it asks the main process for those of all workers.
 */
export function shareCounts(): void {
  const waiting = new Map<number, (counts: ServerCounts) => void>();
  let asked = 0;
  let reported = "";
  const report = (): void => {
    const counts = ownCounts();
    const text = JSON.stringify(counts);
    if (text === reported) return;
    reported = text;
    tell({ kind: "counts", counts });
  };
  setInterval(report, REPORT_MS).unref();
  process.once("exit", report);
  process.on("message", (message: ToWorker) => {
    if (message.kind === "count") tell({ kind: "counted", counts: ownCounts() });
    if (message.kind !== "totals") return;
    waiting.get(message.id)?.(message.counts);
    waiting.delete(message.id);
  });
  setServerCountsReader(() => {
    if (!process.connected) return Promise.resolve(ownCounts());
    return new Promise((resolve) => {
      waiting.set(++asked, resolve);
      tell({ kind: "totals-wanted", id: asked });
    });
  });
}

function tell(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
