/** What the access log says of requests that were answered, cut and left, beside the real nginx's. */
import { expect, test } from "vitest";
import { startApplication } from "./clinic/applications.ts";
import { startConnectionBackend, startFaultyBackend } from "./rig/backends.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc";

async function startOne(start: typeof startGate, isOurs: boolean): Promise<Proxy> {
  const silent = (await startFaultyBackend("hang")).address;
  const slow = await startConnectionBackend(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send(HEAD);
  });
  const cut = await startConnectionBackend(async (peer) => {
    await peer.until("\r\n\r\n");
    await peer.send(HEAD);
    await peer.close();
  });
  const application = await startApplication();
  return start({
    http: `
    log_format told '$request_uri $status <$request_completion> <$args> <$query_string> <$proxy_protocol_addr>';
    access_log logs/told.log told;
    client_body_timeout 500ms;
    server {
      listen 127.0.0.1:{{port:front}};
      location /444 { return 444; }
      location /500 { return 500; }
      location /page { return 200; }
      location /dead { proxy_pass http://127.0.0.1:{{port:dead}}; }
      location /cut { proxy_pass http://${cut.address}; }
      location /silent { proxy_pass http://${silent}; proxy_read_timeout 300ms; }
      location /left { proxy_pass http://${slow.address}; proxy_buffering off; }
      location /body { proxy_pass http://${silent}; }
      location /ws {
        proxy_pass http://${application.address}; proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        proxy_read_timeout 500ms; ${isOurs ? "websocket_ping_interval off;" : ""}
      }
    }`,
    tolerates: [/./],
  });
}

async function logOf(proxy: Proxy): Promise<string> {
  const port = proxy.port("front");
  const logged = (target: string) =>
    proxy.waitForFile("logs/told.log", new RegExp(`^${target.replace("?", "\\?")} `, "m"));
  for (const target of ["/444", "/500", "/page?", "/page?a=b", "/dead", "/cut", "/silent"]) {
    const client = await connectRaw({ port });
    await client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    await client.toEnd();
    await logged(target);
  }
  const leaver = await connectRaw({ port });
  await leaver.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n");
  await leaver.until("abc");
  await leaver.close();
  await logged("/left");
  const slow = await connectRaw({ port });
  await slow.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  await logged("/body");
  await slow.close();
  const polite = await connectWebSocket("ws", proxy.url("ws", "/ws?polite", "front"));
  polite.close(1000, "");
  await polite.closed;
  await logged("/ws?polite");
  const idle = await connectWebSocket("ws", proxy.url("ws", "/ws?idle", "front"));
  await idle.closed;
  await logged("/ws?idle");
  return proxy.read("logs/told.log");
}

test("$request_completion is OK where the client was answered to the end, and a query that is empty is not there", async (context) => {
  requires(context, "nginx");
  const [ours, nginxs] = [
    await logOf(await startOne(startGate, true)),
    await logOf(await startOne(startNginx, false)),
  ];
  expect(ours).toBe(nginxs);
  expect(ours).toContain("/444 444 <> <-> <-> <->\n");
  expect(ours).toContain("/silent 504 <OK> ");
});
