/** The load generator's process: does what `run.ts` asks over the IPC channel, one command at a time. */
import { unreachable } from "../../src/base/assert.ts";
import { openEcho, openIdle } from "./echo.ts";
import { openHandshakes } from "./handshakes.ts";
import { openRequests } from "./requests.ts";
import type { Command, Reply, Sample, Session, Target, Work } from "./work.ts";

const sessions = new Map<number, Session>();

async function open(target: Target, work: Work): Promise<Session> {
  switch (work.kind) {
    case "echo":
      return openEcho(target, work.tunnels, work.messageBytes);
    case "requests":
      return openRequests(target, work.connections, work.bodyBytes);
    case "handshakes":
      return openHandshakes(target, work.atOnce);
    case "idle":
      return openIdle(target, work.tunnels);
    default:
      return unreachable(work);
  }
}

async function obey(command: Command): Promise<Sample | undefined> {
  switch (command.do) {
    case "open":
      sessions.set(command.session, await open(command.target, command.work));
      return undefined;
    case "run":
      return sessions.get(command.session)?.run(command.ms);
    case "close":
      await sessions.get(command.session)?.close();
      sessions.delete(command.session);
      return undefined;
    default:
      return unreachable(command);
  }
}

function reply(answer: Reply): void {
  process.send?.(answer);
}

process.on("message", (command: Command) => {
  obey(command).then(
    (sample) => reply(sample === undefined ? {} : { sample }),
    (reason: unknown) => reply({ error: reason instanceof Error ? reason.message : String(reason) }),
  );
});
process.on("disconnect", () => process.exit());
