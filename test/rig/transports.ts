/** Transports with a raw peer at their other end: what base/ and websocket/ test relays and the like with. */
import { once } from "node:events";
import * as net from "node:net";
import * as tls from "node:tls";
import { acceptTransport, dialTransport } from "../../src/base/transport.ts";
import type { SocketTransport, TransportListener, TransportOptions } from "../../src/base/transport.ts";
import { authorityCertificate, leafCertificate } from "./certificates.ts";
import { within } from "./deadline.ts";
import { obtain } from "./ledger.ts";
import { RawPeer } from "./raw-peer.ts";

export type TransportRole = "accepted" | "dialled";
export type TransportSecurity = "plain" | "tls";

/** A transport, paused, and the peer it is connected to. */
export interface TransportPair {
  readonly transport: SocketTransport;
  readonly peer: RawPeer;
  /** The peer's TCP socket, below TLS if there is TLS. */
  readonly peerTcp: net.Socket;
}

export const IGNORE_ALL: TransportListener = {
  onBytes() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};

/** A transport on the server's side of a loopback connection (accepted), or on the client's (dialled). */
export async function openPair(
  role: TransportRole,
  security: TransportSecurity,
  options: TransportOptions = {},
): Promise<TransportPair> {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  const { port } = address;
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  try {
    const opening =
      role === "accepted"
        ? accept(security, port, accepted, options)
        : dial(security, port, accepted, options);
    return await within(opening, `a ${security} transport`);
  } finally {
    server.close();
  }
}

async function accept(
  security: TransportSecurity,
  port: number,
  accepted: Promise<net.Socket>,
  options: TransportOptions,
): Promise<TransportPair> {
  const peerTcp = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [socket] = await Promise.all([accepted, once(peerTcp, "connect")]);
  socket.on("error", () => {});
  if (security === "plain") {
    const transport = acceptTransport(socket, IGNORE_ALL, options);
    return hold({ transport, peer: new RawPeer(peerTcp, "the client"), peerTcp });
  }
  const securing = secureServerSide(socket);
  const ca = await authorityCertificate();
  const peer = new RawPeer(tls.connect({ socket: peerTcp, ca, servername: "localhost" }), "the client");
  return hold({ transport: acceptTransport(await securing, IGNORE_ALL, options), peer, peerTcp });
}

async function dial(
  security: TransportSecurity,
  port: number,
  accepted: Promise<net.Socket>,
  options: TransportOptions,
): Promise<TransportPair> {
  const ca = await authorityCertificate();
  const connected = new Promise<SocketTransport>((resolve, reject) => {
    dialTransport(
      {
        ...options,
        address: { host: "127.0.0.1", port },
        onConnect: resolve,
        ...(security === "tls" ? { tls: { ca, servername: "localhost" } } : {}),
      },
      { ...IGNORE_ALL, onClose: (error) => reject(error ?? new Error("closed while connecting")) },
    );
  });
  const peerTcp = await accepted;
  const socket = security === "plain" ? peerTcp : await secureServerSide(peerTcp);
  const peer = new RawPeer(socket, "the upstream");
  peerTcp.resume();
  const transport = await connected;
  transport.listener = IGNORE_ALL;
  return hold({ transport, peer, peerTcp });
}

/** TLS as a server on top of an accepted connection; resolves after the handshake. */
async function secureServerSide(socket: net.Socket): Promise<tls.TLSSocket> {
  const secureContext = tls.createSecureContext(await leafCertificate());
  const secured = new tls.TLSSocket(socket, { isServer: true, secureContext });
  secured.on("error", () => {});
  await once(secured, "secure");
  return secured;
}

function hold(pair: TransportPair): TransportPair {
  obtain("a transport and its peer", async () => {
    pair.transport.destroy();
    await pair.peer.close();
  });
  return pair;
}
