/** Servers that answer wrongly, and hops that break what passes. */
import { startConnectionBackend, startFaultyBackend, startHttpBackend } from "../rig/backends.ts";
import { serverFrame } from "../rig/frames.ts";
import { reservePort } from "../rig/ports.ts";
import { startApplication, startChooser, startForger, startRefuser } from "./applications.ts";
import { isCompressed, isPing, startHop } from "./hops.ts";
import { IMPATIENT, type Patient } from "./patient.ts";

const withoutLine =
  (name: string) =>
  (head: string): string =>
    head.replace(new RegExp(`^${name}:.*\r\n`, "m"), "");

const BAD_REQUEST = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const PAGE = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage";

export const BACKEND_PATIENTS: readonly Patient[] = [
  {
    made: "a backend that answers everything with 400",
    illness: "upgrade-lost",
    admit: async () => [`ws://${(await startRefuser(400, "Bad Request")).address}/chat`],
  },
  {
    made: "a backend that answers handshakes with 400 and pages with 200",
    illness: "handshake-refused",
    admit: async () => [`ws://${(await startChooser(BAD_REQUEST, PAGE)).address}/chat`],
  },
  {
    made: "a backend that answers with 403",
    illness: "forbidden",
    admit: async () => [`ws://${(await startRefuser(403, "Forbidden")).address}/chat`],
  },
  {
    made: "a backend that answers with 404, though the WebSocket is one folder up",
    illness: "path-not-routed",
    admit: async () => {
      const application = await startApplication({ webSocket: { path: "/chat" } });
      return [`ws://${application.address}/chat/room`];
    },
  },
  {
    made: "a backend that answers with 426",
    illness: "upgrade-lost",
    admit: async () => [`ws://${(await startRefuser(426, "Upgrade Required")).address}/chat`],
  },
  {
    made: "a backend that answers with 500",
    illness: "server-error",
    admit: async () => [`ws://${(await startRefuser(500, "Internal Server Error")).address}/chat`],
  },
  {
    made: "a backend that answers with 429",
    illness: "rate-limited",
    admit: async () => [`ws://${(await startRefuser(429, "Too Many Requests")).address}/chat`],
  },
  {
    made: "Socket.IO without its parameters in the query",
    illness: "socket-io-parameters",
    admit: async () => [
      `ws://${(await startRefuser(400, '{"code":0,"message":"Transport unknown"}', "application/json")).address}/socket.io/`,
    ],
  },
  {
    made: "101 with the accept key of another handshake",
    illness: "accept-wrong",
    admit: async () => {
      const forger = await startForger((head) =>
        head.replace(/Accept: .*\r/, "Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r"),
      );
      return [`ws://${forger.address}/chat`];
    },
  },
  {
    made: "101 without an accept key",
    illness: "accept-wrong",
    admit: async () => [`ws://${(await startForger(withoutLine("Sec-WebSocket-Accept"))).address}/chat`],
  },
  {
    made: "101 without Upgrade",
    illness: "upgrade-header-missing",
    admit: async () => [`ws://${(await startForger(withoutLine("Upgrade"))).address}/chat`],
  },
  {
    made: "101 without Connection",
    illness: "upgrade-header-missing",
    admit: async () => [`ws://${(await startForger(withoutLine("Connection"))).address}/chat`],
  },
  {
    made: "101 with a subprotocol that nobody asked for",
    illness: "subprotocol-mismatch",
    admit: async () => [
      `ws://${(await startForger((head) => `${head}Sec-WebSocket-Protocol: chat\r\n`)).address}/chat`,
    ],
  },
  {
    made: "a page that names a subprotocol, and a server that chooses none",
    illness: "subprotocol-mismatch",
    notInBrowser: "the subprotocol is the doctor's",
    admit: async () => [`ws://${(await startForger((head) => head)).address}/chat`, "--subprotocol", "chat"],
  },
  {
    made: "101 with an extension that nobody offered",
    illness: "extension-unasked",
    notInBrowser: "chromium tells it only when the connection ends",
    admit: async () => [
      `ws://${(await startForger((head) => `${head}Sec-WebSocket-Extensions: x-zip\r\n`)).address}/chat`,
    ],
  },
  {
    made: "a server that compares Connection as a whole, and Firefox",
    illness: "connection-list-refused",
    notInBrowser: "chromium sends Connection: Upgrade",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toServer: (bytes) => bytes.replace("Connection: keep-alive, Upgrade", "Connection: keep-alive"),
      });
      return [`ws://${hop.address}/chat`];
    },
  },
  {
    made: "a server of another protocol",
    illness: "not-http",
    admit: async () => {
      const backend = await startConnectionBackend((peer) => peer.send("220 mail.example.com ESMTP\r\n"));
      return [`ws://${backend.address}/chat`, ...IMPATIENT];
    },
  },
  {
    made: "a program that takes connections and never answers",
    illness: "server-silent",
    notInBrowser: "chromium waits for minutes",
    admit: async () => [`ws://${(await startFaultyBackend("hang")).address}/chat`, ...IMPATIENT],
  },
  {
    made: "text in the tunnel where frames should be",
    illness: "frames-broken",
    admit: async () => [`ws://${(await startForger((head) => head, "<html>")).address}/chat`],
  },
  {
    made: "a server that masks its frames",
    illness: "frames-broken",
    admit: async () => [`ws://${(await startForger((head) => head, "\x81\x81\0\0\0\0a")).address}/chat`],
  },
  {
    made: "a server that compresses without having agreed on it",
    illness: "frames-broken",
    admit: async () => [`ws://${(await startForger((head) => head, "\xc1\x01a")).address}/chat`],
  },
  {
    made: "an application that closes with 1008 once the WebSocket is open",
    illness: "closed-at-once",
    notInBrowser: "the console says nothing: the CloseEvent has the code",
    admit: async () => {
      const application = await startApplication({ onSocket: (socket) => socket.close(1008, "no session") });
      return [`ws://${application.address}/chat`];
    },
  },
  {
    made: "an application whose handler returns at once, so that it closes with 1000",
    illness: "closed-at-once",
    notInBrowser: "the console says nothing: the CloseEvent has the code",
    admit: async () => [
      `ws://${(await startApplication({ onSocket: (socket) => socket.close(1000) })).address}/chat`,
    ],
  },
  {
    made: "an application that crashes once the WebSocket is open",
    illness: "closed-at-once",
    notInBrowser: "the console says nothing: the CloseEvent has code 1006",
    admit: async () => {
      const application = await startApplication({ onSocket: (socket) => socket.terminate() });
      return [`ws://${application.address}/chat`];
    },
  },
  {
    made: "101, and then nothing that is sent is answered",
    illness: "tunnel-dead",
    notInBrowser: "it looks open",
    admit: async () => [`ws://${(await startForger((head) => head)).address}/chat`, ...IMPATIENT],
  },
  {
    made: "a server that answers handshakes with a page (200)",
    illness: "upgrade-lost",
    admit: async () => [`ws://${(await startHttpBackend()).address}/chat`],
  },
  {
    made: "a page over https and ws:// in it",
    illness: "mixed-content",
    notInBrowser: "the page is the doctor's",
    admit: async () => {
      const { port } = await startApplication();
      const page = `https://127.0.0.1:${await reservePort()}/`;
      return [`ws://chat.test:${port}/`, "--resolve", "chat.test:127.0.0.1", "--page", page];
    },
  },
  {
    made: "a page whose Content-Security-Policy has connect-src 'self', and a WebSocket on another port",
    illness: "content-security-policy",
    notInBrowser: "the page is the doctor's",
    admit: async () => {
      const { address } = await startApplication();
      const page = await startHttpBackend((_seen, response) => {
        response.setHeader("content-security-policy", "default-src 'self'; connect-src 'self'");
        response.end("page");
      });
      return [`ws://${address}/`, "--page", `http://${page.address}/`];
    },
  },
];

