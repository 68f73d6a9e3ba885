// Preloaded into a gate (`--import`), keeps its workers from ever getting ready.
import cluster from "node:cluster";
import { writeSync } from "node:fs";

if (cluster.isWorker) {
  writeSync(2, "a worker hangs\n");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
