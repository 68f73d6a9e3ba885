/** Tunnels pulled about by who means it badly, or is only slow, over each front. */
import { beforeAll, describe, expect, test } from "vitest";
import { type Front, FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import type { RawPeer } from "./rig/raw-peer.ts";
import { startTunnelBackend, type TunnelBackend } from "./rig/tunnel-backend.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

/** The gate pings every tenth of a second: so many are well above every timeout of three seconds. */
const LONG_TICKS = 45;
const SIDES = [
  ["client", "upstream"],
  ["upstream", "client"],
] as const;

interface Pair {
  readonly target: string;
  readonly client: WebSocketPeer;
  readonly upstream: WebSocketPeer<RawPeer>;
}

/** A gate in front of a backend. */
class House {
  readonly gate: Proxy;
  readonly #front: Front;
  readonly #backend: TunnelBackend;
  #opened = 0;
  /** A tunnel over which nothing happens but pings. */
  #clock: WebSocketPeer | null = null;

  constructor(gate: Proxy, front: Front, backend: TunnelBackend) {
    this.gate = gate;
    this.#front = front;
    this.#backend = backend;
  }

  async open(location: string, headers: Readonly<Record<string, string>> = {}): Promise<Pair> {
    const target = `${location}/${this.#opened++}`;
    const { wire } = await this.#front.open(this.gate, target, { headers });
    const upstream = await this.#backend.tunnel(target);
    return {
      target,
      client: new WebSocketPeer(wire, "client"),
      upstream: new WebSocketPeer(upstream.wire, "server"),
    };
  }

  async startClock(): Promise<void> {
    this.#clock = (await this.open("/clock")).client;
  }

  /** Waits for a tick of the gate's, so many times, and does something each time. */
  async ticks(count: number, act: () => Promise<void> | void): Promise<void> {
    const clock = this.#clock;
    const before = clock?.pings.length ?? 0;
    for (let i = 1; i <= count; i++) {
      await clock?.pinged(before + i);
      await act();
    }
  }

  /** The log's words about how a tunnel has ended. */
  async endOf(target: string): Promise<string> {
    const [, words = ""] = await this.gate.waitForFile("logs/ends.log", new RegExp(`^${target} (.*)$`, "m"));
    return words;
  }
}

const TRICKLED = [`${"x".repeat(LONG_TICKS)}whole`];

/** A frame whose payload comes byte by byte, for longer than any timeout. */
async function trickle(house: House, from: WebSocketPeer, isCompressed: boolean): Promise<void> {
  const [text = ""] = TRICKLED;
  const [before, after] = isCompressed ? asBlock(text) : ["", ""];
  const frame = from.frame(before + text + after, { reservedBits: isCompressed ? 4 : 0 });
  const at = frame.indexOf(text);
  // Within a frame it can answer no ping.
  from.isMute = true;
  await from.wire.send(frame.slice(0, at));
  await house.ticks(LONG_TICKS, () => from.wire.send("x"));
  await from.wire.send(frame.slice(at + LONG_TICKS));
  from.isMute = false;
}

/** What stands around a text in a block without compression (RFC 7692 section 7.2.3.3). */
function asBlock({ length }: string): readonly [before: string, after: string] {
  return [`\0${String.fromCharCode(length, 0, ~length & 0xff, 0xff)}`, "\0"];
}

const OFFLOADED = " that wsgate inflates";

interface Attack {
  readonly name: string;
  readonly location: "/pinged" | "/idle";
  /** The client compresses, and the gate inflates what it sends. */
  readonly isCompressed?: boolean;
  /** Does it, and tells what has become of the tunnel. */
  act(house: House, pair: Pair): Promise<readonly [end: string, payloads: readonly string[]]>;
  readonly outcome: readonly [end: string, payloads: readonly string[]];
}

const LONG_MESSAGES: readonly Attack[] = (
  [
    ["client", "upstream", false],
    ["upstream", "client", false],
    ["client", "upstream", true],
  ] as const
).flatMap(([by, to, isCompressed]): readonly Attack[] => [
  {
    name: `a frame${isCompressed ? OFFLOADED : ""} that takes long from the ${by} makes a dead one of neither`,
    location: "/pinged",
    isCompressed,
    async act(house, pair) {
      await trickle(house, pair[by], isCompressed);
      await pair[to].told(1);
      pair[by].wire.reset();
      return [await house.endOf(pair.target), pair[to].payloads];
    },
    outcome: [`${by} reset ${by === "client" ? 1001 : 1014}`, TRICKLED],
  },
  {
    name: `a message${isCompressed ? OFFLOADED : ""} that takes long from the ${by} does not make an idle tunnel`,
    location: "/idle",
    isCompressed,
    async act(house, pair) {
      let isAsked = false;
      void pair.client.closeCame.then(() => (isAsked = true));
      await trickle(house, pair[by], isCompressed);
      const wasAsked = isAsked;
      // From here on it is one.
      await pair[to].ended;
      return [`${wasAsked} ${await house.endOf(pair.target)}`, pair[to].payloads];
    },
    outcome: ["false proxy idle-timeout 1001", TRICKLED],
  },
]);

const ATTACKS: readonly Attack[] = [
  ...LONG_MESSAGES,
  ...SIDES.map(
    ([by, to]): Attack => ({
      name: `after its Close frame the ${by} owes no answer to pings, while the ${to} says what it has left to say`,
      location: "/pinged",
      async act(house, pair) {
        pair[by].isMute = true;
        pair[to].isMute = true;
        await pair[by].sendClose(4000);
        await house.ticks(LONG_TICKS, () => pair[to].sendFrame("x"));
        await pair[to].sendClose(4000);
        await pair[by].closeCame;
        pair[by].wire.reset();
        return [await house.endOf(pair.target), pair[by].payloads];
      },
      outcome: [`${by} close 4000`, Array<string>(LONG_TICKS).fill("x")],
    }),
  ),
];

describe.each(FRONTS)("over $name", (front) => {
  const outcomes = new Map<Attack, ReturnType<Attack["act"]>>();

  // Side by side, since all of them wait for the clock.
  beforeAll(async () => {
    const backend = await startTunnelBackend();
    const gate = await startGate({
      http: `log_format ends "$uri $websocket_ended_by $websocket_end $websocket_close_code"; access_log logs/ends.log ends;
        send_timeout 20s; proxy_send_timeout 20s; websocket_ping_interval 100ms;
        websocket_compression offload;
        server { ${await front.listen()}
          location /pinged { proxy_pass http://${backend.address}; proxy_read_timeout 3s; }
          location /idle { proxy_pass http://${backend.address}; websocket_idle_timeout 3s; }
          location /clock { proxy_pass http://${backend.address}; } }`,
    });
    const house = new House(gate, front, backend);
    await house.startClock();
    for (const attack of ATTACKS) {
      // What is opened here stays open for the whole file.
      const headers =
        attack.isCompressed === true ? { "Sec-WebSocket-Extensions": "permessage-deflate" } : {};
      const outcome = attack.act(house, await house.open(attack.location, headers));
      outcome.catch(() => {});
      outcomes.set(attack, outcome);
    }
  });

  test.each(ATTACKS.map((attack) => [attack.name, attack] as const))("%s", async (_name, attack) => {
    expect(await outcomes.get(attack)).toEqual(attack.outcome);
  });
});
