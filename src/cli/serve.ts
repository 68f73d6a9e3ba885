import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { startDaemon } from "../process/daemon.ts";
import { formatDiagnostics, load, type Source } from "../process/load.ts";
import { run, type RunOptions } from "../process/run.ts";

const NO_FILE =
  'help: name a configuration with -c, or try "wsgate demo" or "wsgate 8080 http://127.0.0.1:3000"\n';

/** The main job: compile the configuration, run it until a signal ends it, and end the process. */
export async function serve(source: Source, options: RunOptions = {}): Promise<number> {
  const compiled = await load(source);
  process.stderr.write(formatDiagnostics(compiled.diagnostics, process.stderr.isTTY));
  const { plan } = compiled;
  if (plan === null) {
    if (!existsSync(source.places.config) && Object.keys(source.files).length === 0)
      process.stderr.write(NO_FILE);
    return 1;
  }
  if (plan.main.daemon) return serveInBackground(source);
  return process.exit(await run(source, { ...compiled, plan }, options));
}

async function serveInBackground(source: Source): Promise<number> {
  const { errorLog, backgroundErrorLog } = source.places;
  if (errorLog !== backgroundErrorLog) mkdirSync(dirname(backgroundErrorLog), { recursive: true });
  const background = { ...source, places: { ...source.places, errorLog: backgroundErrorLog } };
  const { plan } = await load(background);
  const logsToStderr =
    plan?.logFiles.some(({ path }) => path === "stderr" || path === "/dev/stderr") === true;
  return startDaemon(background, logsToStderr);
}
