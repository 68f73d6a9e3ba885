/** Everything a run sets up and must put away: a folder, a certificate, backend, generator and the proxies. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeCertificate } from "./certificate.ts";
import {
  type Contender,
  type NotStarted,
  type RunningProxy,
  startContender,
  WEBSOCKET,
} from "./contenders/contender.ts";
import { type Generator, startBackend, startGenerator } from "./load/processes.ts";
import type { Entrant } from "./measure.ts";

export interface StartedEntrant extends Entrant {
  stop(): Promise<void>;
}

export interface Stage {
  readonly generator: Generator;
  /** The client straight to the backend. */
  readonly direct: Entrant;
  /** Starts a new process of `contender`. */
  start(contender: Contender): Promise<StartedEntrant | NotStarted>;
  close(): Promise<void>;
}

/** Sets the stage. Should the process exit before `close`, the proxies are told to end and the folder is removed. */
export async function openStage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "wsgate-bench-"));
  const certificate = await writeCertificate(folder);
  const backend = await startBackend(certificate.certificate, certificate.key);
  const generator = startGenerator();
  const running = new Set<RunningProxy>();

  const putAway = (): void => {
    for (const proxy of running) void proxy.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", putAway);

  return {
    generator,
    direct: {
      name: "direct",
      pid: undefined,
      protocol: WEBSOCKET,
      plainPort: backend.ports.plain,
      tlsPort: backend.ports.tls,
    },
    start: async (contender) => {
      const proxy = await startContender(contender, folder, backend.ports.plain, certificate);
      if ("failure" in proxy) return proxy;
      running.add(proxy);
      const stop = async (): Promise<void> => {
        running.delete(proxy);
        await proxy.stop();
      };
      return { ...proxy, name: contender.name, protocol: contender.protocol ?? WEBSOCKET, stop };
    },
    close: async () => {
      generator.stop();
      backend.stop();
      await Promise.all([...running].map((proxy) => proxy.stop()));
      running.clear();
      process.off("exit", putAway);
      putAway();
    },
  };
}
