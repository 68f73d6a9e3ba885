// Preloaded into a gate (`--import`), lets each worker end at its start while the file RIG_DIE_WHILE exists.
import cluster from "node:cluster";
import { existsSync } from "node:fs";

if (cluster.isWorker && existsSync(process.env.RIG_DIE_WHILE)) process.exit(3);
