import { describeSystemError } from "../base/errno.ts";
import { isError } from "../config/diagnostic.ts";
import { formatDiagnostics, load, type Source } from "../process/load.ts";
import type { Flags } from "./flags.ts";

/** `-t` and `-T`: says about a configuration what nginx says, and more. Opens the log files, binds nothing. */
export async function testConfiguration(source: Source, flags: Flags): Promise<number> {
  const { plan, diagnostics, tree } = await load(source);
  const file = source.places.config;
  const shown = flags.quiet ? diagnostics.filter(isError) : diagnostics;
  process.stderr.write(formatDiagnostics(shown, process.stderr.isTTY));
  const say = (text: string): void => {
    if (!flags.quiet) process.stderr.write(`wsgate: ${text}\n`);
  };
  if (plan === null) {
    process.stderr.write(`wsgate: configuration file ${file} test failed\n`);
    return 1;
  }
  say(`the configuration file ${file} syntax is ok`);
  for (const log of plan.logFiles) {
    try {
      log.open();
    } catch (error) {
      process.stderr.write(`wsgate: [emerg] open() "${log.path}" failed (${describeSystemError(error)})\n`);
      process.stderr.write(`wsgate: configuration file ${file} test failed\n`);
      return 1;
    }
  }
  say(`configuration file ${file} test is successful`);
  if (flags.dump) {
    for (const { name, text } of tree.files) process.stdout.write(`# configuration file ${name}:\n${text}\n`);
  }
  return 0;
}
