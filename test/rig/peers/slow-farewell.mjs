// Preloaded into a gate (`--import`), makes its workers slow to say goodbye: each Close frame takes 20 ms of work.
import cluster from "node:cluster";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const CLOSE = 0x88;

if (cluster.isWorker) {
  const { writeSync } = fs;
  fs.writeSync = (descriptor, data, ...rest) => {
    if (data[0] === CLOSE) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    return writeSync(descriptor, data, ...rest);
  };
  syncBuiltinESMExports();
}
