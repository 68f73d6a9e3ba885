/** Certificates that nobody trusts, and ports that speak the other language. */
import { createSecureServer } from "node:http2";
import { type LeafOptions, leafCertificate } from "../rig/certificates.ts";
import { startConnectionBackend, startFaultyBackend } from "../rig/backends.ts";
import { startApplication, startFalsePromise } from "./applications.ts";
import { serve, type Served } from "./serve.ts";
import { IMPATIENT, type Patient, UNTRUSTED } from "./patient.ts";

async function applicationWith(leaf: LeafOptions, sendsFullChain: boolean = true): Promise<Served> {
  const { cert, key, fullChain } = await leafCertificate(leaf);
  return startApplication({ tls: { cert: sendsFullChain ? fullChain : cert, key } });
}

export const TLS_PATIENTS: readonly Patient[] = [
  {
    made: "wss:// to a program that speaks ws, by IP address and port",
    illness: "tls-to-plain-port",
    admit: async () => [`wss://${(await startApplication()).address}/chat`],
  },
  {
    made: "the same by name",
    illness: "tls-to-plain-port",
    admit: async () => [`wss://localhost:${(await startApplication()).port}/chat`],
  },
  {
    made: "wss:// to a port of another protocol (SSH)",
    illness: "tls-to-plain-port",
    admit: async () => {
      const backend = await startConnectionBackend((peer) => peer.send("SSH-2.0-OpenSSH_9.2\r\n"));
      return [`wss://${backend.address}/chat`, ...IMPATIENT];
    },
  },
  {
    made: "ws:// to a Node server with TLS",
    illness: "plain-to-tls-port",
    admit: async () => [`ws://${(await applicationWith({})).address}/chat`],
  },
  {
    made: "a certificate of another name",
    illness: "certificate-name",
    notInBrowser: UNTRUSTED,
    admit: async () => [
      `wss://${(await applicationWith({ names: ["example.com"] })).address}/chat`,
      "--ca",
      "{{ca}}",
    ],
  },
  {
    made: "a certificate of a name, and an IP address in the URL",
    illness: "certificate-name",
    notInBrowser: UNTRUSTED,
    admit: async () => [
      `wss://${(await applicationWith({ names: ["localhost"] })).address}/chat`,
      "--ca",
      "{{ca}}",
    ],
  },
  {
    made: "a certificate that has expired",
    illness: "certificate-expired",
    notInBrowser: UNTRUSTED,
    admit: async () => [
      `wss://${(await applicationWith({ validForDays: -1 })).address}/chat`,
      "--ca",
      "{{ca}}",
    ],
  },
  {
    made: "a certificate that is not valid yet",
    illness: "certificate-not-yet-valid",
    notInBrowser: UNTRUSTED,
    admit: async () => [
      `wss://${(await applicationWith({ validFromDays: 1 })).address}/chat`,
      "--ca",
      "{{ca}}",
    ],
  },
  {
    made: "a server that does not send its intermediate certificate",
    illness: "certificate-chain-incomplete",
    admit: async () => [
      `wss://${(await applicationWith({ isByIntermediate: true }, false)).address}/chat`,
      "--ca",
      "{{ca}}",
    ],
  },
  {
    made: "a self-signed certificate",
    illness: "certificate-self-signed",
    admit: async () => [
      `wss://${(await applicationWith({ isSelfSigned: true })).address}/chat`,
      "--ca",
      "{{ca}}",
    ],
  },
  {
    made: "a chain that ends in an authority of the company's own",
    illness: "certificate-authority-unknown",
    admit: async () => [`wss://${(await applicationWith({ isByIntermediate: true })).address}/chat`],
  },
  {
    made: "a server that is not HTTP/1.1's: it takes h2 alone",
    illness: "tls-http2-only",
    notInBrowser: "chromium gets the alert and names it as the same error",
    admit: async () => {
      const { cert, key } = await leafCertificate();
      const server = createSecureServer({ cert, key, ALPNProtocols: ["h2"], allowHTTP1: false });
      server.on("sessionError", () => {});
      const { port } = await serve(server, "an HTTP/2 server");
      return [`wss://127.0.0.1:${port}/chat`, "--ca", "{{ca}}"];
    },
  },
  {
    made: "a server that offers WebSockets over HTTP/2 (RFC 8441) and answers 405 there",
    illness: "http2-connect-broken",
    notInBrowser: "chromium has no HTTP/2 connection to it yet",
    admit: async () => {
      const { cert, key } = await leafCertificate();
      return [`wss://${(await startFalsePromise({ cert, key })).address}/chat`, "--ca", "{{ca}}"];
    },
  },
  {
    made: "a port that takes the connection and resets it at the ClientHello",
    illness: "tls-cut",
    notInBrowser: "chromium tries again",
    admit: async () => {
      const backend = await startConnectionBackend(async (peer) => {
        await peer.bytes(1);
        peer.reset();
      });
      return [`wss://${backend.address}/chat`];
    },
  },
  {
    made: "a port that takes the connection and never answers the ClientHello",
    illness: "tls-cut",
    notInBrowser: "chromium waits for minutes",
    admit: async () => [`wss://${(await startFaultyBackend("hang")).address}/chat`, ...IMPATIENT],
  },
];
