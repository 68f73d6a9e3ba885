/** An HTTP backend that answers each request when the test says so. */
import { type RawBackend, startRawBackend } from "./backends.ts";
import { requestBytes } from "./http-client.ts";
import { connectRaw, type RawPeer } from "./raw-peer.ts";

/** A request that has arrived at the backend and waits there. */
export interface HeldRequest {
  readonly client: RawPeer;
  /** Lets the backend answer 200 with the body `late`. */
  answer(): Promise<void>;
}

export interface SlowBackend {
  readonly address: string;
  /** Sends a request to the proxy on that port; it is at the backend when this resolves. */
  hold(port: number): Promise<HeldRequest>;
}

export async function startSlowBackend(): Promise<SlowBackend> {
  const backend: RawBackend = await startRawBackend(() => {});
  return {
    address: backend.address,
    async hold(port) {
      const client = await connectRaw({ port });
      const arrived = backend.connection(backend.connections.length);
      await client.send(requestBytes({ target: "/slow" }));
      const upstream = await arrived;
      await upstream.until("\r\n\r\n");
      return {
        client,
        answer: () => upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"),
      };
    },
  };
}
