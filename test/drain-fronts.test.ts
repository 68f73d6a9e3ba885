/** A drain, a shutdown and a stop over every front, and with clients that nobody here wrote. */
import { beforeAll, describe, expect, test } from "vitest";
import type { BrowserContext } from "playwright-core";
import { startWebSocketBackend } from "./rig/backends.ts";
import { startBrowser } from "./rig/browser.ts";
import { leafFiles } from "./rig/certificates.ts";
import { type Front, FRONTS } from "./rig/fronts.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate } from "./rig/proxy-process.ts";
import { has, requires } from "./rig/requires.ts";
import { startTunnelBackend } from "./rig/tunnel-backend.ts";
import { connectWebSocket, requiresClient, WEBSOCKET_CLIENT_KINDS } from "./rig/websocket-clients.ts";
import { WebSocketPeer } from "./rig/websocket-peer.ts";

useRig();

const TUNNELS = 6;

interface Tunnel {
  readonly client: WebSocketPeer;
  readonly upstream: WebSocketPeer;
}

async function openTunnels(
  front: Front,
  settings: string = "",
): Promise<{ gate: Proxy; tunnels: readonly Tunnel[] }> {
  const backend = await startTunnelBackend();
  const gate = await startGate({
    http: `websocket_drain 900ms; ${settings} log_format tunnel "$websocket_ended_by $websocket_end $websocket_close_code";
      server { ${await front.listen()} access_log logs/tunnel.log tunnel;
        location / { proxy_pass http://${backend.address}; } }`,
  });
  const tunnels: Tunnel[] = [];
  for (let i = 0; i < TUNNELS; i++) {
    const { wire } = await front.open(gate, `/${i}`);
    const upstream = await backend.tunnel(`/${i}`);
    tunnels.push({
      client: new WebSocketPeer(wire, "client"),
      upstream: new WebSocketPeer(upstream.wire, "server"),
    });
  }
  return { gate, tunnels };
}

/** As each saw the end: the code of the Close frame, and how the connection ended. */
async function ends(peer: WebSocketPeer): Promise<string> {
  const { close, last } = await peer.ended;
  return `${close?.code ?? "none"} ${last}`;
}

describe.each(FRONTS)("over $name", (front) => {
  test("QUIT: a handshake with the client, and by its answer with the upstream", async () => {
    const { gate, tunnels } = await openTunnels(front);
    expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    for (const { client, upstream } of tunnels) {
      expect(await ends(client)).toBe("1012 FIN");
      expect(await ends(upstream)).toBe("1012 FIN");
    }
    expect(gate.read("logs/tunnel.log")).toBe("proxy shutdown 1012\n".repeat(TUNNELS));
  });

  test("QUIT: a client that hangs is cut, and its upstream told, before the process ends", async () => {
    const { gate, tunnels } = await openTunnels(front);
    for (const { client } of tunnels) client.isMute = true;
    expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    for (const { upstream } of tunnels) expect(await ends(upstream)).toBe("1001 FIN");
    expect(gate.stderr.text.match(/tunnel cut after .* the client has not answered/g)).toHaveLength(TUNNELS);
  });

  test("QUIT: what websocket_rate keeps back delays no Close frame, and nothing of it is lost", async () => {
    const { gate, tunnels } = await openTunnels(
      front,
      "websocket_rate 1k/s; websocket_rate 1k/s from=upstream;",
    );
    const long = "x".repeat(20_000);
    for (const { client, upstream } of tunnels) {
      await client.sendFrame(long);
      await upstream.sendFrame(long);
      await Promise.all([client.wire.inbox.seen("xxx"), upstream.wire.inbox.seen("xxx")]);
    }
    expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    for (const { client, upstream } of tunnels) {
      expect(await ends(client)).toBe("1012 FIN");
      expect(await ends(upstream)).toBe("1012 FIN");
      // An answer that was under way when the client was asked is whole; what was said before it was has arrived.
      expect([client.payloads, upstream.payloads]).toEqual([[long], [long]]);
    }
    expect(gate.read("logs/error.log")).not.toContain("tunnel cut");
  });

  test("TERM: both sides are told, and the process ends", async () => {
    const { gate, tunnels } = await openTunnels(front);
    expect(await gate.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    for (const { client, upstream } of tunnels) {
      expect(await ends(client)).toBe("1001 FIN");
      expect(await ends(upstream)).toBe("1001 FIN");
    }
    expect(gate.read("logs/tunnel.log")).toBe("proxy shutdown 1001\n".repeat(TUNNELS));
  });

  test("-s drain: tunnels end, and a new one is refused on a connection that stays", async () => {
    const { gate, tunnels } = await openTunnels(front);
    gate.signal("SIGUSR2");
    for (const { client } of tunnels) expect(await ends(client)).toBe("1012 FIN");
    await gate.waitForLog(/no tunnels are left/);
    const late = await front.open(gate, "/late");
    expect([late.status, late.header("Retry-After")]).toEqual([503, "1"]);
  });
});

describe("clients that nobody here wrote", () => {
  let browser: BrowserContext | undefined;
  beforeAll(async () => {
    if (has("chromium")) browser = await startBrowser();
  });

  const cases = WEBSOCKET_CLIENT_KINDS.map((kind) => ({ kind }));

  test.for(cases)("$kind sees 1012 at QUIT, and 1001 at TERM", async ({ kind }, context) => {
    requiresClient(context, kind);
    for (const [signal, code, reason] of [
      ["SIGQUIT", 1012, "the proxy is going down"],
      ["SIGTERM", 1001, "the proxy is going down"],
    ] as const) {
      const backend = await startWebSocketBackend();
      const gate = await startGate({
        http: `websocket_drain 600ms; server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${backend.address}; } }`,
      });
      const client = await connectWebSocket(kind, gate.url("ws"), { browser });
      expect(await gate.stop(signal)).toEqual({ code: 0, signal: null });
      expect(await client.closed).toEqual({ code, reason });
    }
  });

  test.for(["HTTP/1.1", "HTTP/2"])("a page sees a clean close over %s", async (version, context) => {
    requires(context, "chromium");
    const { certificate, key } = await leafFiles();
    const backend = await startWebSocketBackend();
    const gate = await startGate({
      http: `websocket_drain 600ms; server { listen 127.0.0.1:{{port:front}} ssl; http2 ${version === "HTTP/2" ? "on" : "off"};
        ssl_certificate ${certificate}; ssl_certificate_key ${key};
        location = /page { default_type text/html; return 200 "<p>page"; }
        location / { proxy_pass http://${backend.address}; } }`,
    });
    expect(browser).toBeDefined();
    const page = await browser?.newPage();
    await page?.goto(gate.url("https", "/page"));
    const opened = page?.evaluate(`new Promise((resolve) => {
      const socket = new WebSocket(${JSON.stringify(gate.url("wss"))});
      window.ended = new Promise((done) => {
        socket.onclose = ({ wasClean, code, reason }) => done({ wasClean, code, reason });
      });
      socket.onopen = resolve;
    }).then(() => true)`);
    expect(await opened).toBe(true);
    expect(await gate.stop("SIGQUIT")).toEqual({ code: 0, signal: null });
    expect(await page?.evaluate("window.ended")).toEqual({
      wasClean: true,
      code: 1012,
      reason: "the proxy is going down",
    });
    await page?.close();
  });
});
