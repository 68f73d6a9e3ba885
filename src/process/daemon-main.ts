import "../base/regexp-guard.ts";
import type { DaemonMessage } from "./daemon.ts";
import { formatDiagnostics, load, type Source } from "./load.ts";
import { run } from "./run.ts";

/** The main process behind `daemon on`: does what the foreground one does, and tells its starter how that began. */
async function runInBackground(source: Source): Promise<number> {
  const compiled = await load(source);
  const { plan } = compiled;
  if (plan === null) {
    tell({ kind: "failed", text: formatDiagnostics(compiled.diagnostics, false) });
    return 1;
  }
  return run(
    source,
    { ...compiled, plan },
    {
      onReady: () => tell({ kind: "ready" }),
      onRefusal: (text) => tell({ kind: "failed", text }),
    },
  );
}

function tell(message: DaemonMessage): void {
  process.send?.(message);
}

/** Ends, but not before whoever started this process has read why: then it disconnects. */
function exit(code: number): void {
  if (process.connected) process.once("disconnect", () => process.exit(code));
  else process.exit(code);
}

process.once("message", (source: Source) => void runInBackground(source).then(exit));
