import { once } from "node:events";
import * as net from "node:net";
import { expect, test } from "vitest";
import { acceptTransport, dialTransport, type TransportListener } from "./transport.ts";

test("a head and a body written between cork and uncork arrive together, and the end is seen on both sides", async () => {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    const transport = acceptTransport(socket, {
      onBytes(chunk, start, end) {
        transport.cork();
        transport.writeLatin1("head:");
        transport.write(chunk, start, end);
        transport.uncork();
      },
      onEnd: () => transport.end(),
      onDrain: () => {},
      onClose: () => server.close(),
    });
    transport.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no address");

  let answer = "";
  await new Promise<void>((resolve, reject) => {
    const listener: TransportListener = {
      onBytes(chunk, start, end) {
        answer += chunk.toString("latin1", start, end);
        transport.end();
      },
      onEnd: () => {},
      onDrain: () => {},
      onClose: (error) => (error === null ? resolve() : reject(error)),
    };
    const transport = dialTransport(
      {
        address: { host: "127.0.0.1", port: address.port },
        onConnect: (connected) => {
          connected.writeLatin1("body");
          connected.resume();
        },
      },
      listener,
    );
  });
  expect(answer).toBe("head:body");
});
