/** Peers that take bytes slowly but steadily: nobody may cut them, however long all of it takes. */
import { expect, test } from "vitest";
import { startRawBackend } from "./rig/backends.ts";
import { openOver } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { startGate } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

const PIECE_BYTES = 1 << 20;
const PIECES = 24;

test("an upstream that takes a body piece by piece is waited for, though all of it takes longer than proxy_send_timeout", async () => {
  const backend = await startRawBackend(() => {});
  const clock = await startTunnelBackend();
  const gate = await startGate({
    http: `client_max_body_size 0; client_body_buffer_size 64m; proxy_send_timeout 1s; websocket_ping_interval 100ms;
      server { listen 127.0.0.1:{{port:front}};
        location / { proxy_pass http://${backend.address}; }
        location /clock { proxy_pass http://${clock.address}; } }`,
  });
  const { wire } = await openOver(await connectRaw({ port: gate.port() }), "/clock");
  const ticking = new WebSocketPeer(wire, "client");
  const client = await connectRaw({ port: gate.port() });
  const bytes = PIECE_BYTES * PIECES;
  await client.send(`POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${bytes}\r\n\r\n`);
  await client.send(Buffer.alloc(bytes));
  const upstream = await backend.connection(0);
  upstream.pause();
  const began = ticking.pings.length;
  for (let piece = 1; piece < PIECES; piece++) {
    upstream.resume();
    await upstream.bytes(PIECE_BYTES);
    upstream.pause();
    await ticking.pinged(began + piece);
  }
  upstream.resume();
  await upstream.bytes(PIECE_BYTES);
  await upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
  expect(await client.toEnd()).toMatch(/^HTTP\/1\.1 200 [^]*done$/);
});
