import "../base/regexp-guard.ts";
import type { DaemonMessage } from "./daemon.ts";
import { formatDiagnostics, load, type Source } from "./load.ts";
import { run } from "./run.ts";

/** The main process behind `daemon on`: does what the foreground one does, and tells its starter how that began. */
async function runInBackground(source: Source): Promise<void> {
  const compiled = await load(source);
  const { plan } = compiled;
  if (plan === null) {
    tell({ kind: "failed", messages: [formatDiagnostics(compiled.diagnostics, false).trimEnd()] });
    return;
  }
  process.exitCode = await run(
    source,
    { ...compiled, plan },
    {
      onReady: () => tell({ kind: "ready" }),
      onRefusal: (messages) => tell({ kind: "failed", messages }),
    },
  );
}

function tell(message: DaemonMessage): void {
  process.send?.(message);
}

process.once("message", (source: Source) => void runInBackground(source));
