/** websocket_log: what of a tunnel's life gets a line in the error log. */
import { expect, test } from "vitest";
import { startRawBackend } from "./rig/backends.ts";
import { clientFrame, serverFrame } from "./rig/frames.ts";
import { HANDSHAKE_ACCEPT, handshakeBytes } from "./rig/http-client.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectRaw, type RawPeer } from "./rig/raw-peer.ts";

useRig();

interface Tunnel {
  readonly gate: Proxy;
  readonly client: RawPeer;
  readonly upstream: RawPeer;
}

async function openTunnel(settings: string, level = "info"): Promise<Tunnel> {
  const backend = await startRawBackend(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: ${HANDSHAKE_ACCEPT}\r\n\r\n`,
  );
  const gate = await startGate({
    http: `error_log {{prefix}}/logs/error.log ${level};
      server { listen 127.0.0.1:{{port:front}}; access_log logs/access.log;
        location / { proxy_pass http://${backend.address}; ${settings} } }`,
  });
  const client = await connectRaw({ port: gate.port() });
  await client.send(handshakeBytes("/", { "Sec-WebSocket-Protocol": "soap, chat" }));
  expect((await readResponse(client)).status).toBe(101);
  return { gate, client, upstream: await backend.connection(0) };
}

/** Says a little, and closes; the reason wants to be two lines. */
const REASON = 'bye"\n[warn] forged';

async function talkAndClose({ gate, client, upstream }: Tunnel): Promise<readonly string[]> {
  await client.send(clientFrame("hello") + clientFrame("12", 2) + clientFrame(`\x0f\xa0${REASON}`, 8));
  await upstream.until(REASON);
  await upstream.send(`\x01\x02he\x80\x03llo${serverFrame("\x0f\xa0", 8)}`);
  upstream.end();
  await client.toEnd();
  client.end();
  await gate.waitForFile("logs/access.log", / 101 /);
  return linesOf(gate);
}

/** `[level] message` of the lines about the tunnel. */
function linesOf(gate: Proxy): readonly string[] {
  return gate
    .read("logs/error.log")
    .split("\n")
    .filter((line) => line.includes('request: "GET / HTTP'))
    .map((line) => line.replace(/^.*?(\[\w+\]) \d+#\d+: \*\d+ /, "$1 ").replace(/, client: .*$/, ""));
}

const WHILE = " while proxying upgraded connection";
const END =
  /^\[info\] tunnel ended by client: close, 4000 "bye\\x22\\x0A\[warn\] forged", after 0\.\d{3}s; client sent 2 messages, 45 bytes, upstream 1 message, 13 bytes while proxying upgraded connection$/;

test("by default the end has a line, where nobody can forge one", async () => {
  const tunnel = await openTunnel("");
  const lines = await talkAndClose(tunnel);
  expect(lines).toEqual([expect.stringMatching(END)]);
});

test("each event has its line, in order", async () => {
  const tunnel = await openTunnel("websocket_log open end close-frame message;");
  const lines = await talkAndClose(tunnel);
  expect(lines).toEqual([
    `[info] tunnel opened: "websocket", subprotocol "chat"${WHILE}`,
    `[info] client sent a text message of 5 bytes${WHILE}`,
    `[info] client sent a binary message of 2 bytes${WHILE}`,
    `[info] client sent a Close frame: 4000 "bye\\x22\\x0A[warn] forged"${WHILE}`,
    `[info] upstream sent a text message of 5 bytes in 2 frames${WHILE}`,
    `[info] upstream sent a Close frame: 4000${WHILE}`,
    expect.stringMatching(END),
  ]);
});

test("Close frames of wsgate's own are told with the side that they go to", async () => {
  const { gate, client, upstream } = await openTunnel(
    "websocket_log close-frame; websocket_max_message_size 3;",
  );
  await client.send(clientFrame("too long"));
  await client.toEnd();
  client.end();
  upstream.end();
  await gate.waitForFile("logs/access.log", / 101 /);
  expect(linesOf(gate)).toEqual(
    expect.arrayContaining([
      `[info] wsgate sent the client a Close frame: 1009 "message above websocket_max_message_size"${WHILE}`,
      expect.stringMatching(/^\[info\] wsgate sent the upstream a Close frame: 1001 "/),
    ]),
  );
});

test.each([
  ["off", "websocket_log off;", "info"],
  ["where the log is not at info", "websocket_log open end close-frame message;", "notice"],
])("nothing is told: %s", async (_what, settings, level) => {
  expect(await talkAndClose(await openTunnel(settings, level))).toEqual([]);
});
