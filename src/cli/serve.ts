import { startDaemon } from "../process/daemon.ts";
import { formatDiagnostics, load, type Source } from "../process/load.ts";
import { run } from "../process/run.ts";

/** The main job: compile the configuration and run it until a signal ends it. */
export async function serve(source: Source): Promise<number> {
  const compiled = await load(source);
  process.stderr.write(formatDiagnostics(compiled.diagnostics, process.stderr.isTTY));
  const { plan } = compiled;
  if (plan === null) return 1;
  if (plan.main.daemon) return startDaemon(source);
  const code = await run(source, { ...compiled, plan });
  // Clients are gone and logs are written: an upstream that has not closed its half must not keep the process.
  process.exit(code);
}
