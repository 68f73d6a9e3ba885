/** One round: so many tunnels, some at once, each by a front and to an end that chance has chosen. */
import type { End } from "../ends/rows.ts";
import { type Front, type FrontName, FRONTS } from "../rig/fronts.ts";
import type { Proxy } from "../rig/proxy-process.ts";
import type { Random } from "../rig/random.ts";
import { WebSocketPeer } from "../rig/websocket-peer.ts";
import { DRESSED_WAYS, DRESSES, FAILURES, type House, WAYS } from "./house.ts";

const AT_ONCE = 60;
const PORTS: Readonly<Record<FrontName, string>> = { ws: "plain", h2c: "plain", wss: "tls", h2: "tls" };
const COMPRESSION = "permessage-deflate";

let tunnels = 0;

/** Plays the round; returns what the access log has to say of it, line by line in no order. */
export async function playRound(house: House, random: Random, count: number): Promise<readonly string[]> {
  // An own view of the gate for each round: HTTP/2 connections last for one.
  const views = new Map(FRONTS.map((front) => [front.name, throughPort(house.gate, portOf(front))]));
  const lines: string[] = [];
  let begun = 0;
  const lane = async (): Promise<void> => {
    while (begun++ < count) {
      const front = pick(FRONTS, random);
      const gate = views.get(front.name) ?? house.gate;
      const isFailure = random.below(8) === 0;
      lines.push(await (isFailure ? fail(gate, front, random) : live(house, gate, front, random)));
    }
  };
  // A reload while tunnels of all kinds are open, and another one while they die.
  const reloads = [house.gate.reload(), house.gate.reload()];
  await Promise.all([...Array.from({ length: AT_ONCE }, lane), ...reloads]);
  return lines;
}

/** A tunnel that talks and then ends in one of the ways of the table. */
async function live(house: House, gate: Proxy, front: Front, random: Random): Promise<string> {
  const dress = random.below(3) === 0 ? pick(Object.keys(DRESSES), random) : "";
  const ways = dress === "" ? WAYS : DRESSED_WAYS;
  const end = pick(
    ways.filter(({ fronts }) => fronts === undefined || fronts.includes(front.name)),
    random,
  );
  const target = `${dress}/${end.name}?${++tunnels}`;
  const offer = dress === "" ? {} : { "sec-websocket-extensions": COMPRESSION };
  const opening = await front.open(gate, target, { headers: end.headers ?? offer });
  // On a machine that is busy the upstream may be too slow for a timeout of half a second: that is told as well.
  if (opening.status === 504) return `${target} 504 - - - [-]`;
  if (opening.status !== front.openStatus) throw new Error(`${target}: status ${opening.status}`);
  const { wire } = await (end.isUpstreamTls === true || dress === "/secure"
    ? house.secure
    : house.plain
  ).tunnel(target);
  const client = new WebSocketPeer(opening.wire, "client");
  const upstream = new WebSocketPeer(wire, "server");
  // Limits are counted from the first message, and some ways look for their own bytes alone.
  if (end.settings === undefined && !end.name.includes("-in-a-")) await talk(client, upstream, random);
  await end.act({ client, upstream });
  await Promise.all([client.ended, upstream.ended]);
  return lineOf(target, front.openStatus, end);
}

async function talk(client: WebSocketPeer, upstream: WebSocketPeer, random: Random): Promise<void> {
  for (let turn = random.below(5); turn > 0; turn--) {
    const speaker = random.below(2) === 0 ? client : upstream;
    await speaker.sendFrame("x".repeat(random.below(2_000)));
  }
}

function lineOf(target: string, status: number, { endedBy, end, code, reason }: End): string {
  return `${target} ${status} ${endedBy} ${end} ${code ?? "-"} [${code === null ? "-" : reason}]`;
}

/** A handshake that comes to nothing. */
async function fail(gate: Proxy, front: Front, random: Random): Promise<string> {
  const target = pick(Object.keys(FAILURES), random);
  const headers =
    target === "/broken" ? { "Sec-WebSocket-Version": undefined, "sec-websocket-version": "0" } : {};
  const { status, wire } = await front.open(gate, target, { headers });
  await wire.close();
  return `${target} ${status} - - - [-]`;
}

/** The name of the port by which it comes. */
export function portOf({ name }: Front): string {
  return PORTS[name];
}

export function throughPort(gate: Proxy, name: string): Proxy {
  return { ...gate, port: () => gate.port(name) };
}

function pick<T>(list: readonly T[], random: Random): T {
  const found = list[random.below(list.length)];
  if (found === undefined) throw new Error("nothing to choose from");
  return found;
}
