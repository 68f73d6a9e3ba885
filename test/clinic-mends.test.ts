/** The lines that the doctor recommends, pasted as they stand into the real proxy that they are for, make it healthy. */
import { expect, test } from "vitest";
import type { Mend, Product } from "../src/doctor/verdict/illness.ts";
import { fillIn, ILLNESSES } from "../src/doctor/verdict/verdict.ts";
import { textReport } from "../src/doctor/report/text.ts";
import { startApplication } from "./clinic/applications.ts";
import { examine } from "./clinic/examine.ts";
import { APACHE_PROXY, authorityFile, startApache, startCaddy, startHaproxy } from "./clinic/proxies.ts";
import { leafFiles } from "./rig/certificates.ts";
import { useRig } from "./rig/ledger.ts";
import { startNginx } from "./rig/proxy-process.ts";
import { type Part, requires } from "./rig/requires.ts";

useRig();

interface Cure {
  readonly illness: string;
  readonly product: Product & Part;
  /** Who else takes part. */
  readonly needs?: readonly Part[];
  /** Which of several mends for one product, or part of its lines. */
  readonly which?: string;
  readonly choose?: (lines: string) => string;
  /** Sets the proxy up with the lines, and returns the arguments of the doctor. */
  readonly apply: (lines: string, backend: string) => Promise<readonly string[]>;
}

const HOLD: readonly string[] = ["--hold", "2200ms"];
const AUTHORITY: readonly string[] = ["--ca", "{{ca}}"];

async function nginxWith(http: string, args: readonly string[] = []): Promise<readonly string[]> {
  const proxy = await startNginx({ http, tolerates: [/./] });
  return [proxy.url("ws", "/chat"), ...args];
}

const THREE_LINES =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

