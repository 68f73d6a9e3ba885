import "../base/regexp-guard.ts";
import { runWorker } from "./worker.ts";

runWorker();
