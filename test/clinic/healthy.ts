/** Setups that are right: the doctor has to leave them alone. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../rig/deadline.ts";
import { leafCertificate, leafFiles } from "../rig/certificates.ts";
import { obtain } from "../rig/ledger.ts";
import { startNameServer } from "../rig/name-server.ts";
import { type Proxy, startGate, startNginx } from "../rig/proxy-process.ts";
import { startApplication } from "./applications.ts";
import { haproxyForMembers } from "./other-proxies.ts";
import type { Patient } from "./patient.ts";
import { APACHE_PROXY, startApache, startCaddy, startHaproxy } from "./proxies.ts";

const LINES =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';
const TRUST: readonly string[] = ["--ca", "{{ca}}"];

type Start = typeof startGate;

async function proxyWithTls(start: Start, listen: string, inside: string): Promise<Proxy> {
  const { certificate, key } = await leafFiles();
  return start({
    http: `server { listen 127.0.0.1:{{port:front}} ${listen}; ssl_certificate ${certificate}; ssl_certificate_key ${key};
      location / { ${inside} } }`,
  });
}

/** An echo by Debian's python3-websockets, which refuses everything but handshakes. */
async function startPythonServer(): Promise<number> {
  const script = fileURLToPath(new URL("../rig/peers/python_websocket_server.py", import.meta.url));
  const server = spawn("/usr/bin/python3", [script]);
  const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
  obtain("a server in Python", async () => {
    server.kill("SIGKILL");
    await ended;
  });
  const lines = createInterface({ input: server.stdout });
  const line = await within(
    new Promise<string>((resolve) => lines.once("line", resolve)),
    "the port of the server in Python",
  );
  return Number(line);
}

function behind(
  name: string,
  start: Start,
  listen: string | null,
  options: Partial<Patient> & { readonly args?: readonly string[]; readonly lines?: string } = {},
): Patient {
  const { args = [], lines = LINES, ...rest } = options;
  return {
    made: name,
    illness: null,
    ...rest,
    admit: async () => {
      const { address } = await startApplication();
      const inside = `proxy_pass http://${address}; ${lines}`;
      if (listen !== null)
        return [(await proxyWithTls(start, listen, inside)).url("wss", "/chat"), ...TRUST, ...args];
      const proxy = await start({
        http: `server { listen 127.0.0.1:{{port:front}}; location / { ${inside} } }`,
      });
      return [proxy.url("ws", "/chat"), ...args];
    },
  };
}

