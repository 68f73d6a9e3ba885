/** Ends of tunnels that come by what is done to the proxy (test/ends/operations.ts), over all fronts at once. */
import { expect, test } from "vitest";
import { operations } from "./ends/operations.ts";
import type { OperatedGate, OperationEnd, Stage } from "./ends/rows.ts";
import { accessLineOf, seenOf } from "./ends/stage.ts";
import { FRONTS, type Front } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { preloading, workersOf } from "./rig/processes.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { startTunnelBackend, type TunnelBackend } from "./rig/tunnel-backend.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

type Without = "nothing" | "peer" | "servers";

/** Each front has a server and a port of its own; the server `last` stays when they are gone. */
async function configuration(end: OperationEnd, backend: TunnelBackend, without: Without): Promise<string> {
  const peer = without === "peer" ? "127.0.0.1:{{port:nobody}}" : backend.address;
  const servers = await Promise.all(
    FRONTS.map(
      async (front) =>
        `server { ${await front.listen(front.name)} location / { proxy_pass http://app; ${end.settings ?? ""} } }`,
    ),
  );
  return `worker_processes ${end.workers ?? 1}; ${end.main ?? ""} events {}
    http {
      log_format ends "$uri $status $websocket_ended_by $websocket_end $websocket_close_code [$websocket_close_reason]";
      access_log logs/ends.log ends;
      upstream app { server ${peer}; }
      server { listen 127.0.0.1:{{port:last}}; }
      ${without === "servers" ? "" : servers.join("\n")}
    }`;
}

async function openStage(
  gate: Proxy,
  front: Front,
  backend: TunnelBackend,
  end: OperationEnd,
): Promise<Stage> {
  const target = `/${front.name}`;
  const opening = await front.open(gate, target, { port: front.name });
  expect(opening.isOpen).toBe(true);
  const { wire } = await backend.tunnel(target);
  const client = new WebSocketPeer(opening.wire, "client");
  const upstream = new WebSocketPeer(wire, "server");
  if (end.mute === "client") client.isMute = true;
  if (end.mute === "upstream") upstream.isMute = true;
  return { client, upstream };
}

function operate(gate: Proxy, end: OperationEnd, backend: TunnelBackend): OperatedGate {
  return {
    pid: gate.pid,
    workers: workersOf(gate),
    signal: (name) => gate.signal(name),
    async reloadWithout(what) {
      await gate.write("conf/nginx.conf", await configuration(end, backend, what));
      gate.signal("SIGHUP");
    },
  };
}

/** A line of the log as the table has it: what differs from run to run is `…`. */
function patternOf([level, message]: NonNullable<OperationEnd["log"]>): RegExp {
  const escaped = message.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", "[\\d.]+");
  return new RegExp(`\\[${level}\\] [^\\n]*${escaped}`);
}

test.each(operations)("$name", async (end) => {
  const backend = await startTunnelBackend();
  const gate = await startGate({
    config: await configuration(end, backend, "nothing"),
    ...(end.isKilled === true ? { isKilled: true } : {}),
    ...(end.preload === undefined ? {} : { env: preloading(end.preload) }),
  });
  const stages: Stage[] = [];
  for (const front of FRONTS) stages.push(await openStage(gate, front, backend, end));
  await end.act(operate(gate, end, backend));
  for (const [index, { client, upstream }] of stages.entries()) {
    const front = FRONTS[index]?.name;
    expect({ front, ...seenOf(await client.ended, end.client) }).toEqual({ front, ...end.client });
    expect({ front, ...seenOf(await upstream.ended, end.upstream) }).toEqual({ front, ...end.upstream });
  }
  if (end.log !== null) await gate.waitForLog(patternOf(end.log));
  if (end.endedBy !== null) {
    for (const front of FRONTS) await gate.waitForFile("logs/ends.log", new RegExp(`^/${front.name} `, "m"));
  }
  const lines = gate
    .read("logs/ends.log")
    .split("\n")
    .filter((line) => line !== "");
  const expected = FRONTS.map((front) => accessLineOf(front, front.name, end));
  expect(lines.toSorted()).toEqual(end.endedBy === null ? [] : expected.toSorted());
});
