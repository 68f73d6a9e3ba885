/** Every configuration under examples/ runs, and does what its first lines say. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startWebSocketBackend, type WebSocketBackend } from "./rig/backends.ts";
import { authorityCertificate, leafCertificate } from "./rig/certificates.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { REPOSITORY, startGate, startNginx } from "./rig/proxy-process.ts";
import { requires } from "./rig/requires.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

useRig();

const EXAMPLES = join(REPOSITORY, "examples");

/** The text of an example with ports of the test's own in place of 8080 and 8443, and its backends on the test's. */
function example(name: string, backend: WebSocketBackend): { config: string; files: Record<string, string> } {
  const config = readFileSync(join(EXAMPLES, name, "nginx.conf"), "utf8")
    .replace(/listen( +)8080/g, "listen$1127.0.0.1:{{port:plain}}")
    .replace(/listen( +)8443/g, "listen$1127.0.0.1:{{port:tls}}")
    .replaceAll(":8443", ":{{port:tls}}")
    .replaceAll("127.0.0.1:3000", `127.0.0.1:${backend.port}`);
  const html = readdirSync(join(EXAMPLES, name)).includes("html")
    ? readdirSync(join(EXAMPLES, name, "html"))
    : [];
  return {
    config,
    files: Object.fromEntries(
      html.map((file) => [`html/${file}`, readFileSync(join(EXAMPLES, name, "html", file), "utf8")]),
    ),
  };
}

async function echoes(url: string, ca?: string): Promise<void> {
  const client = await connectWebSocket("ws", url, ca === undefined ? {} : { ca });
  client.send("hello");
  expect(await client.next()).toBe("hello");
  client.close();
  await client.closed;
}

test("one-line: a WebSocket and a plain request pass through a location without a line about upgrades", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startGate(example("one-line", backend));
  await echoes(gate.url("ws"));
  expect(await request({ port: gate.port() })).toMatchObject({ status: 200 });
});

test("nginx-compatible: under wsgate and under nginx a WebSocket passes, and a plain request says Connection: close", async (context) => {
  requires(context, "nginx");
  const backend = await startWebSocketBackend();
  for (const start of [startGate, startNginx]) {
    const proxy = await start(example("nginx-compatible", backend));
    await echoes(proxy.url("ws"));
    await request({ port: proxy.port() });
    expect(backend.requests.at(-1)?.headers).toMatchObject({ connection: "close" });
  }
});

test("wss: the backend hears ws, learns that the page said wss, and plain http is sent to https", async () => {
  const backend = await startWebSocketBackend();
  const { config } = example("wss", backend);
  const leaf = await leafCertificate();
  const gate = await startGate({
    config,
    files: { "conf/fullchain.pem": leaf.cert, "conf/privkey.pem": leaf.key },
  });
  await echoes(`wss://localhost:${gate.port("tls")}/x`, await authorityCertificate());
  expect(backend.handshakes.at(-1)?.headers).toMatchObject({ "x-forwarded-proto": "https" });
  const redirect = await request({
    port: gate.port("plain"),
    target: "/a?b=c",
    headers: { Host: "localhost" },
  });
  expect(redirect.status).toBe(301);
  expect(redirect.header("location")).toBe(`https://localhost:${gate.port("tls")}/a?b=c`);
});

test("path: the backend does not see the prefix, and the prefix without its slash is redirected", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startGate(example("path", backend));
  await echoes(gate.url("ws", "/socket/room"));
  expect(backend.handshakes.at(-1)?.url).toBe("/room");
  expect(await request({ port: gate.port(), target: "/socket" })).toMatchObject({ status: 301 });
});

test("site: files, the page for what is no file, a WebSocket beside them, and a page for when the backend is down", async () => {
  const backend = await startWebSocketBackend();
  const gate = await startGate(example("site", backend));
  await echoes(gate.url("ws", "/socket"));
  const page = await request({ port: gate.port(), target: "/some/view" });
  expect(page.body).toContain("wsgate: a site");
  expect(page.header("content-type")).toBe("text/html; charset=utf-8");
  await backend.close();
  const down = await request({ port: gate.port(), target: "/socket" });
  expect(down.status).toBe(502);
  expect(down.body).toContain("The backend does not answer");
});

test("many-backends: a request that reaches no backend is tried at the next one", async () => {
  const backend = await startWebSocketBackend();
  const { config } = example("many-backends", backend);
  const other = await startWebSocketBackend();
  const gate = await startGate({ config: config.replaceAll("127.0.0.1:3001", `127.0.0.1:${other.port}`) });
  await echoes(gate.url("ws"));
  await backend.close();
  for (let i = 0; i < 4; i++) expect(await request({ port: gate.port() })).toMatchObject({ status: 200 });
  await gate.stdout.waitFor(/200 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+ /);
});

test("every example is listed and tested", () => {
  const folders = readdirSync(EXAMPLES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  const list = readFileSync(join(EXAMPLES, "README.md"), "utf8");
  const own = readFileSync(new URL(import.meta.url), "utf8");
  // The quickstart has a test file of its own.
  const untested = folders.filter(
    (folder) => folder !== "quickstart" && !own.includes(`example("${folder}"`),
  );
  expect(untested).toEqual([]);
  expect(folders.filter((folder) => !list.includes(`(${folder}/nginx.conf)`))).toEqual([]);
});