export const HEALTHY: readonly Patient[] = [
  {
    made: "ws straight to a Node server, with compression",
    illness: null,
    admit: async () => [
      `ws://${(await startApplication({ webSocket: { perMessageDeflate: { threshold: 0 } } })).address}/chat`,
    ],
  },
  {
    made: "ws by a name with addresses of both families, of which the server has one",
    illness: null,
    admit: async () => [`ws://localhost:${(await startApplication()).port}/chat`],
  },
  {
    made: "ws by a name whose AAAA record leads nowhere",
    illness: null,
    admit: async () => {
      const { port } = await startApplication();
      const { address } = await startNameServer({ "chat.test": ["127.0.0.1", "2001:db8:0:0:0:0:0:1"] });
      return [`ws://chat.test:${port}/chat`, "--dns", address, "--timeout", "1s"];
    },
  },
  {
    made: "nginx that listens on IPv6 alone, by a name with both records",
    illness: null,
    needs: ["nginx"],
    admit: async () => {
      const application = await startApplication();
      const proxy = await startNginx({
        http: `server { listen [::1]:{{port:front}}; location / { proxy_pass http://${application.address}; ${LINES} } }`,
      });
      const { address } = await startNameServer({ "chat.test": ["127.0.0.1", "0:0:0:0:0:0:0:1"] });
      return [`ws://chat.test:${proxy.port()}/chat`, "--dns", address];
    },
  },
  {
    made: "wss straight to a Node server, with a full chain",
    illness: null,
    admit: async () => {
      const { fullChain, key } = await leafCertificate({ isByIntermediate: true });
      return [`wss://${(await startApplication({ tls: { cert: fullChain, key } })).address}/chat`, ...TRUST];
    },
  },
  {
    made: "a server in Python (websockets)",
    illness: null,
    needs: ["python3-websockets"],
    admit: async () => [`ws://127.0.0.1:${await startPythonServer()}/chat`],
  },
  {
    made: "an application that never says anything",
    illness: null,
    admit: async () => [`ws://${(await startApplication({ onSocket: () => {} })).address}/chat`],
  },
  {
    made: "an application that greets, and closes when it is sent what it does not know",
    illness: null,
    admit: async () => {
      const application = await startApplication({
        onSocket: (socket) => {
          socket.send("welcome");
          socket.on("message", () => socket.close(1007, "not JSON"));
        },
      });
      return [`ws://${application.address}/chat`];
    },
  },
  {
    made: "an application that takes messages of 64 kB and says so (1009)",
    illness: null,
    admit: async () => [
      `ws://${(await startApplication({ webSocket: { maxPayload: 65_536 } })).address}/chat`,
    ],
  },
  {
    made: "a subprotocol on which both agree",
    illness: null,
    admit: async () => [`ws://${(await startApplication()).address}/chat`, "--subprotocol", "chat"],
  },
  {
    made: "a page over https, and wss",
    illness: null,
    admit: async () => {
      const { cert, key } = await leafCertificate();
      const { port } = await startApplication({ tls: { cert, key } });
      return [`wss://localhost:${port}/chat`, "--page", `https://localhost:${port}/`, ...TRUST];
    },
  },
  behind("nginx with the three lines, ws", startNginx, null, { needs: ["nginx"] }),
  behind("nginx with the three lines, ws, watched in silence", startNginx, null, {
    needs: ["nginx"],
    args: ["--hold", "1s"],
  }),
  behind("nginx with the three lines, wss", startNginx, "ssl", { needs: ["nginx"] }),
  behind("nginx with the three lines, wss beside HTTP/2", startNginx, "ssl http2", { needs: ["nginx"] }),
  behind("nginx and --layer4", startNginx, null, { needs: ["nginx"], args: ["--layer4"] }),
  behind("wsgate without a line about Upgrade, ws", startGate, null, { lines: "" }),
  behind("wsgate without a line about Upgrade, wss", startGate, "ssl", { lines: "" }),
  behind("wsgate, wss beside HTTP/2", startGate, "ssl http2", { lines: "" }),
  behind("wsgate that pings, past its read timeout", startGate, null, {
    lines: "proxy_read_timeout 500ms; websocket_ping_interval 200ms;",
    args: ["--hold", "1500ms"],
  }),
  {
    made: "nginx and its backend compared",
    illness: null,
    needs: ["nginx"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startNginx({
        http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${address}; ${LINES} } }`,
      });
      return [proxy.url("ws", "/chat"), "--backend", `ws://${address}/chat`];
    },
  },
  {
    made: "HAProxy, ws",
    illness: null,
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      return [(await startHaproxy({ backend: `server a ${address}` })).url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy, wss",
    illness: null,
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ bind: "ssl crt {{crt}}", backend: `server a ${address}` });
      return [proxy.url("wss", "/chat"), ...TRUST];
    },
  },
  {
    made: "HAProxy that wants a client's certificate, and --cert",
    illness: null,
    needs: ["haproxy"],
    admit: async () => {
      const { certificate, key } = await leafFiles({ isClient: true });
      return [...(await haproxyForMembers("")), "--cert", certificate, "--key", key];
    },
  },
  {
    made: "Apache with upgrade=websocket, ws",
    illness: null,
    needs: ["apache"],
    admit: async () => {
      const { address } = await startApplication();
      const lines = `ProxyPass "/" "http://${address}/" upgrade=websocket`;
      return [(await startApache({ modules: APACHE_PROXY, lines })).url("ws", "/chat")];
    },
  },
  {
    made: "Apache with mod_proxy_wstunnel and ws://, wss",
    illness: null,
    needs: ["apache"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startApache({
        modules: [...APACHE_PROXY, "proxy_wstunnel"],
        lines: `ProxyPass "/chat" "ws://${address}/chat"\nProxyPass "/" "http://${address}/"`,
        tls: true,
      });
      return [proxy.url("wss", "/chat"), ...TRUST];
    },
  },
  {
    made: "Apache with ProxyTimeout 1, which does not cut a silent tunnel: Timeout is longer",
    illness: null,
    needs: ["apache"],
    admit: async () => {
      const { address } = await startApplication();
      const lines = `ProxyTimeout 1\nProxyPass "/" "http://${address}/" upgrade=websocket`;
      return [(await startApache({ modules: APACHE_PROXY, lines })).url("ws", "/chat"), "--hold", "2200ms"];
    },
  },
  {
    made: "HAProxy, wss over HTTP/1.1 and HTTP/2",
    illness: null,
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({
        bind: "ssl crt {{crt}} alpn h2,http/1.1",
        backend: `server a ${address}`,
      });
      return [proxy.url("wss", "/chat"), ...TRUST];
    },
  },
  {
    made: "Caddy, ws",
    illness: null,
    needs: ["caddy"],
    admit: async () => {
      const { address } = await startApplication();
      return [(await startCaddy(`reverse_proxy ${address}`)).url("ws", "/chat")];
    },
  },
  {
    made: "Caddy, wss beside HTTP/2",
    illness: null,
    needs: ["caddy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startCaddy(`reverse_proxy ${address}`, { tls: true });
      return [proxy.url("wss", "/chat", "localhost"), ...TRUST];
    },
  },
];
