/** What a reload does with tunnels whose upstream server, server block or listener it takes away: `websocket_removal`. */
import { describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { startWebSocketBackend, type WebSocketBackend } from "./rig/backends.ts";
import { untilSo } from "./rig/deadline.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { connectWebSocket, type WebSocketClient } from "./rig/websocket-clients.ts";

useRig();

const DRAIN = "websocket_removal drain; websocket_drain 600ms;";
const DRAINED = { code: 1012, reason: "the proxy asks its clients to connect anew" };

function configuration(http: string, workers: number = 1): string {
  return `worker_processes ${workers}; events {} http {
    log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code $upstream_addr";
    access_log logs/tunnel.log tunnel;
    ${http} }`;
}

async function reloadTo(gate: Proxy, http: string, workers: number = 1): Promise<void> {
  await gate.write("conf/nginx.conf", configuration(http, workers));
  const from = gate.stderr.text.length;
  gate.signal("SIGHUP");
  await gate.waitForLog(/ is ready$/m, from);
}

function server(body: string, name: string = "front"): string {
  return `server { listen 127.0.0.1:{{port:${name}}}; ${body} }`;
}

async function expectEcho(tunnel: WebSocketClient): Promise<void> {
  tunnel.send("still here");
  expect(await tunnel.next()).toBe("still here");
}

function backends(count: number): Promise<WebSocketBackend[]> {
  return Promise.all(Array.from({ length: count }, () => startWebSocketBackend()));
}

/** Before and after a reload; `one` and `two` are addresses of backends. A tunnel leads to `one` at first. */
interface Change {
  readonly what: string;
  readonly before: (one: string, two: string) => string;
  readonly after: (one: string, two: string) => string;
}

const REMOVALS: readonly Change[] = [
  {
    what: "its server is taken out of the upstream block",
    before: (one) => `upstream u { server ${one}; } ${server("location / { proxy_pass http://u; }")}`,
    after: (_, two) => `upstream u { server ${two}; } ${server("location / { proxy_pass http://u; }")}`,
  },
  {
    what: "its server is marked down",
    before: (one) => `upstream u { server ${one}; } ${server("location / { proxy_pass http://u; }")}`,
    after: (one, two) =>
      `upstream u { server ${one} down; server ${two}; } ${server("location / { proxy_pass http://u; }")}`,
  },
  {
    what: "proxy_pass names another address",
    before: (one) => server(`location / { proxy_pass http://${one}; }`),
    after: (_, two) => server(`location / { proxy_pass http://${two}; }`),
  },
  {
    what: "proxy_pass names another upstream, though the one before is still there and in use elsewhere",
    before: (one, two) =>
      `upstream blue { server ${one}; } upstream green { server ${two}; }
       ${server("location / { proxy_pass http://blue; } location /other { proxy_pass http://blue; }")}`,
    after: (one, two) =>
      `upstream blue { server ${one}; } upstream green { server ${two}; }
       ${server("location / { proxy_pass http://green; } location /other { proxy_pass http://blue; }")}`,
  },
  {
    what: "its server block is gone, though another one answers for its host now, and passes to the same place",
    before: (one) =>
      `${server(`server_name other; location / { proxy_pass http://${one}; }`)}
       ${server(`server_name 127.0.0.1; location / { proxy_pass http://${one}; }`)}`,
    after: (one) => server(`server_name other; location / { proxy_pass http://${one}; }`),
  },
  {
    what: "its listener is gone",
    before: (one) => server(`location / { proxy_pass http://${one}; }`),
    after: (one) => server(`location / { proxy_pass http://${one}; }`, "back"),
  },
  {
    what: "a proxy_pass with variables led to an upstream block that is gone",
    before: (one) =>
      `upstream u { server ${one}; } ${server("set $to u; location / { proxy_pass http://$to; }")}`,
    after: (_, two) => server(`set $to ${two}; location / { proxy_pass http://$to; }`),
  },
];

const CHANGES_THAT_LEAVE_IT: readonly Change[] = [
  {
    what: "another server joins",
    before: (one) => `upstream u { server ${one}; } ${server("location / { proxy_pass http://u; }")}`,
    after: (one, two) =>
      `upstream u { server ${one} weight=2 backup; server ${two}; } ${server("location / { proxy_pass http://u; }")}`,
  },
  {
    what: "its location is written otherwise, and passes to the same place",
    before: (one) => server(`location / { proxy_pass http://${one}; }`),
    after: (one) => server(`location ~ ^/ { proxy_pass http://${one}; }`),
  },
  {
    what: "its server gets a further name",
    before: (one) => server(`server_name 127.0.0.1; location / { proxy_pass http://${one}; }`),
    after: (one) => server(`server_name a 127.0.0.1; location / { proxy_pass http://${one}; }`),
  },
  {
    what: "an address that requests name is named otherwise",
    before: (one) => server(`set $to ${one}; location / { proxy_pass http://$to; }`),
    after: (_, two) => server(`set $to ${two}; location / { proxy_pass http://$to; }`),
  },
];

describe("with websocket_removal drain", () => {
  test.each(REMOVALS)("a tunnel is drained when $what", async ({ before, after }) => {
    const [one, two] = await backends(2);
    const [first, second] = [one?.address ?? "", two?.address ?? ""];
    const gate = await startGate({ config: configuration(`${DRAIN} ${before(first, second)}`) });
    const tunnel = await connectWebSocket("ws", gate.url("ws", "/", "front"));
    await reloadTo(gate, `${DRAIN} ${after(first, second)}`);
    expect(await tunnel.closed).toEqual(DRAINED);
    await gate.waitForFile("logs/tunnel.log", new RegExp(`^proxy drain 1012 ${first}$`, "m"));
    expect(gate.stderr.text).toMatch(/draining tunnels that the new configuration has no place for: 1$/m);
  });

  test.each(CHANGES_THAT_LEAVE_IT)("a tunnel stays when $what", async ({ before, after }) => {
    const [one, two] = await backends(2);
    const [first, second] = [one?.address ?? "", two?.address ?? ""];
    const gate = await startGate({ config: configuration(`${DRAIN} ${before(first, second)}`) });
    const tunnel = await connectWebSocket("ws", gate.url("ws", "/", "front"));
    await reloadTo(gate, `${DRAIN} ${after(first, second)}`);
    await expectEcho(tunnel);
    expect(gate.stderr.text).not.toMatch(/draining/);
  });

  test("a tunnel that several reloads have left alone is still found by the one that concerns it", async () => {
    const [one, two] = await backends(2);
    const pass = server("location / { proxy_pass http://u; }");
    const gate = await startGate({
      config: configuration(`${DRAIN} upstream u { server ${one?.address}; } ${pass}`),
    });
    const tunnel = await connectWebSocket("ws", gate.url("ws"));
    for (let i = 0; i < 2; i++)
      await reloadTo(gate, `${DRAIN} upstream u { server ${one?.address}; server ${two?.address}; } ${pass}`);
    await reloadTo(gate, server("return 404;"));
    expect(await tunnel.closed).toEqual(DRAINED);
  });

  test.each([1, 2])(
    "in %i workers only those are drained whose peer is gone, and new ones go to the others",
    async (workers) => {
      const [one, two] = await backends(2);
      const pass = server("location / { proxy_pass http://u; }");
      const both = `upstream u { server ${one?.address}; server ${two?.address}; }`;
      const gate = await startGate({ config: configuration(`${DRAIN} ${both} ${pass}`, workers) });
      const tunnels: WebSocketClient[] = [];
      for (let i = 0; i < 8; i++) tunnels.push(await connectWebSocket("ws", gate.url("ws")));
      const [leaving, staying] = [one?.sockets.length ?? 0, two?.sockets.length ?? 0];
      expect([leaving > 0, staying > 0, leaving + staying]).toEqual([true, true, 8]);
      const seen = two?.sockets.length ?? 0;
      await reloadTo(
        gate,
        `${DRAIN} upstream u { server ${one?.address} down; server ${two?.address}; } ${pass}`,
        workers,
      );
      for (let i = 0; i < 4; i++) tunnels.push(await connectWebSocket("ws", gate.url("ws")));
      expect(two?.sockets.length).toBe(seen + 4);
      // Some may have ended before the last of the new ones was open.
      const isClosed = ({ readyState }: WebSocket): boolean => readyState === WebSocket.CLOSED;
      await untilSo(
        "the tunnels of the peer that is gone to end",
        () => one?.sockets.every(isClosed) === true,
      );
      expect(one?.sockets).toHaveLength(leaving);
      expect(two?.sockets.every((socket) => socket.readyState === socket.OPEN)).toBe(true);
      await gate.waitForFile(
        "logs/tunnel.log",
        new RegExp(`^(proxy drain 1012 ${one?.address}\n){${leaving}}`),
      );
    },
  );
});

test("without it a tunnel outlasts everything that it came by", async () => {
  const [one, two] = await backends(2);
  const gate = await startGate({
    config: configuration(
      `upstream u { server ${one?.address}; } ${server("location / { proxy_pass http://u; }")}`,
    ),
  });
  const tunnel = await connectWebSocket("ws", gate.url("ws", "/", "front"));
  await reloadTo(gate, server(`location / { proxy_pass http://${two?.address}; }`, "back"));
  await expectEcho(tunnel);
});
