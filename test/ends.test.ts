/** Each row of the table of ends (test/ends/table.ts), over each front. */
import assert from "node:assert/strict";
import { beforeAll, describe, expect, test } from "vitest";
import type { End, Stage } from "./ends/rows.ts";
import { accessLineOf, countersOf, errorsAbout, seenOf, STATUS_SERVER } from "./ends/stage.ts";
import { TUNNEL_ENDS } from "./ends/table.ts";
import { leafCertificate } from "./rig/certificates.ts";
import { type Front, FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { startTunnelBackend, type TunnelBackend } from "./rig/tunnel-backend.ts";
import { type Ending, WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

interface House {
  readonly front: Front;
  readonly gate: Proxy;
  readonly plain: TunnelBackend;
  readonly secure: TunnelBackend;
}

/** What became of a row. */
interface Played {
  readonly client: Ending;
  readonly upstream: Ending;
  /** The line of the access log, and those of the error log, without what is the same for all. */
  readonly access: string;
  readonly errors: readonly string[];
}

/** One gate in front of two backends, with a location for each row. */
async function openHouse(front: Front): Promise<House> {
  const plain = await startTunnelBackend();
  const secure = await startTunnelBackend({ tls: await leafCertificate() });
  const locations = TUNNEL_ENDS.map(({ name, settings = "", isUpstreamTls }) => {
    const upstream = isUpstreamTls === true ? `https://${secure.address}` : `http://${plain.address}`;
    return `location = /${name} { proxy_pass ${upstream}; ${settings} }`;
  });
  const gate = await startGate({
    http: `error_log {{prefix}}/logs/error.log info; websocket_log off;
      log_format ends "$uri $status $websocket_ended_by $websocket_end $websocket_close_code [$websocket_close_reason]";
      ${STATUS_SERVER}
      server { ${await front.listen()} access_log logs/ends.log ends; ${locations.join("\n")} }`,
  });
  return { front, gate, plain, secure };
}

async function openStage({ front, gate, plain, secure }: House, end: End): Promise<Stage> {
  const target = `/${end.name}`;
  const opening = await front.open(gate, target, { headers: end.headers ?? {} });
  expect(opening.status).toBe(front.openStatus);
  const { wire } = await (end.isUpstreamTls === true ? secure : plain).tunnel(target);
  return { client: new WebSocketPeer(opening.wire, "client"), upstream: new WebSocketPeer(wire, "server") };
}

async function play({ gate }: House, stage: Stage, end: End): Promise<Played> {
  await end.act(stage);
  const [client, upstream] = await Promise.all([stage.client.ended, stage.upstream.ended]);
  const [access] = await gate.waitForFile("logs/ends.log", new RegExp(`^/${end.name} .*$`, "m"));
  return { client, upstream, access, errors: errorsAbout(gate, end.name) };
}

describe.each(FRONTS)("over $name", (front) => {
  let gate: Proxy;
  const played = new Map<string, Promise<Played>>();
  const ofFront = TUNNEL_ENDS.filter(({ fronts }) => fronts === undefined || fronts.includes(front.name));

  // A row begins as soon as its tunnel is open, and they go on side by side: many of them wait for the clock.
  beforeAll(async () => {
    const house = await openHouse(front);
    gate = house.gate;
    for (const end of ofFront) {
      const playing = play(house, await openStage(house, end), end);
      playing.catch(() => {});
      played.set(end.name, playing);
    }
  });

  test.each(ofFront)("$name", async (end) => {
    const outcome = await played.get(end.name);
    assert(outcome !== undefined);
    expect({
      client: end.gone === "client" ? null : seenOf(outcome.client, end.client),
      upstream: end.gone === "upstream" ? null : seenOf(outcome.upstream, end.upstream),
      access: outcome.access,
      errors: outcome.errors,
    }).toEqual({
      client: end.client,
      upstream: end.upstream,
      access: accessLineOf(front, end.name, end),
      errors: end.log === null ? [] : [`[${end.log[0]}] ${end.log[1]}`],
    });
  });

  test("as many ends are counted, by whom and why, as rows say so", async () => {
    await Promise.all(played.values());
    const expected: Record<string, number> = {};
    for (const { endedBy, end } of ofFront)
      expected[`${endedBy} ${end}`] = (expected[`${endedBy} ${end}`] ?? 0) + 1;
    expect(await countersOf(gate, "wsgate_tunnels_ended_total")).toEqual(expected);
  });
});
