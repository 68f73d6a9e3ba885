/** What the access log can say of a tunnel, over each front; docs/HOW_TUNNELS_END.md has who, why, code and reason for every end. */
import { describe, expect, test } from "vitest";
import { websocketVariables } from "../src/modules/websocket/variables.ts";
import { nextTurn, within } from "./rig/deadline.ts";
import { OPCODE } from "./rig/frames.ts";
import { type Front, FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { startTunnelBackend, type TunnelBackend } from "./rig/tunnel-backend.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

const NAMES = websocketVariables.map(({ name }) => name);

interface House {
  readonly front: Front;
  readonly gate: Proxy;
  readonly backend: TunnelBackend;
}

async function openHouse(front: Front): Promise<House> {
  const backend = await startTunnelBackend({ headers: "Sec-WebSocket-Protocol: chat\r\n" });
  const fields = NAMES.map((name) => `"${name}":"$${name}"`).join(",");
  const gate = await startGate({
    http: `log_format all escape=json '{"uri":"$uri",${fields},"kind":"$kind"}';
      log_format plain '$uri $websocket_close_reason $websocket_rtt';
      map $websocket_end $kind { close orderly; default broken; "" none; }
      map $websocket_end $is_broken { close 0; "" 0; default 1; }
      map $websocket_ended_by:$websocket_end $by_client { client:close yes; }
      server { ${await front.listen()}
        access_log logs/all.log all;
        access_log logs/broken.log plain if=$is_broken;
        access_log logs/by-client.log plain if=$by_client;
        access_log logs/plain.log plain;
        location / { proxy_pass http://${backend.address}; websocket_ping_interval 40ms; }
        location /limited { proxy_pass http://${backend.address}; websocket_max_message_size 3; }
        location /refused { proxy_pass http://${backend.address}; websocket_upgrade off; }
        location /plain { return 200 ok; } }`,
  });
  return { front, gate, backend };
}

interface Ends {
  readonly client: WebSocketPeer;
  readonly upstream: WebSocketPeer;
}

async function open({ front, gate, backend }: House, target: string): Promise<Ends> {
  const opening = await front.open(gate, target, { headers: { "Sec-WebSocket-Protocol": "soap, chat" } });
  expect(opening.status).toBe(front.openStatus);
  const { wire } = await backend.tunnel(target);
  return { client: new WebSocketPeer(opening.wire, "client"), upstream: new WebSocketPeer(wire, "server") };
}

/** The line about a target in logs/all.log. */
async function logged({ gate }: House, target: string): Promise<Readonly<Record<string, string>>> {
  const [line] = await gate.waitForFile("logs/all.log", new RegExp(`^.*"uri":"${target}".*$`, "m"));
  return JSON.parse(line);
}

async function until(condition: () => boolean): Promise<void> {
  const met = async (): Promise<void> => {
    while (!condition()) await nextTurn();
  };
  await within(met(), String(condition));
}

describe.each(FRONTS.map((front) => [front.name, front] as const))("over %s", (_name, front) => {
  test("every variable of a tunnel that was closed in order has its value, also in a map and in if=", async () => {
    const house = await openHouse(front);
    const { client, upstream } = await open(house, "/orderly");
    await client.sendFrame("hello");
    await upstream.sendFrame("he", { isFinal: false });
    await upstream.sendFrame("llo", { opcode: OPCODE.continuation });
    await until(() => client.pings.length >= 2 && upstream.payloads.length === 1);
    await client.sendFrame('\x0f\xa0a"b\\c\n\xc3\xa9', { opcode: OPCODE.close });
    await Promise.all([client.ended, upstream.ended]);
    const line = await logged(house, "/orderly");
    expect(line).toMatchObject({
      websocket_ended_by: "client",
      websocket_end: "close",
      websocket_close_code: "4000",
      websocket_close_reason: 'a"b\\c\né',
      websocket_messages_in: "1",
      websocket_messages_out: "1",
      websocket_subprotocol: "chat",
      websocket_compression: "",
      websocket_compression_ratio: "",
      kind: "orderly",
    });
    expect(line["websocket_rtt"]).toMatch(/^\d+\.\d{3}$/);
    expect(Number(line["websocket_duration"])).toBeGreaterThanOrEqual(0.08);
    // A message of five bytes, two pongs of eight bytes or more, and the Close frame; all of them masked.
    expect(Number(line["websocket_bytes_in"])).toBeGreaterThanOrEqual(11 + 2 * 14 + 16);
    expect(Number(line["websocket_bytes_out"])).toBeGreaterThanOrEqual(4 + 5 + 4);
    await house.gate.waitForFile(
      "logs/by-client.log",
      /^\/orderly a\\x22b\\x5Cc\\x0A\\xC3\\xA9 \d+\.\d{3}$/m,
    );
    expect(house.gate.read("logs/broken.log")).not.toContain("/orderly");
  });

  test("an end without a closing handshake is another one for a map, and what is unknown is a dash", async () => {
    const house = await openHouse(front);
    const { client, upstream } = await open(house, "/limited");
    await client.sendFrame("too long");
    await Promise.all([client.ended, upstream.ended]);
    const line = await logged(house, "/limited");
    expect(line).toMatchObject({
      websocket_ended_by: "proxy",
      websocket_end: "limit",
      websocket_close_code: "1009",
      websocket_messages_in: "0",
      websocket_rtt: "",
      kind: "broken",
    });
    await house.gate.waitForFile(
      "logs/broken.log",
      /^\/limited message above websocket_max_message_size -$/m,
    );
    expect(house.gate.read("logs/by-client.log")).not.toContain("/limited");
  });

  test("without a tunnel none has a value", async () => {
    const house = await openHouse(front);
    const opening = await house.front.open(house.gate, "/refused", {
      headers: { "Sec-WebSocket-Protocol": "soap, chat" },
    });
    expect(opening.isOpen).toBe(false);
    const line = await logged(house, "/refused");
    for (const name of NAMES) expect([name, line[name]]).toEqual([name, ""]);
    expect(line["kind"]).toBe("none");
    await house.gate.waitForFile("logs/plain.log", /^\/refused - -$/m);
  });
});
