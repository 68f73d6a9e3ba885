/** HAProxy and Caddy, where their illnesses differ from nginx's. */
import { startFaultyBackend } from "../rig/backends.ts";
import { leafFiles } from "../rig/certificates.ts";
import { reservePort } from "../rig/ports.ts";
import { startNginx } from "../rig/proxy-process.ts";
import { startApplication } from "./applications.ts";
import { RIGHT_LINES } from "./nginx.ts";
import { type Patient, UNTRUSTED } from "./patient.ts";
import { authorityFile, startCaddy, startHaproxy } from "./proxies.ts";

/** HAProxy that lets nobody in without a certificate of the rig's authority. */
export async function haproxyForMembers(bind: string): Promise<readonly string[]> {
  const { address } = await startApplication();
  const authority = await authorityFile();
  const proxy = await startHaproxy({
    bind: `ssl crt {{crt}} ca-file ${authority} verify required ${bind}`,
    backend: `server a ${address}`,
  });
  return [proxy.url("wss", "/chat"), "--ca", authority];
}

export const OTHER_PROXY_PATIENTS: readonly Patient[] = [
  {
    made: "HAProxy with http-request del-header Upgrade",
    illness: "upgrade-lost",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({
        frontend: "http-request del-header Upgrade",
        backend: `server a ${address}`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with timeout tunnel 1s",
    illness: "idle-cut",
    needs: ["haproxy"],
    notInBrowser: "the console says nothing: the CloseEvent has code 1006",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ defaults: "timeout tunnel 1s", backend: `server a ${address}` });
      return [proxy.url("ws", "/chat"), "--hold", "2200ms"];
    },
  },
  {
    made: "HAProxy whose server nobody runs (503)",
    illness: "backend-unavailable",
    needs: ["haproxy"],
    admit: async () => {
      const proxy = await startHaproxy({ backend: `server a 127.0.0.1:${await reservePort()}` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy before a program that never answers (504)",
    illness: "backend-silent",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startFaultyBackend("hang");
      const proxy = await startHaproxy({ defaults: "timeout server 300ms", backend: `server a ${address}` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with http-request deny (403)",
    illness: "forbidden",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ frontend: "http-request deny", backend: `server a ${address}` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with TLS, and ws:// to its port: it hangs up",
    illness: "plain-to-tls-port",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ bind: "ssl crt {{crt}}", backend: `server a ${address}` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with strict-sni, and a name that it has no certificate for",
    illness: "tls-name-unknown",
    needs: ["haproxy"],
    notInBrowser: "the name does not exist",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({
        bind: "ssl crt {{crt}} strict-sni",
        backend: `server a ${address}`,
      });
      return [proxy.url("wss", "/chat", "other.test"), "--resolve", "other.test:127.0.0.1"];
    },
  },
  {
    made: "HAProxy with accept-proxy on its bind line, and nobody who sends the PROXY header",
    illness: "proxy-header-missing",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ bind: "accept-proxy", backend: `server a ${address}` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with send-proxy on the server line, before a Node server: an empty 400 for everything",
    illness: "proxy-header-unexpected",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ backend: `server a ${address} send-proxy` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "the same with send-proxy-v2, and --backend",
    illness: "proxy-header-unexpected",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startHaproxy({ backend: `server a ${address} send-proxy-v2` });
      return [proxy.url("ws", "/chat"), "--backend", `ws://${address}/chat`];
    },
  },
  {
    made: "HAProxy with send-proxy, before an nginx without proxy_protocol: its page with 400",
    illness: "proxy-header-unexpected",
    needs: ["haproxy"],
    admit: async () => {
      const { address } = await startApplication();
      const inner = await startNginx({
        http: `server { listen 127.0.0.1:{{port:front}}; location / { proxy_pass http://${address}; ${RIGHT_LINES} } }`,
        tolerates: [/./],
      });
      const proxy = await startHaproxy({ backend: `server a 127.0.0.1:${inner.port()} send-proxy` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with mode tcp and send-proxy, before an nginx with TLS: its page with 400 in plain text",
    illness: "proxy-header-unexpected",
    needs: ["haproxy"],
    admit: async () => {
      const { certificate, key } = await leafFiles();
      const inner = await startNginx({
        http: `server { listen 127.0.0.1:{{port:front}} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; }`,
        tolerates: [/./],
      });
      const proxy = await startHaproxy({
        defaults: "mode tcp",
        backend: `server a 127.0.0.1:${inner.port()} send-proxy`,
      });
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "HAProxy with send-proxy, before a Caddy",
    illness: "proxy-header-unexpected",
    needs: ["haproxy", "caddy"],
    admit: async () => {
      const { address } = await startApplication();
      const inner = await startCaddy(`reverse_proxy ${address}`);
      const proxy = await startHaproxy({ backend: `server a 127.0.0.1:${inner.port} send-proxy` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "HAProxy with verify required: TLS 1.3 refuses after the handshake seemed done",
    illness: "tls-client-certificate",
    needs: ["haproxy"],
    notInBrowser: UNTRUSTED,
    admit: () => haproxyForMembers(""),
  },
  {
    made: "the same with TLS 1.2, whose alert says handshake failure and no more",
    illness: "tls-client-certificate",
    needs: ["haproxy"],
    notInBrowser: UNTRUSTED,
    admit: () => haproxyForMembers("ssl-max-ver TLSv1.2"),
  },
  {
    made: "HAProxy with verify required, and a client's certificate that has expired (--cert)",
    illness: "tls-client-certificate-refused",
    needs: ["haproxy"],
    notInBrowser: "the certificate is the doctor's",
    admit: async () => {
      const { certificate, key } = await leafFiles({ isClient: true, validForDays: -1 });
      return [...(await haproxyForMembers("")), "--cert", certificate, "--key", key];
    },
  },
  {
    made: "Caddy with client_auth, and a client without a certificate",
    illness: "tls-client-certificate",
    needs: ["caddy"],
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const { address } = await startApplication();
      const clientAuth = `client_auth {\nmode require_and_verify\ntrusted_ca_cert_file ${await authorityFile()}\n}`;
      const proxy = await startCaddy(`reverse_proxy ${address}`, { tls: true, clientAuth });
      return [proxy.url("wss", "/chat", "localhost"), "--ca", "{{ca}}"];
    },
  },
  {
    made: "Caddy with header_up that takes Upgrade away",
    illness: "upgrade-lost",
    needs: ["caddy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startCaddy(
        `reverse_proxy ${address} {\n header_up -Upgrade\n header_up Connection close\n }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Caddy without a route for the path (404, empty)",
    illness: "path-not-routed",
    needs: ["caddy"],
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startCaddy(
        `handle /websocket/* {\n reverse_proxy ${address}\n }\n handle {\n respond 404\n }`,
      );
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Caddy before a port on which nobody listens (502)",
    illness: "backend-unreachable",
    needs: ["caddy"],
    admit: async () => {
      const proxy = await startCaddy(`reverse_proxy 127.0.0.1:${await reservePort()}`);
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Caddy with TLS, and ws:// to its port (400)",
    illness: "plain-to-tls-port",
    needs: ["caddy"],
    admit: async () => {
      const { address } = await startApplication();
      return [(await startCaddy(`reverse_proxy ${address}`, { tls: true })).url("ws", "/chat")];
    },
  },
];
