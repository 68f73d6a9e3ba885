import type { Server, Socket } from "node:net";
import { within } from "../rig/deadline.ts";
import { obtain } from "../rig/ledger.ts";

export interface Served {
  readonly port: number;
  /** `127.0.0.1:PORT`. */
  readonly address: string;
}

/** Lets a server of Node's listen on a free port; it is closed after the test, with every connection that it has. */
export async function serve(server: Server, name: string): Promise<Served> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  obtain(name, async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await within(closed, `${name} to close`);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error(`${name} has no port`);
  return { port: address.port, address: `127.0.0.1:${address.port}` };
}
