/** What wsgate does in a tunnel because it knows what a WebSocket is. */
import { describe, expect, test } from "vitest";
import { type RawBackend, startRawBackend, startWebSocketBackend } from "./rig/backends.ts";
import { clientFrame, readClose, serverFrame } from "./rig/frames.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const SWITCHING = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`;

interface Tunnel {
  readonly gate: Proxy;
  readonly client: RawPeer;
  readonly upstream: RawPeer;
}

function startInFrontOf(address: string, settings: string, clockFactor?: number): Promise<Proxy> {
  return startGate({
    ...(clockFactor === undefined ? {} : { clockFactor }),
    http: `error_log stderr info;
      log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code $websocket_messages_in $websocket_messages_out [$websocket_close_reason]";
      server { listen 127.0.0.1:{{port:front}}; access_log logs/tunnel.log tunnel;
        location / { proxy_pass http://${address}; ${settings} } }`,
  });
}

async function openTunnel(settings = "", clockFactor?: number): Promise<Tunnel> {
  const backend: RawBackend = await startRawBackend(SWITCHING);
  const gate = await startInFrontOf(backend.address, settings, clockFactor);
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/"));
  expect((await readResponse(client)).status).toBe(101);
  return { gate, client, upstream: await backend.connection(0) };
}

describe("pings", () => {
  // The clock of the gate runs two hundred times faster: 20 s of silence are a tenth of a second.
  test("keep an idle tunnel alive beyond proxy_read_timeout while both sides answer", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend.address, "proxy_read_timeout 60s;", 200);
    const client = await connectWebSocket("ws", gate.url("ws"));
    const pings = new Promise<void>((resolve) => {
      let count = 0;
      // Nine intervals are three times the read timeout.
      backend.sockets[0]?.on("ping", () => (++count === 9 ? resolve() : undefined));
    });
    await pings;
    client.send("still here");
    expect(await client.next()).toBe("still here");
    client.close(4000, "done");
    expect(await client.closed).toEqual({ code: 4000, reason: "done" });
    await gate.waitForFile("logs/tunnel.log", /^client close 4000 1 1 \[done\]$/m);
  });

  test("go to a side that is silent, and their answers stay with the proxy", async () => {
    const { client, upstream } = await openTunnel("websocket_ping_interval 100ms;");
    const ping = await client.until(/\x89\x08[^]{8}/);
    await client.send(clientFrame(ping.slice(2), 10) + clientFrame("after"));
    // The upstream is pinged as well; what comes from the client is its message alone.
    const received = await upstream.until("after");
    expect(received).not.toContain("\x8a");
    expect(received.endsWith(clientFrame("after"))).toBe(true);
  });

  test("never stand inside a frame that is under way", async () => {
    const { client, upstream } = await openTunnel("websocket_ping_interval 50ms;");
    const [head, rest] = [serverFrame("0123456789").slice(0, 7), serverFrame("0123456789").slice(7)];
    await upstream.send(head);
    await client.exactly(head);
    // Its own pings tell the upstream that time has passed in which the client, too, was silent.
    await upstream.until("\x89");
    await upstream.send(rest);
    // Nothing but the frame has reached the client.
    expect(await client.until("789")).toBe(rest);
  });

  test("find out a side that is dead: the other is told, and the log says so", async () => {
    const { gate, client, upstream } = await openTunnel(
      "websocket_ping_interval 50ms; proxy_read_timeout 200ms; websocket_idle_timeout off;",
    );
    // The upstream goes on talking, which re-arms the read timeout; the client answers nothing.
    let goesOn = true;
    upstream.socket.once("close", () => (goesOn = false));
    const talk = (): void => {
      if (!goesOn) return;
      upstream.socket.write(Buffer.from(serverFrame("x"), "latin1"));
      setTimeout(talk, 20);
    };
    talk();
    // The upstream is alive, so all that it gets is the Close frame.
    expect(await upstream.until(/\x88[^]{2,}/)).not.toContain("\x89");
    goesOn = false;
    client.end();
    upstream.end();
    await gate.waitForFile("logs/tunnel.log", /^proxy ping-timeout 1001 0 \d+ /m);
  });
});

describe("a frame that breaks a rule", () => {
  test("of the client's ends the tunnel with 1002 to it and 1001 to the upstream, and the log names the rule", async () => {
    const { gate, client, upstream } = await openTunnel();
    await client.send(clientFrame("fine") + serverFrame("not masked"));
    expect(readClose(await client.toEnd())?.code).toBe(1002);
    const received = await upstream.toEnd();
    expect(received.startsWith(clientFrame("fine"))).toBe(true);
    expect(readClose(received.slice(clientFrame("fine").length))?.code).toBe(1001);
    client.end();
    upstream.end();
    await gate.waitForLog(
      /client sent a frame of a client that is not masked .*\(rule "unmasked-client-frame"\)/,
    );
    await gate.waitForFile("logs/tunnel.log", /^proxy violation 1002 1 0 /m);
  });

  test("of the upstream's ends it with 1002 to the upstream and 1001 to the client", async () => {
    const { gate, client, upstream } = await openTunnel();
    await upstream.send("\x83\x00");
    expect(readClose(await upstream.toEnd())?.code).toBe(1002);
    expect(readClose(await client.toEnd())?.code).toBe(1001);
    client.end();
    upstream.end();
    await gate.waitForLog(/\[error\] .*upstream sent a reserved opcode .*rule "reserved-opcode"/);
  });
});

describe("limits", () => {
  test.each([
    ["websocket_max_message_size 5;", serverFrame("too long"), 1009, "websocket_max_message_size"],
    ["websocket_max_frame_size 5;", serverFrame("too long"), 1009, "websocket_max_frame_size"],
    ["websocket_max_fragments 2;", "\x01\x00\x00\x00\x80\x00", 1008, "websocket_max_fragments"],
  ])("%s: the offender is told %#", async (settings, bytes, code, words) => {
    const { gate, client, upstream } = await openTunnel(settings);
    await upstream.send(serverFrame("short") + bytes);
    const farewell = readClose(await upstream.toEnd());
    expect(farewell?.code).toBe(code);
    expect(farewell?.reason).toContain(words);
    const received = await client.toEnd();
    expect(received.startsWith(serverFrame("short"))).toBe(true);
    client.end();
    upstream.end();
    await gate.waitForFile("logs/tunnel.log", /^proxy limit /m);
  });

  test("a tunnel without messages ends after websocket_idle_timeout although pings are answered", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(
      backend.address,
      "websocket_ping_interval 50ms; websocket_idle_timeout 300ms;",
    );
    const client = await connectWebSocket("ws", gate.url("ws"));
    expect(await client.closed).toEqual({ code: 1001, reason: "no message for websocket_idle_timeout" });
  });

  test("a tunnel ends after websocket_max_duration in the middle of a conversation, between two frames", async () => {
    const backend = await startWebSocketBackend();
    const gate = await startInFrontOf(backend.address, "websocket_max_duration 300ms;");
    const client = await connectWebSocket("ws", gate.url("ws"));
    client.send("x");
    expect(await client.next()).toBe("x");
    expect(await client.closed).toEqual({ code: 1001, reason: "open for websocket_max_duration" });
  });
});
