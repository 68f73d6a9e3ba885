/** Tunnels of which more than one end comes at once, over each front. */
import { describe, expect, test } from "vitest";
import { type Front, FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import type { RawPeer } from "./rig/raw-peer.ts";
import { startTunnelBackend, type TunnelBackendOptions } from "./rig/tunnel-backend.ts";
import { type Ending, WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

interface Pair {
  readonly client: WebSocketPeer;
  readonly upstream: WebSocketPeer<RawPeer>;
}

class House {
  readonly gate: Proxy;
  readonly #open: (target: string) => Promise<Pair>;
  #opened = 0;

  private constructor(gate: Proxy, open: (target: string) => Promise<Pair>) {
    this.gate = gate;
    this.#open = open;
  }

  static async start(
    front: Front,
    settings: string,
    options: TunnelBackendOptions = {},
    globals: string = "",
  ): Promise<House> {
    const backend = await startTunnelBackend(options);
    const gate = await startGate({
      globals,
      http: `error_log stderr info; log_format end "$uri $websocket_ended_by $websocket_end $websocket_close_code"; access_log logs/end.log end;
        ${settings}
        server { ${await front.listen()} location / { proxy_pass http://${backend.address}; } }`,
    });
    return new House(gate, async (target) => {
      const { wire } = await front.open(gate, target);
      const client = new WebSocketPeer(wire, "client");
      const upstream = await backend.tunnel(target);
      return { client, upstream: new WebSocketPeer(upstream.wire, "server") };
    });
  }

  open(): Promise<Pair> {
    return this.#open(`/${this.#opened++}`);
  }

  /** The log's words about how the tunnel ended with this number, counted from 0. */
  async endOf(index: number): Promise<string> {
    const [, words = ""] = await this.gate.waitForFile("logs/end.log", new RegExp(`^/${index} (.*)$`, "m"));
    return words;
  }

  /** Begins a drain, and has it ask every tunnel that it can ask at once: they are asked in one turn, or wait. */
  async drain(bystander: Pair): Promise<void> {
    this.gate.signal("SIGUSR2");
    await this.gate.waitForLog(/draining tunnels/);
    await bystander.client.closeCame;
  }
}

const UNMASKED = "\x81\x02hi";
const UNMASKED_SAID = "frame that is not masked (RFC 6455 section 5.1)";

function shown({ close, last, isCut }: Ending): string {
  return `${close === null ? "" : `${close.code} ${close.reason} `}${isCut ? "cut " : ""}${last}`;
}

describe.each(FRONTS)("over $name", (front) => {
  describe("a client that breaks a rule while a drain waits for a frame that is under way to it", () => {
    async function offend(settings: string): Promise<{ house: House; pair: Pair; rest: string }> {
      const house = await House.start(front, settings);
      const pair = await house.open();
      const bystander = await house.open();
      const frame = pair.upstream.frame("begun and ended");
      await pair.upstream.wire.send(frame.slice(0, -5));
      await pair.client.wire.inbox.seen("begun and ");
      await house.drain(bystander);
      await pair.client.wire.send(UNMASKED);
      await house.gate.waitForLog(/client sent a frame that is not masked/);
      return { house, pair, rest: frame.slice(-5) };
    }

    test("gets the rest of the frame, and is told what it has broken", async () => {
      const { house, pair, rest } = await offend("websocket_drain 20s spread=off;");
      await pair.upstream.wire.send(rest);
      expect(shown(await pair.client.ended)).toBe(`1002 ${UNMASKED_SAID} FIN`);
      expect(pair.client.payloads).toEqual(["begun and ended"]);
      expect(shown(await pair.upstream.ended)).toBe(`1001 client sent a ${UNMASKED_SAID} FIN`);
      expect(await house.endOf(0)).toBe("proxy violation 1002");
    });

    test("is cut when the drain's time is over, and the upstream is told", async () => {
      const { house, pair } = await offend("websocket_drain 300ms spread=off;");
      expect((await pair.client.ended).isCut).toBe(true);
      expect(shown(await pair.upstream.ended)).toBe(`1001 client sent a ${UNMASKED_SAID} FIN`);
      expect(await house.endOf(0)).toBe("proxy violation 1001");
      await house.gate.waitForLog(/tunnel cut after .* s: a frame to the client was under way until the end/);
    });
  });

  test("both sides break a rule in the same instant: both are told, and one offence is logged", async () => {
    const house = await House.start(front, "");
    const { client, upstream } = await house.open();
    await Promise.all([client.wire.send(UNMASKED), upstream.wire.send("\x83\x02hi")]);
    const ends = [shown(await client.ended), shown(await upstream.ended)];
    const reserved = "frame with a reserved opcode (RFC 6455 section 5.2)";
    expect([
      [`1002 ${UNMASKED_SAID} FIN`, `1001 client sent a ${UNMASKED_SAID} FIN`],
      [`1001 upstream sent a ${reserved} FIN`, `1002 ${reserved} FIN`],
    ]).toContainEqual(ends);
    expect(await house.endOf(0)).toMatch(/^proxy violation 100[12]$/);
    expect(house.gate.stderr.text.match(/\(rule "/g)).toHaveLength(1);
  });

  test("Close frames that cross: each side gets the other's", async () => {
    const house = await House.start(front, "");
    const { client, upstream } = await house.open();
    await Promise.all([client.sendClose(4000, "c"), upstream.sendClose(4001, "u")]);
    upstream.end();
    expect([shown(await client.ended), shown(await upstream.ended)]).toEqual(["4001 u FIN", "4000 c FIN"]);
    expect(await house.endOf(0)).toMatch(/^(client close 4000|upstream close 4001)$/);
  });

  test("an idle timeout and a drain leave a closing handshake alone that is half done", async () => {
    const house = await House.start(front, "websocket_drain 20s spread=off; websocket_idle_timeout 300ms;");
    const { client, upstream } = await house.open();
    const bystander = await house.open();
    upstream.isMute = true;
    await client.sendClose(4000, "done");
    await upstream.closeCame;
    // Idle for as long as the other one.
    await bystander.client.ended;
    await house.drain(await house.open());
    await upstream.sendClose(4000);
    upstream.end();
    expect([shown(await client.ended), shown(await upstream.ended)]).toEqual(["4000  FIN", "4000 done FIN"]);
    expect(await house.endOf(0)).toBe("client close 4000");
  });

  test("the longest duration is over between the fragments of a message, behind a ping", async () => {
    const house = await House.start(front, "websocket_max_duration 300ms;");
    const { client, upstream } = await house.open();
    await upstream.wire.send(
      upstream.frame("frag", { isFinal: false }) + upstream.frame("ping", { opcode: 9 }) + "\x00",
    );
    expect(shown(await client.ended)).toBe("1001 open for 300ms (websocket_max_duration) FIN");
    expect([client.payloads, client.pings]).toEqual([["frag"], ["ping"]]);
    expect(shown(await upstream.ended)).toBe("1001 open for 300ms (websocket_max_duration) FIN");
  });

  test("QUIT right after a drain that is not answered: it is over with worker_shutdown_timeout", async () => {
    const house = await House.start(
      front,
      "websocket_drain 30s spread=off;",
      {},
      "worker_shutdown_timeout 300ms;",
    );
    const { client, upstream } = await house.open();
    client.isMute = true;
    await house.drain({ client, upstream });
    expect(await house.gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    expect(shown(await client.ended)).toMatch(/^1012 the proxy asks its clients to connect anew (FIN|RST)$/);
    expect(shown(await upstream.ended)).toBe("1001 the proxy asks its clients to connect anew FIN");
    expect(await house.endOf(0)).toBe("proxy drain 1012");
  });

  test("TERM ends a tunnel whose client reads nothing of much", async () => {
    const house = await House.start(front, "");
    const { client, upstream } = await house.open();
    client.wire.pause();
    void upstream.sendFrame("x".repeat(20_000_000), { opcode: 2 });
    expect(await house.gate.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(await house.endOf(0)).toBe("proxy shutdown 1001");
    client.wire.resume();
    await client.ended;
    expect(client.payloads).toEqual([]);
  });

  test("the upstream's 101, a message and its FIN in one packet", async () => {
    const house = await House.start(front, "", { along: "\x81\x02hi", endsAtOnce: true });
    const { client } = await house.open();
    expect(shown(await client.ended)).toBe("1014 upstream closed its connection without a Close frame FIN");
    expect(client.payloads).toEqual(["hi"]);
    expect(await house.endOf(0)).toBe("upstream eof 1014");
  });
});
