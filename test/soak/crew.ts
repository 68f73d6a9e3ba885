/** A gate of two workers whose tunnels end by what is done to it: a worker dies, all are drained, a server is taken away. */
import assert from "node:assert/strict";
import { leafFiles } from "../rig/certificates.ts";
import { untilSo } from "../rig/deadline.ts";
import { OPCODE } from "../rig/frames.ts";
import { FRONTS } from "../rig/fronts.ts";
import { preloading, workersOf } from "../rig/processes.ts";
import { type Proxy, startGate } from "../rig/proxy-process.ts";
import type { Random } from "../rig/random.ts";
import { startTunnelBackend, type TunnelBackend } from "../rig/tunnel-backend.ts";
import { WebSocketPeer } from "../rig/websocket-peer.ts";
import { countSockets, type Left, lookInto, readCounts } from "./house.ts";
import { portOf, throughPort } from "./round.ts";

const WORKERS = 2;
const DRAINED = "proxy drain 1012 [the proxy asks its clients to connect anew]";
const CLOSED = ["client close 4000 [done]", "upstream close 4000 [done]"] as const;

export interface Crew {
  readonly gate: Proxy;
  /** What `u` consists of, by turns. */
  readonly servers: readonly [TunnelBackend, TunnelBackend];
  /** Which of them it is now. */
  turn: 0 | 1;
  tunnels: number;
  /** Of each process, the main one first, before there was a tunnel. */
  readonly sockets: number;
  /** What the access log has to say, and how many tunnels it cannot know of. */
  readonly expected: string[];
  crashed: number;
}

interface Pair {
  readonly target: string;
  readonly status: number;
  readonly client: WebSocketPeer;
  readonly upstream: WebSocketPeer;
}

export async function openCrew(): Promise<Crew> {
  const servers = [await startTunnelBackend(), await startTunnelBackend()] as const;
  const gate = await startGate({
    config: await configuration(servers[0]),
    env: preloading("inspect-heap.mjs"),
    tolerates: [/ExperimentalWarning: v8\.queryObjects/, /\[alert\].* exited on signal SIGKILL/],
  });
  const sockets = countSocketsOfAll(gate);
  return { gate, servers, turn: 0, tunnels: 0, sockets, expected: [], crashed: 0 };
}

async function configuration({ address }: TunnelBackend): Promise<string> {
  const { certificate, key } = await leafFiles();
  return `worker_processes ${WORKERS}; worker_shutdown_timeout 10s; events {} http {
    error_log {{prefix}}/logs/error.log info; websocket_log off; keepalive_timeout 1s;
    log_format ends "$request_uri $status $websocket_ended_by $websocket_end $websocket_close_code [$websocket_close_reason]";
    upstream u { server ${address}; }
    server {
      listen 127.0.0.1:{{port:plain}};
      listen 127.0.0.1:{{port:tls}} ssl;
      http2 on;
      ssl_certificate ${certificate};
      ssl_certificate_key ${key};
      access_log logs/ends.log ends;
      location / { proxy_pass http://u; websocket_removal drain; websocket_drain 400ms; }
      location = /status { access_log off; websocket_status; }
    } }`;
}

/**
 * Opens `count` tunnels. A third of them close; of the others those end that one worker has, with it, and the rest by a drain,
 * with a reload in between. Then a quarter as many again, whose server a reload takes away.
 */
export async function playCrewRound(crew: Crew, random: Random, count: number): Promise<void> {
  const open = await openPairs(crew, random, count);
  const [left, gone] = [open.filter((_, i) => i % 3 > 0), open.filter((_, i) => i % 3 === 0)];
  await Promise.all(gone.map((pair, i) => closePair(crew, pair, i % 2 === 0)));

  const survivors = await crash(crew, left);
  const from = crew.gate.stderr.text.length;
  crew.gate.signal("SIGUSR2");
  await crew.gate.waitForLog(/draining tunnels/, from);
  // New ones are refused until then.
  await Promise.all([expectDrained(crew, survivors), crew.gate.reload()]);

  const homeless = await openPairs(crew, random, Math.ceil(count / 4));
  crew.turn = crew.turn === 0 ? 1 : 0;
  await crew.gate.write("conf/nginx.conf", await configuration(crew.servers[crew.turn]));
  assert(await crew.gate.reload());
  await expectDrained(crew, homeless);
}

