import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startHttpBackend, startWebSocketBackend } from "./rig/backends.ts";
import { authorityCertificate, leafCertificate, leafFiles } from "./rig/certificates.ts";
import { request } from "./rig/http-client.ts";
import { useRig } from "./rig/ledger.ts";
import { reservePort } from "./rig/ports.ts";
import { type Command, runGate, startCommand, temporaryFolder } from "./rig/proxy-process.ts";
import { connectWebSocket } from "./rig/websocket-clients.ts";

/** `wsgate 8080 http://127.0.0.1:3000`: a proxy at once, without a file. */

useRig();

/** Starts it on any free port and resolves to that port, and to what it printed. */
async function startQuick(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Command & { port: number; folder: string }> {
  const folder = temporaryFolder();
  const command = startCommand(["127.0.0.1:0", ...args], { cwd: folder, env });
  const [, port = ""] = await command.stdout.waitFor(/^https?:\/\/127\.0\.0\.1:(\d+) and [^]*Ctrl-C/);
  return { ...command, port: Number(port), folder };
}

test("proxies http and ws at once, says where, logs to the terminal, and leaves nothing behind", async () => {
  const backend = await startWebSocketBackend();
  const command = await startQuick([`${backend.port}`]);
  const { port, folder, stdout } = command;
  expect(stdout.text).toMatch(
    new RegExp(
      `^http://127\\.0\\.0\\.1:${port} and ws://127\\.0\\.0\\.1:${port} -> http://127\\.0\\.0\\.1:${backend.port}\n`,
    ),
  );
  const tunnel = await connectWebSocket("ws", `ws://127.0.0.1:${port}/chat`);
  tunnel.send("hello");
  expect(await tunnel.next()).toBe("hello");
  const seen: unknown = JSON.parse((await request({ port, headers: { Host: "me.test" } })).body);
  expect(seen).toMatchObject({
    headers: {
      host: "me.test",
      "x-real-ip": "127.0.0.1",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
    },
  });
  await stdout.waitFor(/"GET \/ HTTP\/1\.1" 200/);
  command.signal("SIGINT");
  expect(await command.exited).toEqual({ code: 0, signal: null });
  expect(readdirSync(folder)).toEqual([]);
});

test("--tls makes a certificate, once, and serves https and wss with it", async () => {
  const backend = await startWebSocketBackend();
  const env = { HOME: temporaryFolder() };
  const first = await startQuick([`ws://127.0.0.1:${backend.port}`, "--tls"], env);
  const trust = { tls: { rejectUnauthorized: false } };
  expect((await request({ port: first.port, ...trust })).status).toBe(200);
  const madeAtMs = statSync(join(env.HOME, ".wsgate", "localhost.crt")).mtimeMs;
  const second = await startQuick([`${backend.port}`, "--tls"], env);
  expect((await request({ port: second.port, ...trust })).status).toBe(200);
  expect(statSync(join(env.HOME, ".wsgate", "localhost.crt")).mtimeMs).toBe(madeAtMs);
});

test("--cert and --key serve a certificate of one's own", async () => {
  const backend = await startWebSocketBackend();
  const { certificate, key } = await leafFiles();
  const { port } = await startQuick([`127.0.0.1:${backend.port}`, "--cert", certificate, "--key", key]);
  const ca = await authorityCertificate();
  const tunnel = await connectWebSocket("ws", `wss://localhost:${port}/`, { ca });
  tunnel.send("hello");
  expect(await tunnel.next()).toBe("hello");
});

test("an https upstream is asked for by its own name", async () => {
  const { cert, key } = await leafCertificate();
  const backend = await startHttpBackend(undefined, { tls: { cert, key } });
  const { port } = await startQuick([`https://localhost:${backend.port}`]);
  const { body } = await request({ port, headers: { Host: "me.test" } });
  expect(JSON.parse(body)).toMatchObject({ headers: { host: `localhost:${backend.port}` } });
});

test("--print writes a configuration that passes -t and starts nothing", async () => {
  const folder = temporaryFolder();
  const { certificate, key } = await leafFiles();
  const args = ["127.0.0.1:0", "3000", "--cert", certificate, "--key", key, "--print"];
  const { code, stdout } = await runGate(args, { cwd: folder });
  expect(code).toBe(0);
  writeFileSync(join(folder, "nginx.conf"), stdout);
  expect(await runGate(["-t"], { cwd: folder })).toMatchObject({ code: 0 });
  expect((await runGate(["--print", ...args.slice(0, -1)], { cwd: folder })).stdout).toBe(stdout);
});

test("a taken port and an upstream that nobody knows are refused before anything is announced", async () => {
  const backend = await startHttpBackend();
  const taken = await runGate([`127.0.0.1:${backend.port}`, "3000"]);
  expect(taken).toMatchObject({ code: 1, stdout: "" });
  expect(taken.stderr).toContain(`bind() to 127.0.0.1:${backend.port} failed (98: Address already in use)`);
  const unknown = await runGate([`${await reservePort()}`, "http://nobody.invalid"]);
  expect(unknown).toMatchObject({ code: 1, stdout: "" });
  expect(unknown.stderr).toMatch(/host not found in upstream "nobody\.invalid"/);
});

test.each([
  [["8080"], /an address to listen on and an upstream are needed/],
  [["8080", "3000", "4000"], /what is "4000"\?/],
  [["99999", "3000"], /"99999" is no address/],
  [["8080", "99999"], /"99999" is no upstream/],
  [["8080", "ftp://x"], /"ftp:\/\/x" is no upstream/],
  [["8080", "x;y"], /"x;y" is no upstream/],
  [["8080", "3000", "--cert", "x"], /--cert and --key belong together/],
  [["8080", "3000", "--bogus"], /^wsgate: Unknown option '--bogus'\n/],
  [["--tls"], /an address to listen on/],
])("%j is refused with a reason and the usage", async (args, reason) => {
  const { code, stdout, stderr } = await runGate(args);
  expect(stderr).toMatch(reason);
  expect(stderr).toMatch(/\n\nusage: wsgate \[address:\]port upstream/);
  expect([code, stdout]).toEqual([1, ""]);
});
