/** `npm run bench:hot`: what the functions on the data plane's way cost, one at a time. */
import { codec } from "./hot/codec.ts";
import { frames } from "./hot/frames.ts";
import { routing } from "./hot/routing.ts";
import { type HotFunction, type Timing, time } from "./loop.ts";

const NOTHING: HotFunction = { name: "nothing", run: () => undefined };

const FUNCTIONS: readonly HotFunction[] = [NOTHING, ...codec, ...frames, ...(await routing())];

function line(name: string, { medianNanos, minNanos, spread }: Timing): string {
  const cells = [medianNanos.toFixed(0), `${(spread * 100).toFixed(0)} %`, minNanos.toFixed(0)];
  return `${name.padEnd(60)}${cells.map((cell) => cell.padStart(9)).join("")}`;
}

const wanted = process.argv.slice(2);
console.log(`Nanoseconds per call, in a loop of its own with warm caches and one shape of input: the least a call can cost,
not what it costs between two sockets. "nothing" is the loop itself.
`);
console.log(`${"".padEnd(60)}${["ns", "±", "least"].map((head) => head.padStart(9)).join("")}`);
for (const { name, run } of FUNCTIONS) {
  const chosen = wanted.length === 0 || wanted.some((part) => name.includes(part));
  if (chosen) console.log(line(name, time(run)));
}
