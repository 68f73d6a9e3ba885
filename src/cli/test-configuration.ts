import { formatDiagnostics, load, type Source } from "../process/load.ts";
import { tryPlan } from "../process/trial.ts";
import type { Flags } from "./flags.ts";

/** `-t` and `-T`: says about a configuration what nginx says, and more. Leaves nothing behind. */
export async function testConfiguration(source: Source, flags: Flags): Promise<number> {
  const { plan, diagnostics, tree } = await load(source);
  const file = source.places.config;
  const say = (text: string): void => {
    process.stderr.write(`wsgate: ${text}\n`);
  };
  process.stderr.write(formatDiagnostics(diagnostics, process.stderr.isTTY));
  if (plan !== null && !flags.quiet) say(`the configuration file ${file} syntax is ok`);
  const faults = plan === null ? [] : await tryPlan(plan);
  process.stderr.write(formatDiagnostics(faults, process.stderr.isTTY));
  if (plan === null || faults.length > 0) {
    say(`configuration file ${file} test failed`);
    return 1;
  }
  if (!flags.quiet) say(`configuration file ${file} test is successful`);
  if (flags.dump) {
    for (const { name, text } of tree.files) process.stdout.write(`# configuration file ${name}:\n${text}\n`);
  }
  return 0;
}
