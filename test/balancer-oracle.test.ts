/** The same keys go to the same servers as with the real nginx: whoever changes over keeps the caches and sessions warm. */
import { expect, test } from "vitest";
import { type HttpBackend, startHttpBackend } from "./rig/backends.ts";
import { readResponse } from "./rig/http-message.ts";
import { useRig } from "./rig/ledger.ts";
import { type Proxy, startGate, startNginx } from "./rig/proxy-process.ts";
import { connectRaw } from "./rig/raw-peer.ts";
import { requires } from "./rig/requires.ts";

useRig();

const KEYS = Array.from({ length: 120 }, (_, i) => `key-${i * 7}`);

/** Which server each key goes to, by its place in the upstream block. */
async function placesOf(proxy: Proxy, backends: readonly HttpBackend[]): Promise<readonly number[]> {
  const places: number[] = [];
  const client = await connectRaw({ port: proxy.port() });
  for (const key of KEYS) {
    await client.send(`GET /${key} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const address = (await readResponse(client)).header("X-Up");
    places.push(backends.findIndex((backend) => backend.address === address));
  }
  await client.close();
  return places;
}

test.for([
  ["hash $uri", "weight=1"],
  ["hash $uri", "weight=3"],
  ["hash $uri consistent", "weight=1"],
  ["hash $uri consistent", "weight=2"],
  ["", "weight=5"],
] as const)("%s (%s)", async ([method, weight], context) => {
  requires(context, "nginx");
  const backends = await Promise.all(
    [1, 2, 3, 4].map(() => startHttpBackend((_seen, response) => response.end("x"))),
  );
  const servers = backends.map(({ address }, i) => `server ${address} ${i === 1 ? weight : ""};`).join(" ");
  const http = `upstream app { ${method === "" ? "" : `${method};`} ${servers} }
    server { listen {{port:front}}; location / { proxy_pass http://app; add_header X-Up $upstream_addr; } }`;
  const [gate, nginx] = await Promise.all([startGate({ http }), startNginx({ http })]);
  expect(await placesOf(gate, backends)).toEqual(await placesOf(nginx, backends));
});