async function openPairs(crew: Crew, random: Random, count: number): Promise<readonly Pair[]> {
  const views = FRONTS.map((front) => ({ front, gate: throughPort(crew.gate, portOf(front)) }));
  const openOne = async (index: number): Promise<Pair> => {
    const { front, gate } = views[index % views.length] ?? assert.fail();
    const target = `/?${++crew.tunnels}`;
    const opening = await front.open(gate, target);
    assert.equal(opening.status, front.openStatus, target);
    const { wire } = await crew.servers[crew.turn].tunnel(target);
    const client = new WebSocketPeer(opening.wire, "client");
    const upstream = new WebSocketPeer(wire, "server");
    for (let turns = random.below(4); turns > 0; turns--)
      await (turns % 2 === 0 ? client : upstream).sendFrame("x".repeat(random.below(2_000)));
    return { target, status: front.openStatus, client, upstream };
  };
  return Promise.all(Array.from({ length: count }, (_, index) => openOne(index)));
}

async function closePair(
  crew: Crew,
  { target, status, client, upstream }: Pair,
  byClient: boolean,
): Promise<void> {
  await (byClient ? client : upstream).sendClose(4000, "done");
  await Promise.all([client.ended, upstream.ended]);
  crew.expected.push(`${target} ${status} ${CLOSED[byClient ? 0 : 1]}`);
}

/** Kills the younger worker, and returns the tunnels of the other one. */
async function crash(crew: Crew, pairs: readonly Pair[]): Promise<readonly Pair[]> {
  const { gate } = crew;
  // What a worker has counted since it was last asked dies with it.
  await untilLogged(crew);
  await readCounts(gate);
  const [elder, younger] = workersOf(gate);
  assert(elder !== undefined && younger !== undefined);
  const ended = new Set<Pair>();
  for (const pair of pairs) void pair.client.ended.then(() => ended.add(pair));
  const from = gate.stderr.text.length;
  process.kill(younger, "SIGKILL");
  const [, lost = ""] = await gate.waitForLog(/tunnels that ended with worker process \d+: (\d+)/, from);
  await gate.waitForLog(/start worker process \d+/, from);
  await untilSo("the tunnels of that worker to end", () => ended.size >= Number(lost));
  const survivors = pairs.filter((pair) => !ended.has(pair));
  await Promise.all(survivors.map(({ client }) => expectPong(client)));
  crew.crashed += pairs.length - survivors.length;
  return survivors;
}

async function expectPong(client: WebSocketPeer): Promise<void> {
  const before = client.pongs.length;
  await client.sendFrame("there?", { opcode: OPCODE.ping });
  await untilSo("a pong", () => client.pongs.length > before);
}

async function expectDrained(crew: Crew, pairs: readonly Pair[]): Promise<void> {
  for (const { target, status, client, upstream } of pairs) {
    const endings = await Promise.all([client.ended, upstream.ended]);
    assert.deepEqual(
      endings.map(({ close }) => close?.code),
      [1012, 1012],
      target,
    );
    crew.expected.push(`${target} ${status} ${DRAINED}`);
  }
}

async function untilLogged({ gate, expected }: Crew): Promise<void> {
  await untilSo(`${expected.length} lines`, () => linesOf(gate).length >= expected.length);
}

export function linesOf(gate: Proxy): readonly string[] {
  return gate.read("logs/ends.log").split("\n").slice(0, -1);
}

/** Waits until no process has more sockets than before the first tunnel; the main one and the eldest worker tell what is left. */
export async function lookIntoCrew({ gate, sockets }: Crew): Promise<readonly Left[]> {
  await untilSo("the sockets to be gone", () => countSocketsOfAll(gate) <= sockets);
  const [elder] = workersOf(gate);
  assert(elder !== undefined);
  return [await lookInto(gate), await lookInto(gate, elder)];
}

function countSocketsOfAll(gate: Proxy): number {
  return [gate.pid, ...workersOf(gate)].reduce((sum, pid) => sum + countSockets(pid), 0);
}