export const HOP_PATIENTS: readonly Patient[] = [
  {
    made: "a hop that strips Upgrade, before a healthy server",
    illness: "upgrade-lost",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toServer: (bytes) => bytes.replace(/^Upgrade: websocket\r\n/m, ""),
      });
      return [`ws://${hop.address}/chat`, "--backend", `ws://${application.address}/chat`];
    },
  },
  {
    made: "a hop that takes Upgrade out of the answer",
    illness: "upgrade-header-missing",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toClient: (bytes) => bytes.replace(/^Upgrade: websocket\r\n/m, ""),
      });
      return [`ws://${hop.address}/chat`];
    },
  },
  {
    made: "a hop that swallows the response to the handshake",
    illness: "upgrade-swallowed",
    notInBrowser: "chromium waits for minutes",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toClient: (bytes) => (bytes.startsWith("HTTP/1.1 101") ? "" : bytes),
      });
      return [`ws://${hop.address}/chat`, ...IMPATIENT];
    },
  },
  {
    made: "a device that reads HTTP and resets what has Upgrade in it (layer 7), with --layer4",
    illness: "upgrade-blocked",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toServer: (bytes) => (/^Upgrade: websocket\r$/m.test(bytes) ? null : bytes),
      });
      return [`ws://${hop.address}/chat`, "--layer4"];
    },
  },
  {
    made: "a device that resets every connection (layer 4), with --layer4",
    illness: "connections-cut",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, { toServer: () => null });
      return [`ws://${hop.address}/chat`, "--layer4"];
    },
  },
  {
    made: "a hop that cuts every tunnel after a second, whatever is said",
    illness: "lifetime-cut",
    notInBrowser: "the console says nothing: the CloseEvent has code 1006",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, { lifetimeMs: 1_000 });
      return [`ws://${hop.address}/chat`, "--hold", "2500ms"];
    },
  },
  {
    made: "a hop that drops pings",
    illness: "pings-dropped",
    notInBrowser: "pages cannot ping",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, { toServer: (bytes) => (isPing(bytes) ? "" : bytes) });
      return [`ws://${hop.address}/chat`, ...IMPATIENT];
    },
  },
  {
    made: "a hop that ends the connection when the client pings",
    illness: "pings-end-it",
    notInBrowser: "pages cannot ping",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, { toServer: (bytes) => (isPing(bytes) ? null : bytes) });
      return [`ws://${hop.address}/chat`];
    },
  },
  {
    made: "a hop that lets compression be agreed on, and drops what is compressed",
    illness: "compression-broken",
    notInBrowser: "the messages are the doctor's",
    admit: async () => {
      const application = await startApplication({ webSocket: { perMessageDeflate: true } });
      const hop = await startHop(application.port, {
        toServer: (bytes) => (isCompressed(bytes) ? "" : bytes),
      });
      return [`ws://${hop.address}/chat`];
    },
  },
  {
    made: "a hop that cuts messages above 64 KiB",
    illness: "large-message-cut",
    notInBrowser: "the console says nothing: the CloseEvent has code 1006",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toServer: (bytes) => (bytes.startsWith("\x81\xff") ? null : bytes),
      });
      return [`ws://${hop.address}/chat`];
    },
  },
  {
    made: "a hop that puts a message of its own into the stream",
    illness: "frames-broken",
    notInBrowser: "it comes in the middle",
    admit: async () => {
      const application = await startApplication();
      const hop = await startHop(application.port, {
        toClient: (bytes) =>
          bytes.startsWith("\x8a") ? `${serverFrame("ad").replace("\x81", "\x91")}${bytes}` : bytes,
      });
      return [`ws://${hop.address}/chat`];
    },
  },
];
