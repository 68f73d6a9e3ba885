import { createServer } from "node:net";

/** Whether the port can be listened on, on all addresses of IPv4: undefined if so, else the system's error code. */
export function portObstacle(port: number): Promise<string | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host: "0.0.0.0", exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
