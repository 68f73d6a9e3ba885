/** Opening handshakes of which no tunnel comes (test/ends/openings.ts), over each front. */
import { beforeAll, describe, expect, test } from "vitest";
import { openings } from "./ends/openings.ts";
import type { OpeningEnd } from "./ends/rows.ts";
import { countersOf, errorsAbout, STATUS_SERVER } from "./ends/stage.ts";
import { startFaultyBackend, startRawBackend } from "./rig/backends.ts";
import { type Front, FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";

useRig();

const REFUSED = "wsgate_handshakes_refused_total";

async function startInFrontOfAll(front: Front): Promise<Proxy> {
  const backends = {
    plain: await startTunnelBackend(),
    refusing: await startFaultyBackend("refuse"),
    resetting: await startFaultyBackend("reset-after-request"),
    closing: await startFaultyBackend("close"),
    hanging: await startFaultyBackend("hang"),
    forbidding: await startRawBackend("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"),
    lying: await startRawBackend(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
    ),
  };
  const locations = openings.map(({ name, settings }) => `location = /${name} { ${settings} }`);
  return startGate({
    values: Object.fromEntries(Object.entries(backends).map(([name, { address }]) => [name, address])),
    http: `error_log {{prefix}}/logs/error.log info;
      log_format openings "$uri $status [$websocket_ended_by]";
      ${STATUS_SERVER}
      server { ${await front.listen()} access_log logs/openings.log openings; ${locations.join("\n")} }`,
  });
}

/** What became of a row. */
interface Answered {
  readonly status: number;
  readonly isOpen: boolean;
  /** Of the access log. */
  readonly line: string;
  readonly errors: readonly string[];
  /** How often the row's counter has risen. */
  readonly counted: number;
}

async function ask(front: Front, gate: Proxy, row: OpeningEnd): Promise<Answered> {
  const { name, headers = {}, fault, rule } = row;
  const counter = async (): Promise<number> => (await countersOf(gate, REFUSED))[`${fault} ${rule}`] ?? 0;
  const before = await counter();
  const { status, isOpen } = await front.open(gate, `/${name}`, { headers });
  const [line] = await gate.waitForFile("logs/openings.log", new RegExp(`^/${name} .*$`, "m"));
  return { status, isOpen, line, errors: errorsAbout(gate, name), counted: (await counter()) - before };
}

describe.each(FRONTS)("over $name", (front) => {
  const answered = new Map<string, Answered>();

  beforeAll(async () => {
    const gate = await startInFrontOfAll(front);
    for (const row of openings) answered.set(row.name, await ask(front, gate, row));
  });

  test.each(openings)("$name", ({ name, status, log }) => {
    const { errors = [], ...answer } = answered.get(name) ?? {};
    expect(answer).toEqual({ status, isOpen: false, line: `/${name} ${status} [-]`, counted: 1 });
    expect(errors).toHaveLength(log === null ? 0 : 1);
    expect((errors[0] ?? "").startsWith(log === null ? "" : `[${log[0]}] ${log[1]}`)).toBe(true);
  });
});
