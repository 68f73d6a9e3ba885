// Preloaded into a gate (`--import`): at SIGPWR it collects garbage and says on standard error what is left.
import { writeSync } from "node:fs";
import { getHeapCodeStatistics, queryObjects, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

/** The gate's own module: this process has it once. */
const moduleOf = (path) => import(new URL(`../../../dist/${path}.js`, import.meta.url).href);

process.on("SIGPWR", async () => {
  const { armedDeadlines } = await moduleOf("base/timers");
  const { Tunnel } = await moduleOf("websocket/relay");
  const { TunnelWatch } = await moduleOf("websocket/tunnel-watch");
  const { Request } = await moduleOf("compile/request");
  const { DirectTransport } = await moduleOf("base/transport-direct");
  // What finalizers let go of in one round is gone after the next.
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  // Code comes and goes as the compiler sees fit, for minutes.
  const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  const left = {
    dataBytes: heapUsed - code - bytecode,
    bufferBytes: external + arrayBuffers,
    deadlines: armedDeadlines(),
    tunnels: queryObjects(Tunnel, { format: "count" }) + queryObjects(TunnelWatch, { format: "count" }),
    requests: queryObjects(Request, { format: "count" }),
    transports: queryObjects(DirectTransport, { format: "count" }),
  };
  writeSync(2, `left: ${JSON.stringify(left)}\n`);
});
