import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { obtain } from "./ledger.ts";

/**
 * Below every system's range of ephemeral ports, so that no outgoing connection takes a port between its reservation
 * and its use, and clear of the ports that browsers refuse.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;

/**
 * A TCP port on which nobody listens and which no other test takes, even in another process: the reservation is the
 * UDP port of the same number, which the system gives back by itself should the process die.
 */
export async function reservePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    const free = await holdUdpPort(port);
    if (free === undefined) continue;
    if (await tcpPortIsFree(port)) {
      obtain(`the reservation of port ${port}`, free);
      return port;
    }
    await free();
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`);
}

function holdUdpPort(port: number): Promise<(() => Promise<void>) | undefined> {
  const socket = createSocket("udp4");
  return new Promise((resolve) => {
    socket.once("error", () => {
      socket.close();
      resolve(undefined);
    });
    socket.bind({ port, exclusive: true }, () => {
      socket.unref();
      resolve(() => new Promise((closed) => socket.close(() => closed())));
    });
  });
}

function tcpPortIsFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