const CURES: readonly Cure[] = [
  {
    illness: "upgrade-lost",
    product: "apache",
    which: "upgrade=websocket, before the ProxyPass of /",
    choose: (lines) => lines.slice(0, lines.indexOf("#")),
    apply: async (lines, backend) => {
      const all = `${lines}\nProxyPass "/" "http://${backend}/"`;
      return [(await startApache({ modules: APACHE_PROXY, lines: all })).url("ws", "/chat")];
    },
  },
  {
    illness: "upgrade-lost",
    product: "apache",
    which: "mod_rewrite and mod_proxy_wstunnel",
    choose: (lines) => lines.slice(lines.indexOf("#")),
    apply: async (lines, backend) => {
      const modules = [...APACHE_PROXY, "proxy_wstunnel", "rewrite"];
      const proxy = await startApache({ modules, lines: `${lines}\nProxyPass "/" "http://${backend}/"` });
      return [proxy.url("ws", "/chat?room=a%20b")];
    },
  },
  {
    illness: "path-not-routed",
    product: "apache",
    apply: async (lines) => [(await startApache({ modules: APACHE_PROXY, lines })).url("ws", "/chat")],
  },
  {
    illness: "idle-cut",
    product: "apache",
    apply: async (lines) => {
      const proxy = await startApache({ modules: APACHE_PROXY, lines: `Timeout 1\n${lines}` });
      return [proxy.url("ws", "/chat"), ...HOLD];
    },
  },
  {
    illness: "backend-unavailable",
    product: "apache",
    apply: async (lines) => [(await startApache({ modules: APACHE_PROXY, lines })).url("ws", "/chat")],
  },
  {
    illness: "tls-client-certificate",
    product: "apache",
    apply: async (lines, backend) => {
      const { certificate } = await leafFiles();
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `SSLCACertificateFile ${certificate}\n${lines}\nProxyPass "/" "http://${backend}/" upgrade=websocket`,
        tls: true,
      });
      return [proxy.url("wss", "/chat"), ...AUTHORITY];
    },
  },
  {
    illness: "upgrade-lost",
    product: "nginx",
    apply: (lines) => {
      const at = lines.indexOf("location");
      return nginxWith(
        `${lines.slice(0, at)} server { listen 127.0.0.1:{{port:front}}; ${lines.slice(at)} }`,
      );
    },
  },
  {
    illness: "path-not-routed",
    product: "nginx",
    apply: (lines) =>
      nginxWith(`server { listen 127.0.0.1:{{port:front}}; location ~ chat { return 404; } ${lines} }`),
  },
  {
    illness: "idle-cut",
    product: "nginx",
    apply: (lines, backend) =>
      nginxWith(
        `proxy_read_timeout 1s; server { listen 127.0.0.1:{{port:front}};
         ${lines.replace(/\}\s*$/, `proxy_pass http://${backend}; ${THREE_LINES} }`)} }`,
        HOLD,
      ),
  },
  {
    illness: "tls-client-certificate",
    product: "nginx",
    apply: async (lines, backend) => {
      const { certificate, key } = await leafFiles();
      const proxy = await startNginx({
        http: `server { listen 127.0.0.1:{{port:front}} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key};
               ssl_client_certificate ${certificate}; ${lines} location / { proxy_pass http://${backend}; ${THREE_LINES} } }`,
        tolerates: [/./],
      });
      return [proxy.url("wss", "/chat"), ...AUTHORITY];
    },
  },
  {
    illness: "proxy-header-missing",
    product: "nginx",
    apply: (lines, backend) =>
      nginxWith(
        `server { ${lines.replace("443", "127.0.0.1:{{port:front}}")}
         location / { proxy_pass http://${backend}; ${THREE_LINES} } }`,
      ),
  },
  {
    illness: "proxy-header-unexpected",
    product: "nginx",
    needs: ["haproxy"],
    apply: async (lines, backend) => {
      const inner = await startNginx({
        http: `server { ${lines.replace("443", "127.0.0.1:{{port:front}}")}
         location / { proxy_pass http://${backend}; ${THREE_LINES} } }`,
        tolerates: [/./],
      });
      return [
        (await startHaproxy({ backend: `server a 127.0.0.1:${inner.port()} send-proxy` })).url("ws", "/chat"),
      ];
    },
  },
  {
    illness: "proxy-header-unexpected",
    product: "haproxy",
    apply: async (lines) => [(await startHaproxy({ backend: lines })).url("ws", "/chat")],
  },
  {
    illness: "path-not-routed",
    product: "haproxy",
    apply: async (lines, backend) => {
      const proxy = await startHaproxy({
        frontend: lines,
        backend: `http-request return status 404\nbackend websocket\n    server a ${backend}`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    illness: "upgrade-lost",
    product: "haproxy",
    choose: (lines) => lines.replace("defaults\n", ""),
    apply: async (lines, backend) => [
      (await startHaproxy({ defaults: lines, backend: `server a ${backend}` })).url("ws", "/chat"),
    ],
  },
  {
    illness: "idle-cut",
    product: "haproxy",
    choose: (lines) => lines.replace("defaults\n", ""),
    apply: async (lines, backend) => {
      const proxy = await startHaproxy({
        defaults: `timeout client 1s\n    timeout server 1s\n${lines}`,
        backend: `server a ${backend}`,
      });
      return [proxy.url("ws", "/chat"), ...HOLD];
    },
  },
  {
    illness: "tls-client-certificate",
    product: "haproxy",
    apply: async (lines, backend) => {
      const { certificate } = await leafFiles();
      const [bind = "", ...frontend] = lines.split("\n");
      const proxy = await startHaproxy({
        bind: bind
          .replace(/^bind :\S+ /, "")
          .replace("/path/both.pem", "{{crt}}")
          .replace("/path/ca.pem", certificate),
        frontend: frontend.join("\n"),
        backend: `server a ${backend}`,
      });
      return [proxy.url("wss", "/chat"), ...AUTHORITY];
    },
  },
  {
    illness: "tls-client-certificate",
    product: "caddy",
    apply: async (lines, backend) => {
      const clientAuth = lines.replace(/^tls \{|\}$/g, "").replace("/path/ca.pem", await authorityFile());
      const proxy = await startCaddy(`reverse_proxy ${backend}`, { tls: true, clientAuth });
      return [proxy.url("wss", "/chat", "localhost"), ...AUTHORITY];
    },
  },
  {
    illness: "upgrade-lost",
    product: "caddy",
    apply: async (lines) => [(await startCaddy(lines)).url("ws", "/chat")],
  },
  {
    illness: "path-not-routed",
    product: "caddy",
    apply: async (lines) => [(await startCaddy(lines)).url("ws", "/chat")],
  },
];

function mendOf({ illness, product }: Cure): Mend {
  const mends = ILLNESSES.find(({ id }) => id === illness)?.mends ?? [];
  const mend = mends.find((each) => each.product === product && each.lines !== undefined);
  if (mend === undefined) throw new Error(`${illness} has no lines for ${product}`);
  return mend;
}

for (const cure of CURES) {
  const { illness, product, needs = [], which, choose = (lines: string): string => lines, apply } = cure;
  test(`${illness}, ${product}${which === undefined ? "" : ` (${which})`}: the lines work`, async (context) => {
    requires(context, product, ...needs);
    const { address } = await startApplication();
    const values = { path: "/chat", host: "localhost", port: "443", authority: "localhost" };
    const lines = fillIn(choose(mendOf(cure).lines ?? ""), values).replaceAll("BACKEND", address);
    const diagnosis = await examine(await apply(lines, address));
    const report = textReport(diagnosis, { language: "en", product: null });
    expect({ state: diagnosis.verdict.state, lines, report }).toMatchObject({ state: "healthy" });
  });
}
