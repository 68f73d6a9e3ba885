/** Starts backend and load generator, each in a process of its own, and speaks with them over IPC. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { BackendPorts } from "./backend.ts";
import type { Command, Reply, Sample, Session, Target, Work } from "./work.ts";

const STEP_TIMEOUT_MS = 120_000;

export interface Backend {
  readonly ports: BackendPorts;
  stop(): void;
}

export async function startBackend(certificateFile: string, keyFile: string): Promise<Backend> {
  const child = start("backend", [certificateFile, keyFile]);
  const ports = await nextMessage<BackendPorts>(child);
  return { ports, stop: () => child.kill() };
}

export interface Generator {
  open(target: Target, work: Work): Promise<Session>;
  stop(): void;
}

export function startGenerator(): Generator {
  const child = start("generator", []);
  let sessions = 0;

  async function ask(command: Command): Promise<Sample | undefined> {
    const answer = nextMessage<Reply>(child);
    child.send(command);
    const reply = await answer;
    if ("error" in reply) throw new Error(reply.error);
    return reply.sample;
  }

  async function open(target: Target, work: Work): Promise<Session> {
    const session = sessions++;
    await ask({ do: "open", session, target, work });
    const run = async (ms: number): Promise<Sample> => {
      const sample = await ask({ do: "run", session, ms });
      if (sample === undefined) throw new Error("the load generator knows no such session");
      return sample;
    };
    const close = async (): Promise<void> => {
      await ask({ do: "close", session });
    };
    return { run, close };
  }

  return { open, stop: () => child.kill() };
}

function start(program: string, args: readonly string[]): ChildProcess {
  return fork(fileURLToPath(new URL(`./${program}.js`, import.meta.url)), args, { execArgv: [] });
}

/** The child's next message. Rejects when it exits instead or takes longer than any step should. */
function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      child.off("message", onMessage);
      child.off("exit", onExit);
      finish();
    };
    const onMessage = (message: T): void => settle(() => resolve(message));
    const onExit = (code: number | null): void =>
      settle(() => reject(new Error(`a helper process of the benchmark exited with ${code}`)));
    const timer = setTimeout(
      () => settle(() => reject(new Error(`no answer within ${STEP_TIMEOUT_MS} ms`))),
      STEP_TIMEOUT_MS,
    );
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}
