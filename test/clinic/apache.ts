/** Apache httpd 2.4 with its own illnesses. */
import { startConnectionBackend, startFaultyBackend } from "../rig/backends.ts";
import { leafFiles } from "../rig/certificates.ts";
import { reservePort } from "../rig/ports.ts";
import { startApplication } from "./applications.ts";
import { type Patient, UNTRUSTED } from "./patient.ts";
import { APACHE_PROXY, startApache } from "./proxies.ts";

export const APACHE_PATIENTS: readonly Patient[] = [
  {
    made: "Apache with mod_proxy_http and a plain ProxyPass",
    illness: "upgrade-lost",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startApache({ modules: APACHE_PROXY, lines: `ProxyPass "/" "http://${address}/"` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache with mod_proxy_wstunnel loaded, and a ProxyPass that says http:// alone",
    illness: "upgrade-lost",
    admit: async () => {
      const { address } = await startApplication({ plainStatus: 426, plainBody: "Upgrade Required" });
      const proxy = await startApache({
        modules: [...APACHE_PROXY, "proxy_wstunnel"],
        lines: `ProxyPass "/" "http://${address}/"`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache whose ProxyPass of / stands before the one with upgrade=websocket",
    illness: "upgrade-lost",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `ProxyPass "/" "http://${address}/"\nProxyPass "/chat" "http://${address}/chat" upgrade=websocket`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache without a ProxyPass for the path: its own 404",
    illness: "path-not-routed",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `ProxyPass "/websocket" "http://${address}/websocket" upgrade=websocket`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache with a ProxyPass to ws:// and no module for that scheme (500)",
    illness: "server-error",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startApache({ modules: ["proxy"], lines: `ProxyPass "/" "ws://${address}/"` });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache before a port on which nobody listens (503)",
    illness: "backend-unavailable",
    admit: async () => {
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `ProxyPass "/" "http://127.0.0.1:${await reservePort()}/" upgrade=websocket`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache before a program that never answers: after ProxyTimeout it says 502, not 504",
    illness: "backend-silent",
    admit: async () => {
      const { address } = await startFaultyBackend("hang");
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `ProxyTimeout 1\nProxyPass "/" "http://${address}/" upgrade=websocket`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache before a program that hangs up on the handshake (502)",
    illness: "backend-unreachable",
    admit: async () => {
      const { address } = await startConnectionBackend(async (peer) => {
        await peer.bytes(1);
        peer.reset();
      });
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `ProxyPass "/" "http://${address}/" upgrade=websocket`,
      });
      return [proxy.url("ws", "/chat")];
    },
  },
  {
    made: "Apache with Timeout 1 (60 where nothing is written; ProxyTimeout counts only where it is longer)",
    illness: "idle-cut",
    notInBrowser: "the console says nothing: the CloseEvent has code 1006",
    admit: async () => {
      const { address } = await startApplication();
      const proxy = await startApache({
        modules: APACHE_PROXY,
        lines: `Timeout 1\nProxyPass "/" "http://${address}/" upgrade=websocket`,
      });
      return [proxy.url("ws", "/chat"), "--hold", "2200ms"];
    },
  },
  {
    made: "Apache with TLS, and ws:// to its port (400)",
    illness: "plain-to-tls-port",
    admit: async () => [(await startApache({ modules: [], lines: "", tls: true })).url("ws", "/chat")],
  },
  {
    made: "Apache with SSLVerifyClient require: TLS 1.3 refuses after the handshake seemed done",
    illness: "tls-client-certificate",
    notInBrowser: UNTRUSTED,
    admit: async () => {
      const { certificate } = await leafFiles();
      const proxy = await startApache({
        modules: [],
        lines: `SSLVerifyClient require\nSSLCACertificateFile ${certificate}`,
        tls: true,
      });
      return [proxy.url("wss", "/chat"), "--ca", "{{ca}}"];
    },
  },
];
